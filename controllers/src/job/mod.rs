//! The job controller: makes a job's runs, once or by schedule.
//!
//! To run a job by hand, create a JobRun that the Job controls (an owner reference with `controller: true`) and that
//! carries the label `berth.dev/job`; it is counted, kept and forgotten like a scheduled one.
//!
//! A scheduled run is named after its time (`nightly-29384756`: minutes since 1970, or seconds when the time is not
//! a whole minute), so that no time is ever run twice. Of the times that were missed the last one is made up for.

pub mod plan;
pub mod schedule;

use std::collections::BTreeMap;
use std::sync::Arc;

use berth_types::names::LABEL_JOB;
use berth_types::{Job, JobRun, JobRunPhase, JobRunSpec, JobStatus, condition, set_condition};
use futures::FutureExt;
use futures::future::BoxFuture;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::driver::context::{owner_reference, whole_seconds};
use crate::driver::store::controller_of;
use crate::driver::{Context, Created, Error, Key, Next, Part, Reconciler, Watch};
use crate::events::EventType;
use plan::{Observed, Plan, Run, Start};
use schedule::Schedule;

/// Name in logs, metrics, events and managed fields.
pub const NAME: &str = "berth-job-controller";
pub use berth_types::names::ANNOTATION_COUNTED_AS;

/// What the manager runs for this part.
pub fn parts() -> Vec<Part> {
    vec![Part::Reconciler(Arc::new(JobController))]
}

/// The job controller.
#[derive(Debug)]
pub struct JobController;

impl Reconciler for JobController {
    fn name(&self) -> &'static str {
        NAME
    }

    fn watches(&self) -> Vec<Watch> {
        vec![Watch::itself::<Job>(), Watch::owner::<Job, JobRun>()]
    }

    fn reconcile<'a>(&'a self, key: &'a Key, ctx: &'a Context) -> BoxFuture<'a, Result<Next, Error>> {
        reconcile(key, ctx).boxed()
    }
}

/// A job and its runs.
struct Seen {
    job: Arc<Job>,
    /// In the order of `observed.runs`.
    runs: Vec<Arc<JobRun>>,
    observed: Observed,
}

async fn reconcile(key: &Key, ctx: &Context) -> Result<Next, Error> {
    let Some(job) = ctx.store::<Job>().get(key) else { return Ok(Next::Changed) };
    if job.metadata.deletion_timestamp.is_some() {
        return Ok(Next::Changed);
    }
    let schedules: Result<Vec<Schedule>, String> = job.spec.schedules.iter().map(Schedule::parse).collect();
    let schedules = match schedules {
        Ok(schedules) => schedules,
        Err(message) => return refuse(&job, message, ctx).await,
    };
    let seen = observe(job, schedules.clone(), ctx);
    let plan = plan::plan(&seen.observed);
    apply(&seen, &plan, ctx).await?;
    if plan.delete_job {
        return Ok(Next::Changed);
    }
    let handled = plan.skipped.or_else(|| match plan.start {
        Some(Start::Scheduled(due)) => Some(due),
        Some(Start::Once) => Some(whole_seconds(seen.observed.now)),
        None => None,
    });
    // Observed anew: the status speaks of what is there after our own writes.
    let Some(job) = ctx.store::<Job>().get(key) else { return Ok(Next::Changed) };
    let seen = observe(job, schedules, ctx);
    let after = plan::plan(&seen.observed);
    let status = status(&seen, &after, handled);
    ctx.write_status(&*seen.job, seen.job.status.as_ref(), &status).await?;
    if !plan.is_settled() {
        return Ok(Next::After(std::time::Duration::ZERO));
    }
    Ok(after.next.map_or(Next::Changed, Next::At))
}

