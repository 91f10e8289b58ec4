//! The job-run controller: makes a run's attempts one after the other until one succeeds, the retries are used up,
//! or the deadline has passed.

pub mod plan;

use std::collections::BTreeMap;
use std::sync::Arc;

use berth_types::names::{LABEL_JOB, LABEL_JOB_RUN};
use berth_types::{JobRun, JobRunPhase, JobRunStatus, Task, TaskPhase, TaskSpec, condition, set_condition};
use futures::FutureExt;
use futures::future::BoxFuture;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use k8s_openapi::jiff::{SignedDuration, Timestamp};

use crate::driver::context::{owner_reference, whole_seconds};
use crate::driver::store::controller_of;
use crate::driver::{Context, Created, Error, Key, Next, Part, Reconciler, Watch};
use crate::events::EventType;
use crate::service::detail;
use plan::{Attempt, Life, Observed, Plan, Verdict};

/// Name in logs, metrics, events and managed fields.
pub const NAME: &str = "berth-jobrun-controller";

/// What the manager runs for this part.
pub fn parts() -> Vec<Part> {
    vec![Part::Reconciler(Arc::new(JobRunController))]
}

/// The job-run controller.
#[derive(Debug)]
pub struct JobRunController;

impl Reconciler for JobRunController {
    fn name(&self) -> &'static str {
        NAME
    }

    fn watches(&self) -> Vec<Watch> {
        vec![Watch::itself::<JobRun>(), Watch::owner::<JobRun, Task>()]
    }

    fn reconcile<'a>(&'a self, key: &'a Key, ctx: &'a Context) -> BoxFuture<'a, Result<Next, Error>> {
        reconcile(key, ctx).boxed()
    }
}

/// A run and its tasks.
struct Seen {
    run: Arc<JobRun>,
    /// In the order of `observed.tasks`.
    tasks: Vec<Arc<Task>>,
    observed: Observed,
}

async fn reconcile(key: &Key, ctx: &Context) -> Result<Next, Error> {
    let Some(seen) = observe(key, ctx) else { return Ok(Next::Changed) };
    let plan = plan::plan(&seen.observed);
    apply(&seen, &plan, ctx).await?;
    // Observed anew: the status speaks of what is there after our own writes.
    let Some(seen) = observe(key, ctx) else { return Ok(Next::Changed) };
    let plan = plan::plan(&seen.observed);
    if !seen.observed.ended {
        let status = status(&seen, &plan);
        tell(&seen, &status, ctx);
        ctx.write_status(&*seen.run, seen.run.status.as_ref(), &status).await?;
    }
    if !plan.is_settled() {
        return Ok(Next::After(std::time::Duration::ZERO));
    }
    Ok(plan.next.map_or(Next::Changed, Next::At))
}

fn observe(key: &Key, ctx: &Context) -> Option<Seen> {
    let run = ctx.store::<JobRun>().get(key)?;
    if run.metadata.deletion_timestamp.is_some() {
        return None;
    }
    let mut tasks = ctx.store::<Task>().owned_by(run.metadata.uid.as_deref()?);
    tasks.sort_unstable_by(|a, b| a.metadata.name.cmp(&b.metadata.name));
    let status = run.status.as_ref();
    let observed = Observed {
        now: ctx.now(),
        backoff_limit: u32::try_from(run.spec.backoff_limit).unwrap_or(0),
        deadline: run.spec.active_deadline_seconds.map(SignedDuration::from_secs),
        started: status.and_then(|status| status.start_time.as_ref()).map(|time| time.0),
        attempts: status.and_then(|status| u32::try_from(status.attempts).ok()).unwrap_or(0),
        ended: status.is_some_and(|s| matches!(s.phase, JobRunPhase::Succeeded | JobRunPhase::Failed)),
        tasks: tasks.iter().map(|task| attempt(task, &key.name)).collect(),
    };
    Some(Seen { run, tasks, observed })
}

