//! Tells how a service stands: counts, back-offs, and three conditions that a person can act on.

use berth_types::names::LABEL_SERVICE;
use berth_types::service::InstanceBackoff;
use berth_types::{ServiceStatus, condition, set_condition};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::{SignedDuration, Timestamp};

use super::detail::{self, Detail};
use super::names::ANNOTATION_ACTIVATED_AT;
use super::observe::Seen;
use super::plan::{Counts, Life, Observed, Plan};
use crate::driver::context::whole_seconds;
use crate::driver::{Context, Error};
use crate::events::EventType;

/// Tasks that a message speaks of.
const TOLD_MAX: usize = 3;
/// Waiting instances that the status lists: a service of thousands must not outgrow its object.
const BACKOFFS_MAX: usize = 20;
/// Failures in a row from which on it is a crash loop and no accident.
const CRASH_LOOP: u32 = 2;

const READY: &str = "Ready";
const PROGRESSING: &str = "Progressing";
const DEGRADED: &str = "Degraded";
const DEADLINE_EXCEEDED: &str = "ProgressDeadlineExceeded";
const ROLLED_OUT: &str = "RolledOut";

/// A condition before it has a time: `None` is `Unknown`.
struct Verdict {
    status: Option<bool>,
    reason: String,
    message: String,
}

fn verdict(status: impl Into<Option<bool>>, reason: &str, message: impl Into<String>) -> Verdict {
    Verdict { status: status.into(), reason: reason.to_owned(), message: message.into() }
}

/// What is wrong, the worst first.
struct Trouble {
    rank: u8,
    task: String,
    detail: Detail,
    /// What follows the detail.
    tail: String,
    /// A live task that follows failed ones: how they ended is looked up when it is told.
    after_failures: Option<usize>,
    crash_loop: bool,
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}{}", self.task, self.detail, self.tail)
    }
}

/// The status, and when it changes by time alone.
pub(super) fn status(seen: &Seen, plan: &Plan, failure: Option<&Error>) -> (ServiceStatus, Option<Timestamp>) {
    let observed = &seen.observed;
    let counts = plan.counts;
    let before = seen.service.status.clone().unwrap_or_default();
    let troubles = troubles(seen, plan);
    let details = tell_all(&troubles);
    let (progressing, look_again) = progressing(seen, plan, &before, &details);
    let number = |n: u32| i32::try_from(n).unwrap_or(i32::MAX);
    let mut status = ServiceStatus {
        observed_generation: seen.service.metadata.generation,
        replicas: number(counts.live),
        updated_replicas: number(updated(observed, counts)),
        ready_replicas: number(counts.ready),
        available_replicas: number(counts.available),
        unavailable_replicas: number(observed.wanted.replicas.saturating_sub(counts.available)),
        current_revision: Some(plan.revision.hash().to_owned()),
        selector: Some(format!("{LABEL_SERVICE}={}", seen.name())),
        backoffs: backoffs(seen, plan),
        conditions: before.conditions.clone(),
    };
    let now = Time(whole_seconds(observed.now));
    for (type_, verdict) in [
        (READY, ready(seen, plan, &troubles, &details, failure)),
        (PROGRESSING, progressing),
        (DEGRADED, degraded(&troubles, &details, failure)),
    ] {
        let generation = seen.service.metadata.generation;
        let new = condition::condition(type_, verdict.status, &verdict.reason, verdict.message, generation, &now);
        set_condition(&mut status.conditions, new);
    }
    (status, look_again)
}

/// Live tasks of the template that the spec has now. A paused plan goes on with the revision before it.
fn updated(observed: &Observed, counts: Counts) -> u32 {
    if !observed.wanted.paused {
        return counts.updated;
    }
    let is_wanted = |hash: &str| observed.revisions.iter().any(|revision| revision.is_wanted && revision.hash == hash);
    let live = observed.tasks.iter().filter(|task| task.is_live() && is_wanted(&task.revision));
    u32::try_from(live.count()).unwrap_or(u32::MAX)
}

fn backoffs(seen: &Seen, plan: &Plan) -> Vec<InstanceBackoff> {
    let mut waiting: Vec<_> = plan.waiting.iter().collect();
    waiting.sort_by_key(|waiting| waiting.instance);
    let told = waiting.into_iter().take(BACKOFFS_MAX).map(|waiting| InstanceBackoff {
        instance: i32::try_from(waiting.instance).unwrap_or(i32::MAX),
        failures: i32::try_from(waiting.failures).unwrap_or(i32::MAX),
        until: Time(whole_seconds(waiting.until)),
        last_reason: Some(detail::ending(&seen.tasks[waiting.last]).reason),
    });
    told.collect()
}

