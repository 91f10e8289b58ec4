//! The state of one priority level, and how its requests are woken.

use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::demand::{Demand, Integrator};
use crate::dropped::Dropped;
use crate::limits::{Bounds, Claim};
use crate::plan::{self, Named, Schema};
use crate::queues::{QueueSet, Run, Shape};
use crate::spec::PriorityLevelSpec;

/// The state of a priority level. It goes on, without an object, until its last request has ended.
#[derive(Debug)]
pub(crate) struct Level {
    pub(crate) name: String,
    pub(crate) epoch: Instant,
    /// For what outlives a call.
    this: Weak<Level>,
    pub(crate) state: Mutex<State>,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) queues: QueueSet<oneshot::Sender<Grant>>,
    pub(crate) bounds: Bounds,
    integrator: Integrator,
    demand: Demand,
    dropped: Dropped,
    /// A task waits for seats that are held after an answer.
    is_ticking: bool,
    pub(crate) counts: Counts,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) dispatched: u64,
    queue_full: u64,
    timed_out: u64,
    concurrency: u64,
}

/// Seats of a level that someone holds.
#[derive(Debug)]
pub(crate) struct Grant {
    pub(crate) level: Arc<Level>,
    pub(crate) run: Option<Run>,
}

/// A request that was sent away. Nothing was done for it.
#[derive(Clone, Debug, thiserror::Error)]
#[error("too many requests on priority level {level:?}: come again in {retry_after_seconds} s")]
pub struct Rejected {
    pub reason: RejectReason,
    pub retry_after_seconds: u32,
    /// Name of the flow schema.
    pub schema: String,
    /// Name of the priority level.
    pub level: String,
    pub schema_uid: String,
    pub level_uid: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RejectReason {
    QueueFull,
    TimeOut,
    ConcurrencyLimit,
}

impl RejectReason {
    /// As Kubernetes' metrics name it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::QueueFull => "queue-full",
            Self::TimeOut => "time-out",
            Self::ConcurrencyLimit => "concurrency-limit",
        }
    }
}

/// The state of a level, for metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LevelReport {
    pub name: String,
    pub nominal_seats: u32,
    pub seats: u32,
    pub seats_in_use: u32,
    pub running: u32,
    pub waiting: u32,
    pub dispatched_total: u64,
    /// By [`RejectReason`].
    pub rejected_total: [(RejectReason, u64); 3],
}

impl State {
    /// Takes down how many seats are wanted now.
    pub(crate) fn note(&mut self, now: u64) {
        self.integrator.set(now, self.queues.demand());
    }

    pub(crate) fn reject(&mut self, now: u64, reason: RejectReason, schema: &Schema<Arc<Level>>) -> Rejected {
        match reason {
            RejectReason::QueueFull => self.counts.queue_full += 1,
            RejectReason::TimeOut => self.counts.timed_out += 1,
            RejectReason::ConcurrencyLimit => self.counts.concurrency += 1,
        }
        let retry_after = self.dropped.record(Duration::from_nanos(now).as_secs());
        Rejected {
            reason,
            retry_after_seconds: u32::try_from(retry_after).unwrap_or(u32::MAX),
            schema: schema.name.to_string(),
            level: schema.level.name.clone(),
            schema_uid: schema.uid.to_string(),
            level_uid: schema.level_uid.to_string(),
        }
    }
}

impl Level {
    pub(crate) fn new(name: &str, epoch: Instant) -> Arc<Self> {
        let state = State {
            queues: QueueSet::new(Shape::Reject, 0, nanos(epoch)),
            bounds: Bounds::default(),
            integrator: Integrator::new(nanos(epoch)),
            demand: Demand::default(),
            dropped: Dropped::default(),
            is_ticking: false,
            counts: Counts::default(),
        };
        Arc::new_cyclic(|this| Self { name: name.to_owned(), epoch, this: this.clone(), state: Mutex::new(state) })
    }