fn attempt(task: &Task, run: &str) -> Attempt {
    let meta = &task.metadata;
    let created = meta.creation_timestamp.as_ref().map_or(Timestamp::UNIX_EPOCH, |time| time.0);
    let number = meta.name.as_deref().and_then(|name| name.strip_prefix(run)?.strip_prefix('-')?.parse().ok());
    let status = task.status.as_ref();
    let at = status.and_then(|status| status.finish_time.as_ref()).map_or(created, |time| time.0);
    let life = match status.map_or(TaskPhase::Pending, |status| status.phase) {
        TaskPhase::Pending | TaskPhase::Starting => Life::Pending,
        // It may still run; only when the node controller gives it up does the next attempt start.
        TaskPhase::Unknown if meta.deletion_timestamp.is_some() => Life::Lost,
        TaskPhase::Running | TaskPhase::Stopping | TaskPhase::Unknown => Life::Running,
        TaskPhase::Succeeded => Life::Succeeded { at },
        TaskPhase::Failed | TaskPhase::Killed => Life::Failed { at },
    };
    Attempt { number: number.unwrap_or(1), created, deleting: meta.deletion_timestamp.is_some(), life }
}

async fn apply(seen: &Seen, plan: &Plan, ctx: &Context) -> Result<(), Error> {
    for place in &plan.delete {
        ctx.delete(&*seen.tasks[*place]).await?;
    }
    let Some(number) = plan.start else { return Ok(()) };
    let task = task(&seen.run, number);
    if let Created::Exists(there) = ctx.create(&task).await? {
        let owner = controller_of(&there.metadata).map(|owner| owner.uid.as_str());
        if owner != seen.run.metadata.uid.as_deref() {
            let key = Key::of(&there.metadata);
            return Err(Error::Other(format!("the name of Task {key} is taken by somebody else's; it is tried again")));
        }
    }
    let name = task.metadata.name.unwrap_or_default();
    ctx.event(&*seen.run, EventType::Normal, "Created", format!("created task {name}"));
    Ok(())
}

fn task(run: &JobRun, number: u32) -> Task {
    let name = run.metadata.name.clone().unwrap_or_default();
    let given = run.spec.template.metadata.clone().unwrap_or_default();
    let mut labels: BTreeMap<String, String> = given.labels;
    labels.insert(LABEL_JOB_RUN.to_owned(), name.clone());
    let of_job = run.metadata.labels.as_ref().and_then(|labels| labels.get(LABEL_JOB));
    labels.extend(of_job.map(|job| (LABEL_JOB.to_owned(), job.clone())));
    let spec = TaskSpec { template: run.spec.template.spec.clone(), node_name: None, allocated_ports: vec![] };
    let mut task = Task::new("", spec);
    task.metadata = ObjectMeta {
        name: Some(format!("{name}-{number}")),
        namespace: run.metadata.namespace.clone(),
        labels: Some(labels),
        annotations: Some(given.annotations).filter(|all| !all.is_empty()),
        owner_references: Some(vec![owner_reference(run)]),
        ..ObjectMeta::default()
    };
    task
}

