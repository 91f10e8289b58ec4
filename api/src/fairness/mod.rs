//! Fairness: no user's requests keep another's from being answered.
//!
//! Which requests wait for which is said by stored objects (FlowSchema, PriorityLevelConfiguration); [`berth_flow`]
//! does the rest. [`bootstrap`] makes the objects that every server has and keeps them as they should be.

pub(crate) mod bodies;
pub(crate) mod bootstrap;
mod objects;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use berth_flow::{ADJUST_PERIOD, Cost, Fairness, Options, RequestFacts};
use http::{HeaderMap, HeaderName, HeaderValue};
use parking_lot::Mutex;

use crate::api::ApiServer;
use crate::authn::UserInfo;
use crate::derived::Derived;
use crate::inner::Inner;
use crate::registry::Resource;
use crate::request::{Query, RequestInfo};
use crate::status::ApiError;
use objects::{Objects, SOURCES};

const SCHEMA_UID: HeaderName = HeaderName::from_static("x-kubernetes-pf-flowschema-uid");
const LEVEL_UID: HeaderName = HeaderName::from_static("x-kubernetes-pf-prioritylevel-uid");

/// Requests that may be worked on at the same time: upstream's 400 reads and 200 writes.
const IN_FLIGHT_MAX: u32 = 600;
/// A request waits no longer for its turn: a quarter of its time.
const QUEUE_WAIT_MAX: Duration = Duration::from_secs(15);

/// Whose requests wait for whose.
#[derive(Debug)]
pub(crate) struct Flow {
    fairness: Fairness,
    objects: Derived<Objects>,
    /// Those that are in force.
    applied: ArcSwapOption<Objects>,
    applying: Mutex<()>,
}

impl Flow {
    /// `seats` is how many requests may be worked on at the same time; `None` is as many as upstream's.
    pub(crate) fn new(seats: Option<u32>) -> Self {
        let options = Options { seats: seats.unwrap_or(IN_FLIGHT_MAX).max(1), queue_wait: QUEUE_WAIT_MAX };
        Self {
            fairness: Fairness::new(options),
            objects: Derived::new(SOURCES, Objects::read),
            applied: ArcSwapOption::empty(),
            applying: Mutex::new(()),
        }
    }

    /// Puts the stored objects in force if they have changed.
    fn follow(&self, server: &Inner) {
        let found = self.objects.get(&server.registry.rows());
        let is_applied = || self.applied.load().as_ref().is_some_and(|applied| Arc::ptr_eq(applied, &found));
        if is_applied() {
            return;
        }
        let _one_at_a_time = self.applying.lock();
        if !is_applied() {
            self.fairness.configure(found.schemas.clone(), found.levels.clone());
            self.applied.store(Some(found));
        }
    }

    /// The state of the levels, as lines for `/metrics`, under upstream's names.
    pub(crate) fn metrics(&self) -> String {
        use std::fmt::Write as _;
        let levels = self.fairness.report();
        let mut text = String::new();
        type Read = fn(&berth_flow::LevelReport) -> u64;
        let gauges: [(&str, &str, &str, Read); 6] = [
            ("nominal_limit_seats", "gauge", "Seats that a level has by its share.", |l| l.nominal_seats.into()),
            ("current_limit_seats", "gauge", "Seats that a level has now, with what it borrows and lends.", |l| {
                l.seats.into()
            }),
            ("current_executing_seats", "gauge", "Seats in use.", |l| l.seats_in_use.into()),
            ("current_executing_requests", "gauge", "Requests that are worked on.", |l| l.running.into()),
            ("current_inqueue_requests", "gauge", "Requests that wait for a seat.", |l| l.waiting.into()),
            ("dispatched_requests_total", "counter", "Requests that got their seats.", |l| l.dispatched_total),
        ];
        for (name, kind, help, read) in gauges {
            let name = format!("apiserver_flowcontrol_{name}");
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
            for level in &levels {
                let _ = writeln!(text, "{name}{{priority_level={:?}}} {}", level.name, read(level));
            }
        }
        let name = "apiserver_flowcontrol_rejected_requests_total";
        let _ = writeln!(text, "# HELP {name} Requests that were sent away.\n# TYPE {name} counter");
        for level in &levels {
            for (reason, count) in level.rejected_total {
                let (level, reason) = (&level.name, reason.as_str());
                let _ = writeln!(text, "{name}{{priority_level={level:?},reason={reason:?}}} {count}");
            }
        }
        text
    }
}

