//! Reads what matters for a service from the local stores.

use std::sync::Arc;

use berth_types::names::{LABEL_INSTANCE, LABEL_REVISION};
use berth_types::{BackoffPolicy, Revision, Service, ServiceSpec, Task, TaskPhase, UpdateStrategyType, condition};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use k8s_openapi::jiff::{SignedDuration, Timestamp};

use super::names;
use super::plan::{Life, Observed, Policy, RevisionView, Strategy, TaskView, Wanted};
use crate::driver::{Context, Key};

/// A service and all that is its own, as it is and as the plan sees it.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) service: Arc<Service>,
    /// In the order of `observed.tasks`.
    pub(super) tasks: Vec<Arc<Task>>,
    pub(super) revisions: Vec<Arc<Revision>>,
    pub(super) observed: Observed,
}

impl Seen {
    pub(super) fn name(&self) -> &str {
        self.service.metadata.name.as_deref().unwrap_or_default()
    }

    pub(super) fn namespace(&self) -> &str {
        self.service.metadata.namespace.as_deref().unwrap_or_default()
    }

    pub(super) fn revision(&self, hash: &str) -> Option<&Arc<Revision>> {
        self.revisions.iter().find(|revision| hash_of(revision) == hash)
    }
}

/// `None` when there is nothing to keep in shape: the service is gone, or on its way out with all it owns.
pub(super) fn observe(key: &Key, ctx: &Context) -> Option<Seen> {
    let service = ctx.store::<Service>().get(key)?;
    if service.metadata.deletion_timestamp.is_some() {
        return None;
    }
    let uid = service.metadata.uid.clone()?;
    let mut tasks = ctx.store::<Task>().owned_by(&uid);
    tasks.sort_unstable_by(|a, b| a.metadata.name.cmp(&b.metadata.name));
    let revisions = ctx.store::<Revision>().owned_by(&uid);
    let observed = Observed {
        now: ctx.now(),
        wanted: wanted(&service.spec),
        revisions: revisions.iter().map(|revision| revision_view(revision, &service)).collect(),
        fresh_hash: fresh_hash(&service, &revisions),
        tasks: tasks.iter().map(|task| task_view(task, &key.name)).collect(),
        missing: missing(&service, key, ctx),
    };
    Some(Seen { service, tasks, revisions, observed })
}

pub(super) fn wanted(spec: &ServiceSpec) -> Wanted {
    let replicas = u32::try_from(spec.replicas).unwrap_or(0);
    Wanted {
        replicas,
        strategy: strategy(spec, replicas),
        min_ready: SignedDuration::from_secs(i64::from(spec.min_ready_seconds.max(0))),
        history: usize::try_from(spec.revision_history_limit).unwrap_or(0),
        backoff: policy(&spec.backoff),
        paused: spec.paused,
    }
}

fn strategy(spec: &ServiceSpec, replicas: u32) -> Strategy {
    if spec.update.strategy == UpdateStrategyType::Recreate {
        return Strategy::Recreate;
    }
    let max_surge = resolve(&spec.update.max_surge, replicas, true);
    let max_unavailable = resolve(&spec.update.max_unavailable, replicas, false).min(replicas);
    // With neither, no step could ever be taken; Kubernetes decides the same.
    let max_unavailable = if max_surge == 0 && max_unavailable == 0 { 1 } else { max_unavailable };
    Strategy::Rolling { max_surge, max_unavailable }
}

/// A number, or a percentage of `replicas`. What cannot be read is 0.
fn resolve(value: &IntOrString, replicas: u32, up: bool) -> u32 {
    match value {
        IntOrString::Int(number) => u32::try_from(*number).unwrap_or(0),
        IntOrString::String(text) => {
            let Some(percent) = text.strip_suffix('%').and_then(|number| number.trim().parse::<u32>().ok()) else {
                return text.trim().parse().unwrap_or(0);
            };
            let product = u64::from(percent) * u64::from(replicas);
            let whole = if up { product.div_ceil(100) } else { product / 100 };
            u32::try_from(whole).unwrap_or(u32::MAX)
        }
    }
}

fn policy(backoff: &BackoffPolicy) -> Policy {
    let seconds = |number: i32| SignedDuration::from_secs(i64::from(number.max(0)));
    Policy {
        first: seconds(backoff.seconds),
        factor_percent: u32::try_from(backoff.factor_percent).unwrap_or(100).max(100),
        max: seconds(backoff.max_seconds),
        reset_after: seconds(backoff.reset_after_seconds.max(1)),
    }
}

