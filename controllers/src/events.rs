//! Events: what happened, for people. Written in the background, so that no reconcile waits for one.
//!
//! The same event about the same object is one object whose count goes up. Waiting events are bounded: a storm
//! costs its own tail and nothing else.

use std::collections::HashMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::Client;
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::driver::context::whole_seconds;
use crate::driver::{Clock, Key, Row, api};
use crate::metrics::Metrics;

/// Events that wait to be written; more are dropped and counted. A storm of a thousand events tells nobody more.
const WAITING_MAX: usize = 1024;
/// Different events whose count is remembered. Past it all are forgotten: a repeat then starts a new object.
const REMEMBERED_MAX: usize = 4096;
/// Kubernetes' limit on an event's message, in bytes.
const MESSAGE_MAX: usize = 1024;
/// A repeat of an event within this many seconds is counted in memory and written with the next one after.
const REPEAT_SECONDS: i64 = 10;

const EVENT: Row = Row::new("", "v1", "Event", "events", true);
/// Events about cluster-scoped objects live here, as in Kubernetes.
const DEFAULT_NAMESPACE: &str = "default";

/// Whether an event is a worry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventType {
    /// As it should be.
    Normal,
    /// Somebody may want to look.
    Warning,
}

impl EventType {
    fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "Normal",
            Self::Warning => "Warning",
        }
    }
}

struct Record {
    component: &'static str,
    about: ObjectReference,
    type_: EventType,
    reason: String,
    message: String,
    at: Time,
}

/// Takes events and writes them in the background.
#[derive(Clone, Debug)]
pub struct Recorder {
    queue: mpsc::Sender<Record>,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
}

impl std::fmt::Debug for Record {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.reason, self.message)
    }
}

impl Recorder {
    /// Starts the writer; it ends with the token.
    pub(crate) fn start(client: Client, clock: Arc<dyn Clock>, metrics: Metrics, stop: CancellationToken) -> Self {
        let (queue, waiting) = mpsc::channel(WAITING_MAX);
        tokio::spawn(write_all(client, waiting, stop));
        Self { queue, clock, metrics }
    }

    pub(crate) fn record(
        &self,
        component: &'static str,
        about: ObjectReference,
        type_: EventType,
        reason: &str,
        mut message: String,
    ) {
        if message.len() > MESSAGE_MAX {
            let end = (0..=MESSAGE_MAX - 3).rev().find(|i| message.is_char_boundary(*i)).unwrap_or(0);
            message.truncate(end);
            message.push('…');
        }
        let at = Time(whole_seconds(self.clock.now()));
        let record = Record { component, about, type_, reason: reason.to_owned(), message, at };
        if self.queue.try_send(record).is_err() {
            self.metrics.event_dropped();
        }
    }
}

/// An event that was written before.
struct Written {
    count: i32,
    last: Time,
}

async fn write_all(client: Client, mut waiting: mpsc::Receiver<Record>, stop: CancellationToken) {
    let mut written: HashMap<Key, Written> = HashMap::new();
    loop {
        let record = tokio::select! {
            record = waiting.recv() => record,
            () = stop.cancelled() => None,
        };
        let Some(record) = record else { return };
        if written.len() >= REMEMBERED_MAX {
            written.clear();
        }
        write(&client, &mut written, record).await;
    }
}

async fn write(client: &Client, written: &mut HashMap<Key, Written>, record: Record) {
    let key = key_of(&record);
    if let Some(before) = written.get_mut(&key) {
        before.count += 1;
        if record.at.0.as_second() - before.last.0.as_second() < REPEAT_SECONDS {
            return;
        }
        before.last = record.at.clone();
        let patch = json!({ "count": before.count, "lastTimestamp": record.at });
        match api::patch(client, &EVENT, &key, None, api::Patch::Merge, &patch, record.component).await {
            Ok(_) => return,
            // It outlived its time, or somebody removed it: start anew.
            Err(error) if error.is_not_found() => {
                written.remove(&key);
            }
            Err(error) => return tracing::debug!(%error, "an event was not counted up"),
        }
    }
    let event = object_of(&key, &record, 1);
    let Ok(body) = serde_json::to_vec(&event) else { return };
    match api::create(client, &EVENT, &key, body, record.component).await {
        Ok(_) => {
            written.insert(key, Written { count: 1, last: record.at });
        }
        // Made by a manager before this one: count on from its number.
        Err(error) if error.is_conflict() => {
            let before = api::get(client, &EVENT, &key).await.ok();
            let before = before.and_then(|text| serde_json::from_str::<Event>(&text).ok());
            let count = before.and_then(|event| event.count).unwrap_or(1).saturating_add(1);
            let patch = json!({ "count": count, "lastTimestamp": record.at });
            if api::patch(client, &EVENT, &key, None, api::Patch::Merge, &patch, record.component).await.is_ok() {
                written.insert(key, Written { count, last: record.at });
            }
        }
        // Refused for what it says: nobody would ever see such an event, so this is a fault of ours.
        Err(error) if error.is_refusal() => tracing::warn!(error = error.for_people(), "an event was refused"),
        Err(error) => tracing::debug!(%error, "an event was not written"),
    }
}

/// The event's name is made from what it says, so that a repeat finds the first one.
fn key_of(record: &Record) -> Key {
    let about = &record.about;
    let mut hash = Sha256::new();
    for part in [
        record.component,
        record.type_.as_str(),
        about.uid.as_deref().unwrap_or_default(),
        &record.reason,
        &record.message,
    ] {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    let digest: String = hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let name = about.name.as_deref().unwrap_or("object");
    let namespace = about.namespace.as_deref().unwrap_or(DEFAULT_NAMESPACE);
    Key::new(namespace, format!("{name}.{digest}"))
}

fn object_of(key: &Key, record: &Record, count: i32) -> serde_json::Value {
    let event = Event {
        metadata: ObjectMeta {
            name: Some(key.name.clone()),
            namespace: Some(key.namespace.clone()),
            ..ObjectMeta::default()
        },
        involved_object: record.about.clone(),
        type_: Some(record.type_.as_str().to_owned()),
        reason: Some(record.reason.clone()),
        message: Some(record.message.clone()),
        count: Some(count),
        first_timestamp: Some(record.at.clone()),
        last_timestamp: Some(record.at.clone()),
        source: Some(EventSource { component: Some(record.component.to_owned()), host: None }),
        reporting_component: Some(record.component.to_owned()),
        ..Event::default()
    };
    let mut value = serde_json::to_value(event).unwrap_or_default();
    value["apiVersion"] = "v1".into();
    value["kind"] = "Event".into();
    value
}