    pub(crate) fn configure(&self, object: &Named<PriorityLevelSpec>, bounds: Bounds) {
        let now = nanos(self.epoch);
        let mut state = self.state.lock();
        if state.bounds == Bounds::default() {
            state.queues.set_seats(now, bounds.initial);
        }
        state.bounds = bounds;
        state.queues.reshape(plan::shape(&object.spec));
        let started = self.dispatch(state, now);
        wake(started);
    }

    /// Ends the period of its demand.
    pub(crate) fn claim(&self) -> Claim {
        let now = nanos(self.epoch);
        let mut state = self.state.lock();
        if let Some(observed) = state.integrator.reset(now) {
            state.demand.update(observed);
        }
        let State { bounds, demand, queues, .. } = &*state;
        Claim { bounds: *bounds, high: demand.high, smoothed: demand.smoothed, current: queues.seats() }
    }

    pub(crate) fn set_seats(&self, seats: u32) {
        let now = nanos(self.epoch);
        let mut state = self.state.lock();
        state.queues.set_seats(now, seats);
        let started = self.dispatch(state, now);
        wake(started);
    }

    /// Starts whom it can. They are woken by [`wake`] once nothing is locked: who is gone gives his seats back there.
    pub(crate) fn dispatch(&self, mut state: MutexGuard<'_, State>, now: u64) -> Vec<(oneshot::Sender<Grant>, Grant)> {
        let mut started = Vec::new();
        if state.queues.waiting() > 0
            && let Some(this) = self.this.upgrade()
        {
            state.queues.dispatch(now, |waker, run| {
                started.push((waker, Grant { level: Arc::clone(&this), run: Some(run) }));
            });
            self.tick(&mut state);
        }
        state.counts.dispatched += started.len() as u64;
        state.note(now);
        started
    }

    /// While requests wait for seats that are held after an answer, a task looks after them.
    fn tick(&self, state: &mut State) {
        if state.is_ticking || state.queues.waiting() == 0 {
            return;
        }
        let Some(until) = state.queues.next_release() else { return };
        let (Ok(runtime), Some(this)) = (tokio::runtime::Handle::try_current(), self.this.upgrade()) else { return };
        state.is_ticking = true;
        let pause = Duration::from_nanos(until.saturating_sub(nanos(self.epoch)));
        runtime.spawn(async move {
            tokio::time::sleep(pause).await;
            let mut state = this.state.lock();
            state.is_ticking = false;
            let started = this.dispatch(state, nanos(this.epoch));
            wake(started);
        });
    }

    fn leave(&self, run: Run) {
        let now = nanos(self.epoch);
        let mut state = self.state.lock();
        state.queues.leave(now, run);
        let started = self.dispatch(state, now);
        wake(started);
    }

    pub(crate) fn report(&self) -> LevelReport {
        let state = self.state.lock();
        let Counts { dispatched, queue_full, timed_out, concurrency } = state.counts;
        LevelReport {
            name: self.name.clone(),
            nominal_seats: state.bounds.nominal,
            seats: state.queues.seats(),
            seats_in_use: state.queues.in_use(),
            running: state.queues.running(),
            waiting: state.queues.waiting(),
            dispatched_total: dispatched,
            rejected_total: [
                (RejectReason::QueueFull, queue_full),
                (RejectReason::TimeOut, timed_out),
                (RejectReason::ConcurrencyLimit, concurrency),
            ],
        }
    }
}

/// Tells requests that they may go on. One that is gone drops its grant here, which may start the next.
pub(crate) fn wake(started: Vec<(oneshot::Sender<Grant>, Grant)>) {
    for (waker, grant) in started {
        drop(waker.send(grant));
    }
}

impl Drop for Grant {
    fn drop(&mut self) {
        if let Some(run) = self.run.take() {
            self.level.leave(run);
        }
    }
}

pub(crate) fn nanos(epoch: Instant) -> u64 {
    u64::try_from(epoch.elapsed().as_nanos()).unwrap_or(u64::MAX)
}
