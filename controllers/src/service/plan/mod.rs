//! Decides what to do for a service: pure, from what was observed to a list of steps.
//!
//! An *instance* is an index with the tasks that ever stood for it. Instances are stable: a task that ended is
//! replaced in its instance, and a rollout replaces instance by instance. Three sums bound every plan:
//!
//! - tasks that run or are being stopped are at most `replicas + maxSurge`; nothing is made above that;
//! - available tasks are at least `replicas − maxUnavailable`; nothing is stopped below that;
//! - an instance of the new revision that waits out its back-off keeps its place, so that a crash loop holds a
//!   rollout up instead of spreading.
//!
//! A task on a node that is not heard of (phase `Unknown`) still stands for its instance, though it is not
//! available: it may well run. When the node controller's patience ends it deletes the task; such a task is lost,
//! no longer counted, and replaced though its end is never confirmed.

mod backoff;
mod budget;
mod observed;
mod prune;
mod revision;
mod slots;

use k8s_openapi::jiff::Timestamp;

pub use backoff::{Policy, Standing};
pub use observed::{Life, Observed, RevisionView, Strategy, TaskView, Wanted};
pub use revision::RevisionStep;

/// What to do.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// What to do about the revision that the tasks should have.
    pub revision: RevisionStep,
    /// Tasks to make.
    pub create: Vec<NewTask>,
    /// Tasks to delete: place in the observed list, and why.
    pub delete: Vec<(usize, Why)>,
    /// Revisions (hashes) to forget.
    pub forget: Vec<String>,
    /// Instances that wait before their next start.
    pub waiting: Vec<Waiting>,
    /// When to look again though nothing changed.
    pub next: Option<Timestamp>,
    /// How many tasks of which sort there are.
    pub counts: Counts,
}

impl Plan {
    /// Whether there is nothing to do.
    pub fn is_settled(&self) -> bool {
        self.create.is_empty()
            && self.delete.is_empty()
            && self.forget.is_empty()
            && matches!(self.revision, RevisionStep::Keep { .. })
    }
}

/// A task to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTask {
    /// Index of the instance.
    pub instance: u32,
    /// Hash of the revision that it is made from.
    pub revision: String,
    /// Which try of this instance with this revision it is, from 1.
    pub attempt: u32,
    /// How often in a row the instance has failed before.
    pub failures: u32,
}

/// Why a task is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Why {
    /// There are more instances than replicas, or two tasks for one instance.
    Surplus,
    /// It is of an older revision.
    Outdated,
    /// It has ended, and newer ones tell the story.
    Ended,
}

/// An instance that waits before its next start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Index of the instance.
    pub instance: u32,
    /// Failures in a row.
    pub failures: u32,
    /// When its next task is made.
    pub until: Timestamp,
    /// The task that failed last: its place in the observed list.
    pub last: usize,
}

/// How many tasks of which sort there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Not ended and not being deleted.
    pub live: u32,
    /// Live ones of the newest revision.
    pub updated: u32,
    /// Live and ready.
    pub ready: u32,
    /// Ready for as long as the service asks.
    pub available: u32,
    /// Available ones of the newest revision.
    pub updated_available: u32,
    /// Live ones of older revisions.
    pub outdated: u32,
}

/// Decides what to do. Costs `O(n log n)` for n tasks.
pub fn plan(observed: &Observed) -> Plan {
    let revision = revision::choose(observed);
    let slots = slots::Slots::sort(observed, revision.hash());
    let mut plan = Plan { counts: slots.counts(), next: slots.next_available(), ..Plan::default() };
    budget::spend(observed, &slots, revision.hash(), &mut plan);
    prune::ended(observed, &slots, &mut plan);
    plan.forget = revision::forgettable(observed, revision.hash());
    plan.revision = revision;
    plan
}

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