fn observe(job: Arc<Job>, schedules: Vec<Schedule>, ctx: &Context) -> Seen {
    let mut runs = ctx.store::<JobRun>().owned_by(job.metadata.uid.as_deref().unwrap_or_default());
    runs.sort_unstable_by(|a, b| a.metadata.name.cmp(&b.metadata.name));
    let spec = &job.spec;
    let status = job.status.clone().unwrap_or_default();
    let now = ctx.now();
    let size = |limit: i32| usize::try_from(limit).unwrap_or(0);
    let number = |count: i32| u32::try_from(count).unwrap_or(0);
    let observed = Observed {
        now,
        created: job.metadata.creation_timestamp.as_ref().map_or(now, |time| time.0),
        schedules,
        last: status.last_schedule_time.map(|time| time.0),
        suspended: spec.suspend,
        policy: spec.concurrency_policy,
        starting_deadline: spec.starting_deadline_seconds.map(SignedDuration::from_secs),
        keep_succeeded: size(spec.successful_runs_history_limit),
        keep_failed: size(spec.failed_runs_history_limit),
        ttl: spec.ttl_seconds_after_finished.map(SignedDuration::from_secs),
        counted: (number(status.succeeded), number(status.failed)),
        runs: runs.iter().map(|run| run_view(run)).collect(),
    };
    Seen { job, runs, observed }
}

fn run_view(run: &JobRun) -> Run {
    let status = run.status.clone().unwrap_or_default();
    let created = run.metadata.creation_timestamp.as_ref().map_or(Timestamp::UNIX_EPOCH, |time| time.0);
    let at = status.completion_time.map_or(created, |time| time.0);
    let end = match status.phase {
        JobRunPhase::Pending | JobRunPhase::Running => None,
        JobRunPhase::Succeeded => Some((at, true)),
        JobRunPhase::Failed => Some((at, false)),
    };
    let annotation = run.metadata.annotations.as_ref().and_then(|all| all.get(ANNOTATION_COUNTED_AS));
    Run {
        end,
        deleting: run.metadata.deletion_timestamp.is_some(),
        counted_as: annotation.and_then(|text| text.parse().ok()),
    }
}

async fn apply(seen: &Seen, plan: &Plan, ctx: &Context) -> Result<(), Error> {
    for (place, number) in &plan.count {
        let patch = json!({ "metadata": { "annotations": { ANNOTATION_COUNTED_AS: number.to_string() } } });
        ctx.patch::<JobRun>(&Key::of(&seen.runs[*place].metadata), &patch).await?;
    }
    for place in plan.forget.iter().chain(&plan.replace) {
        ctx.delete(&*seen.runs[*place]).await?;
    }
    for place in &plan.replace {
        let name = seen.runs[*place].metadata.name.as_deref().unwrap_or_default();
        ctx.event(&*seen.job, EventType::Normal, "Replaced", format!("stopped run {name}: the next one is due"));
    }
    if plan.delete_job {
        return ctx.delete(&*seen.job).await;
    }
    if let Some(due) = plan.skipped {
        let message = format!("the run due at {due} is skipped: another still runs");
        ctx.event(&*seen.job, EventType::Normal, "Skipped", message);
    }
    let Some(start) = plan.start else { return Ok(()) };
    let run = run(&seen.job, start);
    if let Created::Exists(there) = ctx.create(&run).await? {
        let owner = controller_of(&there.metadata).map(|owner| owner.uid.as_str());
        if owner != seen.job.metadata.uid.as_deref() {
            let key = Key::of(&there.metadata);
            return Err(Error::Other(format!(
                "the name of JobRun {key} is taken by somebody else's; it is tried again"
            )));
        }
    }
    let name = run.metadata.name.unwrap_or_default();
    ctx.event(&*seen.job, EventType::Normal, "Created", format!("created run {name}"));
    Ok(())
}

/// The run's name, from when it is due.
fn run_name(job: &str, start: Start) -> String {
    match start {
        Start::Once => format!("{job}-1"),
        Start::Scheduled(due) if due.as_second() % 60 == 0 => format!("{job}-{}", due.as_second() / 60),
        Start::Scheduled(due) => format!("{job}-{}", due.as_second()),
    }
}

fn run(job: &Job, start: Start) -> JobRun {
    let name = job.metadata.name.clone().unwrap_or_default();
    let spec = JobRunSpec {
        template: job.spec.template.clone(),
        backoff_limit: job.spec.backoff_limit,
        active_deadline_seconds: job.spec.active_deadline_seconds,
        scheduled_time: match start {
            Start::Once => None,
            Start::Scheduled(due) => Some(Time(due)),
        },
    };
    let mut run = JobRun::new("", spec);
    run.metadata = ObjectMeta {
        name: Some(run_name(&name, start)),
        namespace: job.metadata.namespace.clone(),
        labels: Some(BTreeMap::from([(LABEL_JOB.to_owned(), name)])),
        owner_references: Some(vec![owner_reference(job)]),
        ..ObjectMeta::default()
    };
    run
}

