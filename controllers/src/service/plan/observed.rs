//! What the plan is made from: the service and its tasks, reduced to what matters.

use k8s_openapi::jiff::{SignedDuration, Timestamp};

use super::backoff::Policy;

/// All that a plan is made from.
#[derive(Clone, Debug, PartialEq)]
pub struct Observed {
    /// The time.
    pub now: Timestamp,
    /// What the service asks for.
    pub wanted: Wanted,
    /// Its revisions, in no order.
    pub revisions: Vec<RevisionView>,
    /// The hash that its template gets if no revision has that template: free among the revisions.
    pub fresh_hash: String,
    /// Its tasks, in no order.
    pub tasks: Vec<TaskView>,
    /// Services that it depends on and that are not ready.
    pub missing: Vec<String>,
}

/// What a service asks for, percentages resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// How many instances.
    pub replicas: u32,
    /// How a change reaches them.
    pub strategy: Strategy,
    /// How long a task must be ready to be available.
    pub min_ready: SignedDuration,
    /// How many old revisions are kept.
    pub history: usize,
    /// How long a failing instance waits.
    pub backoff: Policy,
    /// Whether nothing is to be rolled out.
    pub paused: bool,
}

/// How a change reaches the instances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// Step by step.
    Rolling {
        /// Tasks above `replicas`.
        max_surge: u32,
        /// Of `replicas`, how many may be unavailable. Not 0 when `max_surge` is.
        max_unavailable: u32,
    },
    /// All old ones stop first.
    Recreate,
}

impl Wanted {
    /// How many tasks there may be, those that are being stopped included.
    pub fn most(&self) -> u32 {
        match self.strategy {
            Strategy::Rolling { max_surge, .. } => self.replicas.saturating_add(max_surge),
            Strategy::Recreate => self.replicas,
        }
    }

    /// How many available tasks must be left when something is stopped.
    pub fn least_available(&self) -> u32 {
        match self.strategy {
            Strategy::Rolling { max_unavailable, .. } => self.replicas.saturating_sub(max_unavailable),
            Strategy::Recreate => 0,
        }
    }
}

/// One revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevisionView {
    /// Its hash.
    pub hash: String,
    /// Its number; the highest is the current one.
    pub number: i64,
    /// Whether its template is what the service's spec says now.
    pub is_wanted: bool,
}

/// One task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskView {
    /// Its revision's hash.
    pub revision: String,
    /// Index of its instance.
    pub instance: u32,
    /// Which try of the instance with that revision.
    pub attempt: u32,
    /// How often in a row the instance had failed before it.
    pub failures: u32,
    /// When it was made.
    pub created: Timestamp,
    /// Whether it has a node.
    pub bound: bool,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// Where it is in its life.
    pub life: Life,
}

/// Where a task is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// Waits for its node, its agent, its images.
    Pending,
    /// Its containers run.
    Running {
        /// Since when it has been ready, if it is.
        ready_since: Option<Timestamp>,
    },
    /// Its node is not heard of: it may run or not.
    Unknown,
    /// It has ended.
    Ended {
        /// Whether that counts as a failure: it ended by itself, or could not start.
        failed: bool,
        /// When.
        at: Timestamp,
        /// How long it ran.
        ran: SignedDuration,
    },
}

impl TaskView {
    /// Not ended and not being deleted: it stands for its instance.
    pub fn is_live(&self) -> bool {
        !self.deleting && !matches!(self.life, Life::Ended { .. })
    }

    /// Being stopped, by an agent that is heard of; its processes may still run.
    pub fn is_stopping(&self) -> bool {
        self.deleting && matches!(self.life, Life::Pending | Life::Running { .. })
    }

    /// Since when it has been ready, if it is.
    pub fn ready_since(&self) -> Option<Timestamp> {
        match self.life {
            Life::Running { ready_since } if !self.deleting => ready_since,
            _ => None,
        }
    }

    /// How far it has come: 4 available, 3 ready, 2 runs, 1 has a node, 0 has none or an unheard one.
    pub fn level(&self, observed: &Observed) -> u8 {
        match self.life {
            Life::Running { ready_since: Some(since) } if since + observed.wanted.min_ready <= observed.now => 4,
            Life::Running { ready_since: Some(_) } => 3,
            Life::Running { ready_since: None } => 2,
            Life::Unknown => 0,
            _ => u8::from(self.bound),
        }
    }

    /// Whether it counts as available.
    pub fn is_available(&self, observed: &Observed) -> bool {
        self.is_live() && self.level(observed) == 4
    }
}