/// Starts what goes on until the server stops: lending seats between levels, and looking after the objects.
pub(crate) fn start(server: &ApiServer) {
    let (fairness, stop) = (server.inner.flow.fairness.clone(), server.inner.stop.clone());
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(ADJUST_PERIOD);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => fairness.adjust(),
            }
        }
    });
    tokio::spawn(bootstrap::maintain(server.clone()));
}

/// Where a request belongs.
#[derive(Debug)]
pub(crate) struct Class(berth_flow::Class);

/// The right to be worked on; given back when dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    _seat: berth_flow::Seat,
}

/// Tells where a request belongs, by the objects that are stored now.
pub(crate) fn classify(server: &Inner, user: &UserInfo, info: &RequestInfo<'_>) -> Class {
    server.flow.follow(server);
    let facts = RequestFacts {
        user: &user.name,
        groups: &user.groups,
        verb: info.verb,
        is_resource: info.resource.is_some(),
        api_group: info.group(),
        resource: info.plural(),
        subresource: info.subresource(),
        namespace: info.namespace(),
        path: info.path,
        cost: Cost::One,
    };
    Class(server.flow.fairness.classify(&facts))
}

impl Class {
    /// Notes in an answer by which rules its request was let in.
    pub(crate) fn stamp(&self, headers: &mut HeaderMap) {
        for (name, uid) in [(SCHEMA_UID, self.0.schema_uid()), (LEVEL_UID, self.0.level_uid())] {
            if let Ok(value) = HeaderValue::from_str(uid) {
                headers.insert(name, value);
            }
        }
    }

    /// Waits for a seat.
    ///
    /// # Errors
    /// 429 when there are too many requests, with the time after which to come again.
    pub(crate) async fn enter(&self, cost: Cost) -> Result<Seat, ApiError> {
        match self.0.clone().enter(cost).await {
            Ok(seat) => Ok(Seat { _seat: seat }),
            Err(rejected) => {
                let (reason, level) = (rejected.reason.as_str(), &rejected.level);
                tracing::debug!(reason, level, schema = rejected.schema, "a request was sent away");
                Err(ApiError::too_many_requests_for(rejected.retry_after_seconds))
            }
        }
    }
}

/// What a request for a kind costs.
pub(crate) fn cost(server: &Inner, info: &RequestInfo<'_>, query: &Query, resource: &Resource) -> Cost {
    match info.verb {
        "list" => {
            let limit = query.get("limit").and_then(|limit| limit.parse().ok());
            let has_selector = !(info.label_selector.is_empty() && info.field_selector.is_empty());
            Cost::list(stored(resource), limit, has_selector, !info.name.is_empty())
        }
        // A watch begins with a list if it does not say what it has seen.
        "watch" => {
            let sends_initial = query.flag("sendInitialEvents");
            let is_new = matches!(query.get("resourceVersion"), None | Some("" | "0"));
            if sends_initial || is_new {
                Cost::list(stored(resource), None, false, !info.name.is_empty())
            } else {
                Cost::One
            }
        }
        // The token of an account is told to nobody who watches accounts.
        "create" | "update" | "patch" | "delete" if info.subresource() != "token" => {
            Cost::Write { watches: server.metrics.watches(&resource.group, &resource.plural) }
        }
        _ => Cost::One,
    }
}

fn stored(resource: &Resource) -> u64 {
    resource.storage.cache.snapshot().len() as u64
}
