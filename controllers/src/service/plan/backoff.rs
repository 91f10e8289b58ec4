//! How long a failing instance waits: nothing after the first failure, then longer each time.

use k8s_openapi::jiff::{SignedDuration, Timestamp};

use super::{Life, TaskView};

/// How the waits grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The wait after the second failure in a row.
    pub first: SignedDuration,
    /// Growth, in percent.
    pub factor_percent: u32,
    /// The longest wait.
    pub max: SignedDuration,
    /// A task that ran this long wipes the failures before it.
    pub reset_after: SignedDuration,
}

impl Policy {
    /// The wait after so many failures in a row.
    pub fn wait(&self, failures: u32) -> SignedDuration {
        if failures < 2 {
            return SignedDuration::ZERO;
        }
        let factor = f64::from(self.factor_percent) / 100.0;
        // Past 64 doublings any policy has reached its maximum.
        let growth = factor.powi(i32::try_from(failures - 2).unwrap_or(i32::MAX).min(64));
        let seconds = (self.first.as_secs_f64() * growth).min(self.max.as_secs_f64());
        SignedDuration::from_secs_f64(seconds)
    }
}

/// Where an instance stands after its last task with a revision ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Failures in a row.
    pub failures: u32,
    /// When the next task may be made.
    pub due: Timestamp,
}

/// Where the instance stands after this task, if it has ended.
pub(super) fn after(task: &TaskView, policy: &Policy) -> Option<Standing> {
    let Life::Ended { failed, at, ran } = task.life else { return None };
    if !failed {
        // Stopped because somebody asked: neither a failure nor an end of failures.
        return Some(Standing { failures: task.failures, due: at });
    }
    let before = if ran >= policy.reset_after { 0 } else { task.failures };
    let failures = before.saturating_add(1);
    Some(Standing { failures, due: at + policy.wait(failures) })
}
