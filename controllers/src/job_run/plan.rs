//! Decides what to do for a run: pure. Attempts come one after the other, never two at a time.

use k8s_openapi::jiff::{SignedDuration, Timestamp};

/// The wait before the second attempt; it doubles with each further one.
const RETRY_FIRST: SignedDuration = SignedDuration::from_secs(1);
/// The longest wait between attempts, as Kubernetes' Job has it.
const RETRY_MAX: SignedDuration = SignedDuration::from_secs(360);
/// Ended attempts that are kept: a run may be retried a thousand times.
const KEPT_ATTEMPTS: usize = 10;

/// All that a plan is made from.
#[derive(Clone, Debug)]
pub struct Observed {
    /// The time.
    pub now: Timestamp,
    /// How often a failed attempt is tried again.
    pub backoff_limit: u32,
    /// How long the run may take.
    pub deadline: Option<SignedDuration>,
    /// When the first attempt was made, as the status says.
    pub started: Option<Timestamp>,
    /// Attempts made so far, as the status says.
    pub attempts: u32,
    /// Whether the status says that the run has ended.
    pub ended: bool,
    /// The run's tasks, in no order.
    pub tasks: Vec<Attempt>,
}

/// One attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Its number, from 1.
    pub number: u32,
    /// When it was made.
    pub created: Timestamp,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// Where it is in its life.
    pub life: Life,
}

/// Where an attempt is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// It has not started.
    Pending,
    /// It runs.
    Running,
    /// Given up by the node controller: being deleted on a node that is not heard of.
    Lost,
    /// It ended well.
    Succeeded {
        /// When.
        at: Timestamp,
    },
    /// It ended otherwise.
    Failed {
        /// When.
        at: Timestamp,
    },
}

/// How the run stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verdict {
    /// No attempt runs yet.
    #[default]
    Pending,
    /// An attempt runs, or the next one is due.
    Running,
    /// An attempt succeeded.
    Succeeded,
    /// The retries are used up.
    LimitExceeded,
    /// It took too long.
    DeadlineExceeded,
}

/// What to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Number of the attempt to make.
    pub start: Option<u32>,
    /// Places of the tasks to delete.
    pub delete: Vec<usize>,
    /// How the run stands.
    pub verdict: Verdict,
    /// When the next attempt is due.
    pub retry_at: Option<Timestamp>,
    /// When to look again though nothing changed.
    pub next: Option<Timestamp>,
    /// Attempts made. The one to be made is not among them: the status remembers this number, and what it calls
    /// made is never made again.
    pub attempts: u32,
}

impl Plan {
    /// Whether there is nothing to write but the status.
    pub fn is_settled(&self) -> bool {
        self.start.is_none() && self.delete.is_empty()
    }
}

/// The wait after so many failed attempts.
fn wait(failures: u32) -> SignedDuration {
    let doublings = failures.saturating_sub(1).min(16);
    RETRY_FIRST.saturating_mul(1 << doublings).min(RETRY_MAX)
}

/// Decides what to do.
pub fn plan(observed: &Observed) -> Plan {
    let tasks = || observed.tasks.iter().enumerate();
    let made = observed.tasks.iter().map(|task| task.number).max().unwrap_or(0).max(observed.attempts);
    let mut plan = Plan { attempts: made, ..Plan::default() };
    let is_live = |task: &Attempt| matches!(task.life, Life::Pending | Life::Running);
    let stop_live = |plan: &mut Plan| {
        let live = tasks().filter(|(_, task)| is_live(task) && !task.deleting);
        plan.delete.extend(live.map(|(place, _)| place));
    };
    if observed.ended {
        stop_live(&mut plan);
        return plan;
    }
    if observed.tasks.iter().any(|task| matches!(task.life, Life::Succeeded { .. })) {
        plan.verdict = Verdict::Succeeded;
        stop_live(&mut plan);
        return plan;
    }
    let first = observed.tasks.iter().map(|task| task.created).min();
    let started = [observed.started, first].into_iter().flatten().min();
    let deadline = started.zip(observed.deadline).map(|(started, most)| started + most);
    if deadline.is_some_and(|deadline| deadline <= observed.now) {
        plan.verdict = Verdict::DeadlineExceeded;
        stop_live(&mut plan);
        return plan;
    }
    plan.next = deadline;
    let running = tasks().find(|(_, task)| is_live(task));
    if let Some((_, task)) = running {
        let waits = task.number == 1 && task.life == Life::Pending;
        plan.verdict = if waits { Verdict::Pending } else { Verdict::Running };
        return plan;
    }
    plan.verdict = if made == 0 { Verdict::Pending } else { Verdict::Running };
    // Every attempt that is not live has failed, also one whose task somebody deleted.
    if made > observed.backoff_limit {
        plan.verdict = Verdict::LimitExceeded;
        stop_live(&mut plan);
        return plan;
    }
    let last_end = observed.tasks.iter().filter_map(|task| match task.life {
        Life::Failed { at } | Life::Succeeded { at } => Some(at),
        _ => None,
    });
    let due = last_end.max().map_or(observed.now, |at| at + wait(made));
    if made == 0 || due <= observed.now {
        plan.start = Some(made + 1);
        prune(observed, &mut plan);
        return plan;
    }
    plan.retry_at = Some(due);
    plan.next = [Some(due), deadline].into_iter().flatten().min();
    plan
}