fn status(seen: &Seen, plan: &Plan, handled: Option<Timestamp>) -> JobStatus {
    let observed = &seen.observed;
    let before = seen.job.status.clone().unwrap_or_default();
    let (mut succeeded, mut failed) = observed.counted;
    let mut last_success = before.last_successful_time.as_ref().map(|time| time.0);
    for run in &observed.runs {
        let Some((at, well)) = run.end else { continue };
        let number = run.counted_as.unwrap_or(0);
        if well {
            succeeded = succeeded.max(number);
            last_success = last_success.max(Some(whole_seconds(at)));
        } else {
            failed = failed.max(number);
        }
    }
    let number = |count: u32| i32::try_from(count).unwrap_or(i32::MAX);
    let active = observed.runs.iter().filter(|run| run.end.is_none()).count();
    let mut status = JobStatus {
        observed_generation: seen.job.metadata.generation,
        active: i32::try_from(active).unwrap_or(i32::MAX),
        succeeded: number(succeeded),
        failed: number(failed),
        last_schedule_time: handled.max(observed.last).map(Time),
        last_successful_time: last_success.map(Time),
        next_schedule_time: plan.next_run.map(Time),
        conditions: before.conditions,
    };
    let now = Time(whole_seconds(observed.now));
    let generation = seen.job.metadata.generation;
    let mut set = |type_: &str, value: bool, reason: &str, message: String| {
        let new = condition::condition(type_, Some(value), reason, message, generation, &now);
        set_condition(&mut status.conditions, new);
    };
    if observed.suspended {
        set("Ready", false, "Suspended", "no runs are started while spec.suspend is true".to_owned());
    } else if observed.schedules.is_empty() {
        set("Ready", true, "Started", "the job runs once".to_owned());
    } else {
        set("Ready", true, "Scheduled", format!("{} schedules are kept", observed.schedules.len()));
    }
    if observed.schedules.is_empty() {
        once_conditions(seen, &mut set);
    }
    status
}

/// Complete and Failed, for a job that runs once.
fn once_conditions(seen: &Seen, set: &mut impl FnMut(&str, bool, &str, String)) {
    let run = seen.runs.iter().max_by_key(|run| run.metadata.creation_timestamp.as_ref().map(|time| time.0));
    let Some(run) = run else {
        if seen.observed.last.is_some() && seen.observed.counted == (0, 0) {
            set("Failed", true, "RunDeleted", "the run was deleted before it ended; it is not made again".to_owned());
        }
        return;
    };
    // Told together with the sums: a run that ended this very moment is counted by the next reconcile.
    if run_view(run).counted_as.is_none() {
        return;
    }
    let status = run.status.clone().unwrap_or_default();
    let (reason, message) = (status.reason.unwrap_or_default(), status.message.unwrap_or_default());
    match status.phase {
        JobRunPhase::Succeeded => set("Complete", true, &reason, message),
        JobRunPhase::Failed => set("Failed", true, &reason, message),
        JobRunPhase::Pending | JobRunPhase::Running => {}
    }
}

/// A job whose schedules cannot be understood: nothing runs, and the condition says why.
async fn refuse(job: &Arc<Job>, message: String, ctx: &Context) -> Result<Next, Error> {
    let mut status = job.status.clone().unwrap_or_default();
    status.observed_generation = job.metadata.generation;
    status.next_schedule_time = None;
    let generation = job.metadata.generation;
    let new =
        condition::condition("Ready", Some(false), "InvalidSchedule", message.clone(), generation, &ctx.now_time());
    if set_condition(&mut status.conditions, new) {
        ctx.event(&**job, EventType::Warning, "InvalidSchedule", message);
    }
    ctx.write_status(&**job, job.status.as_ref(), &status).await?;
    Ok(Next::Changed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_named_after_their_time() {
        let at = |second| Start::Scheduled(Timestamp::from_second(second).unwrap());
        assert_eq!(run_name("nightly", at(29_384_756 * 60)), "nightly-29384756");
        assert_eq!(run_name("often", at(1_763_085_370)), "often-1763085370");
        assert_eq!(run_name("once", Start::Once), "once-1");
    }
}
