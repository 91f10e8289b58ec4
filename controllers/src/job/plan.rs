//! Decides what to do for a job: pure.

use k8s_openapi::jiff::{SignedDuration, Timestamp};

use super::schedule::Schedule;
use berth_types::ConcurrencyPolicy;

/// All that a plan is made from.
#[derive(Clone, Debug)]
pub struct Observed {
    /// The time.
    pub now: Timestamp,
    /// When the job was made.
    pub created: Timestamp,
    /// Its schedules; none for a job that runs once.
    pub schedules: Vec<Schedule>,
    /// The time of the last run, as the status says.
    pub last: Option<Timestamp>,
    /// No new runs.
    pub suspended: bool,
    /// What to do when a run is due and another still runs.
    pub policy: ConcurrencyPolicy,
    /// How late a run may start.
    pub starting_deadline: Option<SignedDuration>,
    /// How many succeeded runs are kept.
    pub keep_succeeded: usize,
    /// How many failed runs are kept.
    pub keep_failed: usize,
    /// How long after its end a job without schedules is deleted.
    pub ttl: Option<SignedDuration>,
    /// Runs counted so far: succeeded, failed.
    pub counted: (u32, u32),
    /// Its runs, in no order.
    pub runs: Vec<Run>,
}

/// One run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// When it ended, and whether well.
    pub end: Option<(Timestamp, bool)>,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// Its place in the count of runs that ended as it did, once it has one.
    pub counted_as: Option<u32>,
}

/// Something to be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// The only run of a job without schedules.
    Once,
    /// The run that was due then.
    Scheduled(Timestamp),
}

/// What to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The run to make.
    pub start: Option<Start>,
    /// A time that is due, but not started because another run is active.
    pub skipped: Option<Timestamp>,
    /// Places of runs to stop, because the new one takes their place.
    pub replace: Vec<usize>,
    /// Places of runs to count, and their numbers.
    pub count: Vec<(usize, u32)>,
    /// Places of runs to forget.
    pub forget: Vec<usize>,
    /// Whether the job itself is to be deleted.
    pub delete_job: bool,
    /// When the next run is due.
    pub next_run: Option<Timestamp>,
    /// When to look again though nothing changed.
    pub next: Option<Timestamp>,
}

impl Plan {
    /// Whether there is nothing to write but the status.
    pub fn is_settled(&self) -> bool {
        let Self { start, skipped: _, replace, count, forget, delete_job, next_run: _, next: _ } = self;
        start.is_none() && replace.is_empty() && count.is_empty() && forget.is_empty() && !delete_job
    }
}

/// Decides what to do.
pub fn plan(observed: &Observed) -> Plan {
    let mut plan = Plan::default();
    count(observed, &mut plan);
    forget(observed, &mut plan);
    if observed.schedules.is_empty() {
        once(observed, &mut plan);
    } else {
        scheduled(observed, &mut plan);
    }
    plan
}

/// Runs that ended and were not counted get the next numbers. The number stays on the run, so that a crash between
/// counting it and writing the sum counts nothing twice and forgets nothing.
fn count(observed: &Observed, plan: &mut Plan) {
    let (mut succeeded, mut failed) = observed.counted;
    let mut new = vec![];
    for (place, run) in observed.runs.iter().enumerate() {
        let Some((at, well)) = run.end else { continue };
        match run.counted_as {
            Some(number) if well => succeeded = succeeded.max(number),
            Some(number) => failed = failed.max(number),
            None => new.push((at, place, well)),
        }
    }
    new.sort_unstable();
    for (_, place, well) in new {
        let number = if well { &mut succeeded } else { &mut failed };
        *number = number.saturating_add(1);
        plan.count.push((place, *number));
    }
}

/// The oldest counted runs beyond the limits.
fn forget(observed: &Observed, plan: &mut Plan) {
    if observed.schedules.is_empty() {
        return;
    }
    for (keep, kind) in [(observed.keep_succeeded, true), (observed.keep_failed, false)] {
        let sum = if kind { observed.counted.0 } else { observed.counted.1 };
        let mut ended: Vec<_> = observed
            .runs
            .iter()
            .enumerate()
            .filter_map(|(place, run)| run.end.filter(|(_, well)| *well == kind).map(|(at, _)| (at, place, run)))
            .collect();
        ended.sort_by_key(|(at, place, _)| std::cmp::Reverse((*at, *place)));
        // Only what the status has in its sum may go.
        let over = ended.into_iter().skip(keep).filter(|(_, _, run)| run.counted_as.is_some_and(|n| n <= sum));
        plan.forget.extend(over.filter(|(_, _, run)| !run.deleting).map(|(_, place, _)| place));
    }
}

fn once(observed: &Observed, plan: &mut Plan) {
    if observed.runs.is_empty() && observed.last.is_none() {
        plan.start = (!observed.suspended).then_some(Start::Once);
        return;
    }
    let all_ended = observed.runs.iter().all(|run| run.end.is_some());
    let end = observed.runs.iter().filter_map(|run| run.end).map(|(at, _)| at).max();
    if let (true, Some(end), Some(ttl)) = (all_ended, end, observed.ttl) {
        let due = end + ttl;
        if due <= observed.now {
            plan.delete_job = true;
        } else {
            plan.next = Some(due);
        }
    }
}