fn prune(observed: &Observed, plan: &mut Plan) {
    let mut ended: Vec<_> = observed
        .tasks
        .iter()
        .enumerate()
        .filter(|(_, t)| matches!(t.life, Life::Failed { .. }) && !t.deleting)
        .collect();
    ended.sort_by_key(|(_, task)| std::cmp::Reverse(task.number));
    plan.delete.extend(ended.into_iter().skip(KEPT_ATTEMPTS).map(|(place, _)| place));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn attempt(number: u32, life: Life) -> Attempt {
        Attempt { number, created: at(i64::from(number)), deleting: false, life }
    }

    fn seen(tasks: Vec<Attempt>) -> Observed {
        Observed { now: at(100), backoff_limit: 2, deadline: None, started: None, attempts: 0, ended: false, tasks }
    }

    #[test]
    fn a_new_run_starts_at_once() {
        assert_eq!(plan(&seen(vec![])).start, Some(1));
    }

    #[test]
    fn an_attempt_that_is_yet_to_be_made_is_not_called_made() {
        let plan = plan(&seen(vec![attempt(1, Life::Failed { at: at(5) })]));
        assert_eq!((plan.start, plan.attempts), (Some(2), 1));
    }

    #[test]
    fn a_failed_attempt_is_tried_again_after_a_wait_that_doubles() {
        let failed = |number| attempt(number, Life::Failed { at: at(100) });
        assert_eq!(plan(&seen(vec![failed(1)])).retry_at, Some(at(101)));
        assert_eq!(plan(&seen(vec![failed(1), failed(2)])).retry_at, Some(at(102)));
        assert_eq!(plan(&seen(vec![failed(1), failed(2), failed(3)])).verdict, Verdict::LimitExceeded);
        assert_eq!(plan(&seen(vec![attempt(1, Life::Failed { at: at(99) })])).start, Some(2));
    }

    #[test]
    fn no_attempt_starts_while_another_lives_or_is_being_stopped() {
        let stopping = Attempt { deleting: true, ..attempt(1, Life::Running) };
        assert_eq!(plan(&seen(vec![stopping])).start, None);
        assert_eq!(plan(&seen(vec![attempt(1, Life::Pending)])).verdict, Verdict::Pending);
        assert_eq!(plan(&seen(vec![attempt(1, Life::Running)])).verdict, Verdict::Running);
    }

    #[test]
    fn a_success_ends_the_run() {
        let tasks = vec![attempt(1, Life::Failed { at: at(5) }), attempt(2, Life::Succeeded { at: at(9) })];
        let plan = plan(&seen(tasks));
        assert_eq!((plan.verdict, plan.start, plan.attempts), (Verdict::Succeeded, None, 2));
    }

    #[test]
    fn the_deadline_stops_what_runs() {
        let mut late = seen(vec![attempt(1, Life::Running)]);
        late.deadline = Some(SignedDuration::from_secs(99));
        assert_eq!(
            plan(&late),
            Plan { delete: vec![0], verdict: Verdict::DeadlineExceeded, attempts: 1, ..Plan::default() }
        );
        late.deadline = Some(SignedDuration::from_secs(100));
        assert_eq!(plan(&late).next, Some(at(101)));
    }

    #[test]
    fn an_ended_run_starts_nothing_and_stops_what_is_left() {
        let mut over = seen(vec![attempt(1, Life::Running)]);
        over.ended = true;
        assert_eq!(plan(&over).delete, [0]);
        assert_eq!(plan(&over).start, None);
    }

    #[test]
    fn a_deleted_task_counts_as_a_failed_attempt() {
        let mut seen = seen(vec![]);
        seen.attempts = 1;
        assert_eq!(plan(&seen).start, Some(2));
        seen.attempts = 3;
        assert_eq!(plan(&seen).verdict, Verdict::LimitExceeded);
    }

    #[test]
    fn a_lost_attempt_gives_way_to_the_next() {
        let lost = Attempt { deleting: true, ..attempt(1, Life::Lost) };
        assert_eq!(plan(&seen(vec![lost])).start, Some(2));
    }
}