/// Looks at every task that is not ready, and at every instance that waits.
fn troubles(seen: &Seen, plan: &Plan) -> Vec<Trouble> {
    let observed = &seen.observed;
    let name = |place: usize| seen.tasks[place].metadata.name.clone().unwrap_or_default();
    let mut troubles: Vec<Trouble> = plan
        .waiting
        .iter()
        .map(|waiting| Trouble {
            rank: 0,
            task: name(waiting.last),
            detail: detail::ending(&seen.tasks[waiting.last]),
            tail: format!(
                " (failed {} times in a row, next start at {})",
                waiting.failures,
                whole_seconds(waiting.until)
            ),
            after_failures: None,
            crash_loop: waiting.failures >= CRASH_LOOP,
        })
        .collect();
    for (place, task) in observed.tasks.iter().enumerate() {
        if !task.is_live() || task.ready_since().is_some() {
            continue;
        }
        let crash_loop = task.failures >= CRASH_LOOP;
        let after_failures = (task.failures > 0).then_some(place);
        let detail = detail::waiting(&seen.tasks[place]);
        let rank = match (crash_loop, detail.reason.as_str()) {
            (true, _) => 0,
            (_, "Unschedulable") => 1,
            _ => 2,
        };
        troubles.push(Trouble { rank, task: name(place), detail, tail: String::new(), after_failures, crash_loop });
    }
    troubles.sort_by(|a, b| (a.rank, &a.task).cmp(&(b.rank, &b.task)));
    for trouble in troubles.iter_mut().take(TOLD_MAX) {
        if let Some(place) = trouble.after_failures {
            trouble.tail = last_ending(seen, place);
        }
    }
    troubles
}

/// ` (after 3 failures in a row, the last: CommandNotFound: …)`.
fn last_ending(seen: &Seen, place: usize) -> String {
    let task = &seen.observed.tasks[place];
    let ended = seen.observed.tasks.iter().enumerate().filter(|(_, other)| {
        other.instance == task.instance && other.revision == task.revision && matches!(other.life, Life::Ended { .. })
    });
    let last = ended.max_by_key(|(_, other)| (other.created, other.attempt));
    match last {
        Some((last, _)) => {
            format!(" (failures in a row: {}, the last: {})", task.failures, detail::ending(&seen.tasks[last]))
        }
        None => format!(" (failures in a row: {})", task.failures),
    }
}

fn tell_all(troubles: &[Trouble]) -> String {
    let told: Vec<String> = troubles.iter().take(TOLD_MAX).map(Trouble::to_string).collect();
    let more = troubles.len().saturating_sub(TOLD_MAX);
    let rest = if more > 0 { format!("; and {more} more") } else { String::new() };
    format!("{}{rest}", told.join("; "))
}

fn ready(seen: &Seen, plan: &Plan, troubles: &[Trouble], details: &str, failure: Option<&Error>) -> Verdict {
    let replicas = seen.observed.wanted.replicas;
    let counts = plan.counts;
    if replicas == 0 && counts.live == 0 {
        return verdict(true, "ScaledToZero", "no replicas are asked for");
    }
    let mut message = format!("{} of {replicas} tasks are ready", counts.ready);
    if counts.ready >= replicas {
        if counts.outdated > 0 {
            message.push_str(&format!("; {} of {replicas} have the new revision", counts.updated));
            return verdict(true, "RollingOut", message);
        }
        if counts.available < replicas {
            message.push_str(&format!("; {} for as long as minReadySeconds asks", counts.available));
        }
        return verdict(true, READY, message);
    }
    if let Some(failure) = failure {
        return verdict(false, "WriteFailed", format!("{message}; {}", failure.for_people()));
    }
    if !seen.observed.missing.is_empty() && seen.observed.tasks.is_empty() {
        let missing = seen.observed.missing.join(", ");
        return verdict(false, "WaitingForDependencies", format!("waits for Service {missing} to be ready"));
    }
    if !details.is_empty() {
        message.push_str("; ");
        message.push_str(details);
    }
    let is = |reason: &str| troubles.iter().any(|trouble| trouble.detail.reason == reason);
    let reason = if troubles.iter().any(|trouble| trouble.crash_loop) {
        "CrashLoop"
    } else if is("Unschedulable") {
        "Unschedulable"
    } else if counts.outdated > 0 {
        "RollingOut"
    } else {
        "Starting"
    };
    verdict(false, reason, message)
}

fn degraded(troubles: &[Trouble], details: &str, failure: Option<&Error>) -> Verdict {
    if let Some(failure) = failure.filter(|failure| !failure.is_conflict()) {
        return verdict(true, "WriteFailed", failure.for_people());
    }
    if troubles.iter().any(|trouble| trouble.crash_loop) {
        return verdict(true, "CrashLoop", details);
    }
    for reason in ["Unschedulable", "NodeUnreachable"] {
        if troubles.iter().any(|trouble| trouble.detail.reason == reason) {
            return verdict(true, reason, details);
        }
    }
    verdict(false, "AsExpected", "")
}