pub(super) fn hash_of(revision: &Revision) -> &str {
    let labels = revision.metadata.labels.as_ref();
    labels.and_then(|labels| labels.get(LABEL_REVISION)).map_or("", String::as_str)
}

fn revision_view(revision: &Revision, service: &Service) -> RevisionView {
    RevisionView {
        hash: hash_of(revision).to_owned(),
        number: revision.spec.revision,
        is_wanted: revision.spec.template == service.spec.template,
    }
}

/// The template's hash; another one when a different template has it already.
fn fresh_hash(service: &Service, revisions: &[Arc<Revision>]) -> String {
    let template = &service.spec.template;
    if let Some(known) = revisions.iter().find(|revision| revision.spec.template == *template) {
        return hash_of(known).to_owned();
    }
    let mut salt = 0;
    loop {
        let hash = names::hash(template, salt);
        if !revisions.iter().any(|revision| hash_of(revision) == hash) {
            return hash;
        }
        salt += 1;
    }
}

fn task_view(task: &Task, service: &str) -> TaskView {
    let meta = &task.metadata;
    let label = |name: &str| meta.labels.as_ref().and_then(|labels| labels.get(name)).map(String::as_str);
    let revision = label(LABEL_REVISION).unwrap_or_default().to_owned();
    // Without its label the task stands for no instance of ours and goes with the next surplus.
    let instance = label(LABEL_INSTANCE).and_then(|text| text.parse().ok()).unwrap_or(u32::MAX);
    let annotation = meta.annotations.as_ref().and_then(|all| all.get(names::ANNOTATION_FAILURES));
    let name = meta.name.as_deref().unwrap_or_default();
    let created = meta.creation_timestamp.as_ref().map_or(Timestamp::UNIX_EPOCH, |time| time.0);
    TaskView {
        attempt: names::attempt(name, service, &revision, instance),
        failures: annotation.and_then(|text| text.parse().ok()).unwrap_or(0),
        revision,
        instance,
        created,
        bound: task.spec.node_name.is_some(),
        deleting: meta.deletion_timestamp.is_some(),
        life: life(task, created),
    }
}

fn life(task: &Task, created: Timestamp) -> Life {
    let Some(status) = &task.status else { return Life::Pending };
    match status.phase {
        TaskPhase::Pending | TaskPhase::Starting => Life::Pending,
        TaskPhase::Running => {
            let ready = condition::find(&status.conditions, "Ready").filter(|ready| ready.status == "True");
            Life::Running { ready_since: ready.map(|ready| ready.last_transition_time.0) }
        }
        TaskPhase::Stopping => Life::Running { ready_since: None },
        TaskPhase::Unknown => Life::Unknown,
        TaskPhase::Succeeded | TaskPhase::Failed | TaskPhase::Killed => {
            let at = status.finish_time.as_ref().map_or(created, |time| time.0);
            let since = status.start_time.as_ref().map_or(at, |time| time.0);
            Life::Ended { failed: status.phase != TaskPhase::Killed, at, ran: at.duration_since(since) }
        }
    }
}

fn missing(service: &Service, key: &Key, ctx: &Context) -> Vec<String> {
    let is_ready = |name: &String| {
        let other = ctx.store::<Service>().get(&Key::new(&key.namespace, name));
        other.is_some_and(|other| {
            let generation = other.metadata.generation;
            let status = other.status.as_ref();
            status.is_some_and(|s| s.observed_generation >= generation && condition::is_true(&s.conditions, "Ready"))
        })
    };
    service.spec.depends_on.iter().filter(|name| !is_ready(name)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn percent(text: &str) -> IntOrString {
        IntOrString::String(text.to_owned())
    }

    #[test]
    fn surge_rounds_up_and_unavailable_rounds_down() {
        assert_eq!(resolve(&percent("25%"), 3, true), 1);
        assert_eq!(resolve(&percent("25%"), 3, false), 0);
        assert_eq!(resolve(&percent("50%"), 5, true), 3);
        assert_eq!(resolve(&IntOrString::Int(2), 5, true), 2);
        assert_eq!(resolve(&percent("nonsense"), 5, true), 0);
    }

    #[test]
    fn a_strategy_that_allows_nothing_allows_one_to_be_unavailable() {
        let mut spec = ServiceSpec { replicas: 3, ..ServiceSpec::default() };
        spec.update.max_surge = IntOrString::Int(0);
        spec.update.max_unavailable = IntOrString::Int(0);
        assert_eq!(strategy(&spec, 3), Strategy::Rolling { max_surge: 0, max_unavailable: 1 });
    }
}