fn scheduled(observed: &Observed, plan: &mut Plan) {
    let now = observed.now;
    plan.next_run = observed.schedules.iter().filter_map(|schedule| schedule.next(now)).min();
    if observed.suspended {
        plan.next_run = None;
        return;
    }
    plan.next = plan.next_run;
    let mut since = observed.last.unwrap_or(observed.created);
    if let Some(deadline) = observed.starting_deadline {
        // Not even the moment of the deadline itself is too late.
        since = since.max(now - deadline - SignedDuration::from_nanos(1));
    }
    // Of all missed times the last one is made up for.
    let due = observed.schedules.iter().filter_map(|schedule| schedule.last(since, now)).max();
    let Some(due) = due else { return };
    let active: Vec<usize> =
        observed.runs.iter().enumerate().filter(|(_, run)| run.end.is_none()).map(|(place, _)| place).collect();
    match observed.policy {
        ConcurrencyPolicy::Forbid if !active.is_empty() => plan.skipped = Some(due),
        ConcurrencyPolicy::Replace => {
            plan.replace = active.into_iter().filter(|place| !observed.runs[*place].deleting).collect();
            plan.start = Some(Start::Scheduled(due));
        }
        _ => plan.start = Some(Start::Scheduled(due)),
    }
}

#[cfg(test)]
mod tests {
    use berth_types::JobSchedule;

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn seen(cron: &[&str], last: Option<&str>) -> Observed {
        let schedule =
            |cron: &&str| Schedule::parse(&JobSchedule { cron: (*cron).to_owned(), time_zone: None }).unwrap();
        Observed {
            now: at("2026-05-01T10:00:30Z"),
            created: at("2026-05-01T09:00:30Z"),
            schedules: cron.iter().map(schedule).collect(),
            last: last.map(at),
            suspended: false,
            policy: ConcurrencyPolicy::Allow,
            starting_deadline: None,
            keep_succeeded: 1,
            keep_failed: 1,
            ttl: None,
            counted: (0, 0),
            runs: vec![],
        }
    }

    fn active() -> Run {
        Run { end: None, deleting: false, counted_as: None }
    }

    fn ended(time: &str, well: bool, counted_as: Option<u32>) -> Run {
        Run { end: Some((at(time), well)), deleting: false, counted_as }
    }

    #[test]
    fn a_job_without_schedules_runs_once() {
        let mut job = seen(&[], None);
        assert_eq!(plan(&job).start, Some(Start::Once));
        job.suspended = true;
        assert_eq!(plan(&job).start, None);
        job.suspended = false;
        job.last = Some(at("2026-05-01T09:00:30Z"));
        assert_eq!(plan(&job).start, None);
    }

    #[test]
    fn a_finished_job_is_deleted_after_its_time() {
        let mut job = seen(&[], Some("2026-05-01T09:00:30Z"));
        job.runs = vec![ended("2026-05-01T10:00:00Z", true, Some(1))];
        job.counted = (1, 0);
        job.ttl = Some(SignedDuration::from_secs(60));
        assert_eq!(plan(&job).next, Some(at("2026-05-01T10:01:00Z")));
        job.ttl = Some(SignedDuration::from_secs(30));
        assert!(plan(&job).delete_job);
    }

    #[test]
    fn one_run_makes_up_for_all_that_were_missed() {
        let job = seen(&["*/5 * * * *", "*/7 * * * *"], Some("2026-05-01T08:00:00Z"));
        let plan = plan(&job);
        assert_eq!(plan.start, Some(Start::Scheduled(at("2026-05-01T10:00:00Z"))));
        assert_eq!(plan.next_run, Some(at("2026-05-01T10:05:00Z")));
    }

    #[test]
    fn a_run_that_is_too_late_is_not_started() {
        let mut job = seen(&["0 * * * *"], Some("2026-05-01T09:00:00Z"));
        job.starting_deadline = Some(SignedDuration::from_secs(29));
        assert_eq!(plan(&job).start, None);
        job.starting_deadline = Some(SignedDuration::from_secs(30));
        assert_eq!(plan(&job).start, Some(Start::Scheduled(at("2026-05-01T10:00:00Z"))));
    }

    #[test]
    fn policies_decide_when_another_still_runs() {
        let mut job = seen(&["0 * * * *"], Some("2026-05-01T09:00:00Z"));
        job.runs = vec![active()];
        let due = at("2026-05-01T10:00:00Z");
        assert_eq!(plan(&job).start, Some(Start::Scheduled(due)));
        job.policy = ConcurrencyPolicy::Forbid;
        assert_eq!((plan(&job).start, plan(&job).skipped), (None, Some(due)));
        job.policy = ConcurrencyPolicy::Replace;
        assert_eq!((plan(&job).start, plan(&job).replace), (Some(Start::Scheduled(due)), vec![0]));
    }

    #[test]
    fn each_run_is_counted_once_and_forgotten_only_after_that() {
        let mut job = seen(&["0 * * * *"], Some("2026-05-01T10:00:00Z"));
        job.counted = (4, 0);
        job.runs = vec![
            ended("2026-05-01T10:00:20Z", true, None),
            ended("2026-05-01T10:00:10Z", true, Some(5)),
            ended("2026-05-01T10:00:05Z", true, Some(4)),
        ];
        assert_eq!(plan(&job).count, [(0, 6)]);
        assert_eq!(plan(&job).forget, [2]);
        job.counted = (6, 0);
        job.runs[0].counted_as = Some(6);
        assert_eq!(plan(&job).count, []);
        assert_eq!(plan(&job).forget, [1, 2]);
    }
}