/// How the rollout gets on, and when it will have taken too long.
fn progressing(seen: &Seen, plan: &Plan, before: &ServiceStatus, details: &str) -> (Verdict, Option<Timestamp>) {
    let observed = &seen.observed;
    let (counts, replicas, target) = (plan.counts, observed.wanted.replicas, plan.revision.hash());
    if observed.wanted.paused {
        return (verdict(None, "Paused", "the rollout is paused"), None);
    }
    if !observed.missing.is_empty() && observed.tasks.is_empty() {
        return (verdict(None, "WaitingForDependencies", "starts when its dependencies are ready"), None);
    }
    let old = condition::find(&before.conditions, PROGRESSING);
    let same = before.current_revision.as_deref() == Some(target);
    let was_rolled_out = same && old.is_some_and(|old| old.reason == ROLLED_OUT);
    let is_complete = counts.updated_available >= replicas && counts.updated <= replicas;
    if counts.outdated == 0 && (is_complete || was_rolled_out) {
        let number = seen.revision(target).map_or(0, |revision| revision.spec.revision);
        return (verdict(true, ROLLED_OUT, format!("revision {number} ({target}) is rolled out")), None);
    }
    let message = format!("{} of {replicas} tasks have revision {target} and are available", counts.updated_available);
    let started = old.filter(|old| same && old.status == "True").map(|old| old.last_transition_time.0);
    let Some(progress) = last_progress(seen, target).max(started) else {
        return (verdict(true, "RollingOut", message), None);
    };
    let deadline = progress + SignedDuration::from_secs(i64::from(seen.service.spec.progress_deadline_seconds));
    if observed.now < deadline {
        return (verdict(true, "RollingOut", message), Some(deadline));
    }
    let seconds = seen.service.spec.progress_deadline_seconds;
    let mut message = format!("no progress within {seconds} s: {message}");
    if !details.is_empty() {
        message.push_str("; ");
        message.push_str(details);
    }
    (verdict(false, DEADLINE_EXCEEDED, message), None)
}

/// When the revision became the current one, or its last task available.
fn last_progress(seen: &Seen, target: &str) -> Option<Timestamp> {
    let activated = seen.revision(target).and_then(|revision| {
        let annotations = revision.metadata.annotations.as_ref();
        annotations.and_then(|all| all.get(ANNOTATION_ACTIVATED_AT)).and_then(|text| text.parse().ok())
    });
    let of_target = seen.observed.tasks.iter().filter(|task| task.revision == target);
    let available = of_target.filter(|task| task.is_available(&seen.observed)).filter_map(|task| task.ready_since());
    available.max().map(|since| since + seen.observed.wanted.min_ready).max(activated)
}

/// Events for what has just become so.
pub(super) fn tell(seen: &Seen, plan: &Plan, status: &ServiceStatus, ctx: &Context) {
    let before = seen.service.status.clone().unwrap_or_default();
    for waiting in plan.waiting.iter().filter(|waiting| waiting.failures >= CRASH_LOOP).take(BACKOFFS_MAX) {
        let until = whole_seconds(waiting.until);
        let instance = i32::try_from(waiting.instance).unwrap_or(i32::MAX);
        if before.backoffs.iter().any(|old| old.instance == instance && old.until.0 == until) {
            continue;
        }
        let task = &seen.tasks[waiting.last];
        let seconds = waiting.until.duration_since(seen.observed.now).as_secs_f64().ceil();
        let name = task.metadata.name.as_deref().unwrap_or_default();
        let message = format!(
            "instance {} failed {} times in a row and starts again in {seconds} s; {name}: {}",
            waiting.instance,
            waiting.failures,
            detail::ending(task),
        );
        ctx.event(&*seen.service, EventType::Warning, "BackOff", message);
    }
    let reason = |status: &ServiceStatus| condition::find(&status.conditions, PROGRESSING).map(|c| c.reason.clone());
    let (old, new) = (reason(&before), reason(status));
    if old == new && before.current_revision == status.current_revision {
        return;
    }
    let message = condition::find(&status.conditions, PROGRESSING).map(|c| c.message.clone()).unwrap_or_default();
    match new.as_deref() {
        Some(ROLLED_OUT) => ctx.event(&*seen.service, EventType::Normal, ROLLED_OUT, message),
        Some(DEADLINE_EXCEEDED) => ctx.event(&*seen.service, EventType::Warning, DEADLINE_EXCEEDED, message),
        _ => {}
    }
}