fn status(seen: &Seen, plan: &Plan) -> JobRunStatus {
    let observed = &seen.observed;
    let before = seen.run.status.clone().unwrap_or_default();
    let now = Time(whole_seconds(observed.now));
    let phase = match plan.verdict {
        Verdict::Pending => JobRunPhase::Pending,
        Verdict::Running => JobRunPhase::Running,
        Verdict::Succeeded => JobRunPhase::Succeeded,
        Verdict::LimitExceeded | Verdict::DeadlineExceeded => JobRunPhase::Failed,
    };
    let has_ended = matches!(phase, JobRunPhase::Succeeded | JobRunPhase::Failed);
    let first = observed.tasks.iter().map(|task| task.created).min().map(|at| Time(whole_seconds(at)));
    let (reason, message) = reason(seen, plan);
    let mut status = JobRunStatus {
        observed_generation: seen.run.metadata.generation,
        phase,
        attempts: i32::try_from(plan.attempts).unwrap_or(i32::MAX),
        start_time: before.start_time.or(first),
        completion_time: has_ended.then(|| completed_at(seen).map_or_else(|| now.clone(), Time)),
        next_attempt_time: plan.retry_at.map(|at| Time(whole_seconds(at))),
        reason: Some(reason.clone()),
        message: Some(message.clone()),
        conditions: before.conditions,
    };
    if has_ended {
        let type_ = if phase == JobRunPhase::Succeeded { "Complete" } else { "Failed" };
        let generation = seen.run.metadata.generation;
        set_condition(
            &mut status.conditions,
            condition::condition(type_, Some(true), &reason, message, generation, &now),
        );
    }
    status
}

/// When the last attempt ended, if none runs any more.
fn completed_at(seen: &Seen) -> Option<Timestamp> {
    let ends = seen.observed.tasks.iter().map(|task| match task.life {
        Life::Succeeded { at } | Life::Failed { at } => Some(whole_seconds(at)),
        _ => None,
    });
    ends.collect::<Option<Vec<_>>>()?.into_iter().max()
}

fn reason(seen: &Seen, plan: &Plan) -> (String, String) {
    let most = seen.observed.backoff_limit.saturating_add(1);
    let tasks = seen.observed.tasks.iter().zip(&seen.tasks);
    let last = tasks.max_by_key(|(attempt, _)| attempt.number);
    let ending = last.map(|(_, task)| detail::ending(task));
    let told = |ending: Option<detail::Detail>| ending.map(|e| format!(": {e}")).unwrap_or_default();
    let (attempts, live) = (plan.attempts, last.filter(|(a, _)| matches!(a.life, Life::Pending | Life::Running)));
    match (plan.verdict, live) {
        (Verdict::Succeeded, _) => ("Completed".to_owned(), format!("attempt {attempts} of {most} succeeded")),
        (Verdict::LimitExceeded, _) => {
            ("BackoffLimitExceeded".to_owned(), format!("attempt {attempts} of {most} failed{}", told(ending)))
        }
        (Verdict::DeadlineExceeded, live) => {
            let seconds = seen.run.spec.active_deadline_seconds.unwrap_or_default();
            let how = if live.is_some() { " still ran".to_owned() } else { format!(" had failed{}", told(ending)) };
            ("DeadlineExceeded".to_owned(), format!("not done within {seconds} s; attempt {attempts} of {most}{how}"))
        }
        (_, Some((attempt, task))) if attempt.life == Life::Pending => {
            let detail = detail::waiting(task);
            (detail.reason.clone(), format!("attempt {attempts} of {most} waits: {detail}"))
        }
        (_, Some(_)) => ("Running".to_owned(), format!("attempt {attempts} of {most} runs")),
        (_, None) if attempts > 0 => {
            ("BackOff".to_owned(), format!("attempt {attempts} of {most} failed{}", told(ending)))
        }
        (_, None) => ("Pending".to_owned(), "the first attempt is being made".to_owned()),
    }
}

fn tell(seen: &Seen, status: &JobRunStatus, ctx: &Context) {
    let before = seen.run.status.as_ref().and_then(|status| status.reason.as_deref());
    let message = || status.message.clone().unwrap_or_default();
    match (status.reason.as_deref(), status.phase) {
        (now, _) if now == before => {}
        (Some(reason), JobRunPhase::Succeeded) => ctx.event(&*seen.run, EventType::Normal, reason, message()),
        (Some(reason), JobRunPhase::Failed) => ctx.event(&*seen.run, EventType::Warning, reason, message()),
        (Some("BackOff"), _) => ctx.event(&*seen.run, EventType::Warning, "BackOff", message()),
        _ => {}
    }
}
