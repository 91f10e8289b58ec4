//! What to do about a node, decided from what is seen of it: pure.

use std::time::Duration;

use berth_types::names::{FINALIZER_AGENT, TAINT_UNREACHABLE};
use berth_types::{Node, Task, TaskPhase, condition};
use k8s_openapi::api::core::v1::{Taint, Toleration};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, MicroTime, Time};
use k8s_openapi::jiff::Timestamp;

/// Reason in conditions of a node, and of its tasks, that is not heard of.
pub(crate) const NODE_UNREACHABLE: &str = "NodeUnreachable";

/// How long is waited before what.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// A node whose Lease does not say how long it lasts, or that has none.
    pub lease: Duration,
    /// From unreachable to the taint that drives tasks away which do not tolerate it.
    pub no_execute: Duration,
    /// From unreachable until its tasks are deleted, so that their owners replace them.
    pub eviction: Duration,
    /// From a node's object gone until its tasks are deleted: an agent that lives makes its object again.
    pub gone: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(40),
            no_execute: Duration::from_secs(60),
            eviction: Duration::from_secs(300),
            gone: Duration::from_secs(5),
        }
    }
}

/// How a node stands, by what was heard of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Contact {
    /// Heard of in time; to be looked at again after so long.
    Heard { recheck: Duration },
    /// Silent since so long after its Lease ran out.
    Silent { since: Duration },
}

/// What was heard of a node, by this machine's clock: clocks of nodes may differ; that something changed does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Heard {
    /// The Lease's renewTime, only to see that it changes.
    renewed: Option<MicroTime>,
    at: Timestamp,
    /// When it was found out that the Lease ran out. Silence counts from here: a machine that slept finds all
    /// Leases long run out when it wakes, and has no right to be impatient then.
    silent_at: Option<Timestamp>,
}

impl Heard {
    /// Seen for the first time: a manager that just started gives every node one Lease's time.
    pub(crate) fn first(renewed: Option<MicroTime>, now: Timestamp) -> Self {
        Self { renewed, at: now, silent_at: None }
    }

    /// Judges a Lease that lasts so long and was renewed at `renewed`; `None` when there is no Lease any more.
    pub(crate) fn judge(&mut self, renewed: Option<Option<MicroTime>>, lasts: Duration, now: Timestamp) -> Contact {
        if let Some(renewed) = renewed
            && self.renewed != renewed
        {
            *self = Self::first(renewed, now);
        }
        let passed = |from: Timestamp| Duration::try_from(now.duration_since(from)).unwrap_or_default();
        match lasts.checked_sub(passed(self.at)) {
            Some(recheck) if !recheck.is_zero() => Contact::Heard { recheck },
            _ => Contact::Silent { since: passed(*self.silent_at.get_or_insert(now)) },
        }
    }
}

/// The taints that a node should have, or `None` when it has them. Others than ours stay.
pub(crate) fn taints(node: &Node, contact: Contact, patience: &Patience, now: &Time) -> Option<Vec<Taint>> {
    let wanted: &[&str] = match contact {
        Contact::Heard { .. } => &[],
        Contact::Silent { since } if since >= patience.no_execute => &["NoSchedule", "NoExecute"],
        Contact::Silent { .. } => &["NoSchedule"],
    };
    let is_ours = |taint: &&Taint| taint.key == TAINT_UNREACHABLE;
    let has: Vec<&str> = node.spec.taints.iter().filter(is_ours).map(|taint| taint.effect.as_str()).collect();
    if has == wanted {
        return None;
    }
    let mut taints: Vec<Taint> = node.spec.taints.iter().filter(|taint| !is_ours(taint)).cloned().collect();
    taints.extend(wanted.iter().map(|effect| {
        let old = node.spec.taints.iter().find(|taint| is_ours(taint) && taint.effect == *effect);
        old.cloned().unwrap_or_else(|| Taint {
            key: TAINT_UNREACHABLE.to_owned(),
            effect: (*effect).to_owned(),
            value: None,
            time_added: Some(now.clone()),
        })
    }));
    Some(taints)
}

/// The node's Ready condition when it is silent, or `None` when it says so already.
pub(crate) fn silent_ready(node: &Node, now: &Time) -> Option<Condition> {
    let conditions = node.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    let old = condition::find(conditions, "Ready");
    if old.is_some_and(|old| old.status == "Unknown") {
        return None;
    }
    Some(condition::condition(
        "Ready",
        None,
        NODE_UNREACHABLE,
        "the node's agent stopped renewing its Lease",
        None,
        now,
    ))
}

/// The node's Ready condition when it speaks again after a silence, or `None` when nobody had said otherwise. Its
/// agent may say better, and then wins.
pub(crate) fn heard_ready(node: &Node, now: &Time) -> Option<Condition> {
    let conditions = node.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    condition::find(conditions, "Ready").filter(|old| old.status == "Unknown" && old.reason == NODE_UNREACHABLE)?;
    Some(condition::condition("Ready", Some(true), "NodeReachable", "the node's agent renews its Lease", None, now))
}

/// What a task that was said to be unknown is as far as its containers' last states tell: phase and whether it is
/// ready. `None` when nobody said that. Its agent may know better, and then says so.
pub(crate) fn heard_task(task: &Task) -> Option<(TaskPhase, bool)> {
    let status = task.status.as_ref()?;
    if status.phase != TaskPhase::Unknown || status.reason.as_deref() != Some(NODE_UNREACHABLE) {
        return None;
    }
    let main = &task.spec.template.containers;
    let state = |name: &str| status.containers.iter().find(|container| container.name == name);
    let runs = main.iter().all(|container| state(&container.name).is_some_and(|state| state.state.running.is_some()));
    let ready = main.iter().all(|container| state(&container.name).is_some_and(|state| state.ready));
    Some(if runs { (TaskPhase::Running, ready) } else { (TaskPhase::Starting, false) })
}

/// What to do about one task of a silent node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TaskStep {
    /// Say that it may or may not run.
    TellUnknown,
    /// Delete it, so that its owner replaces it.
    Evict,
}

/// What to do about a task of a node that has been silent for `since`.
pub(crate) fn of_silent_node(task: &Task, since: Duration, patience: &Patience) -> Option<TaskStep> {
    if phase(task).is_terminal() || task.metadata.deletion_timestamp.is_some() {
        return None;
    }
    if since >= tolerates_for(task, patience)? {
        return Some(TaskStep::Evict);
    }
    (phase(task) != TaskPhase::Unknown).then_some(TaskStep::TellUnknown)
}

/// How long the task stays bound to a silent node: `tolerationSeconds` from the NoExecute taint on, for ever when
/// it tolerates the taint without a time (`Some(MAX)`).
fn tolerates_for(task: &Task, patience: &Patience) -> Option<Duration> {
    let ours = task.spec.template.tolerations.iter().filter(|toleration| covers_unreachable(toleration));
    let mut longest = None;
    for toleration in ours {
        let time = match toleration.toleration_seconds {
            None => Duration::MAX,
            Some(seconds) => patience.no_execute + Duration::from_secs(u64::try_from(seconds).unwrap_or(0)),
        };
        longest = longest.max(Some(time));
    }
    Some(longest.unwrap_or(patience.eviction))
}

fn covers_unreachable(toleration: &Toleration) -> bool {
    let is_key = toleration.key.as_deref().filter(|key| !key.is_empty());
    let is_effect = toleration.effect.as_deref().filter(|effect| !effect.is_empty());
    let is_any = toleration.operator.as_deref() == Some("Exists");
    is_key.map_or(is_any, |key| key == TAINT_UNREACHABLE)
        && is_effect.is_none_or(|effect| effect == "NoExecute")
        && (is_any || toleration.value.as_deref().unwrap_or("").is_empty())
}

/// How soon a silent node has to be looked at again, because something more is due then.
pub(crate) fn recheck(since: Duration, tasks: &[impl AsRef<Task>], patience: &Patience) -> Option<Duration> {
    let live = tasks.iter().map(AsRef::as_ref).filter(|task| task.metadata.deletion_timestamp.is_none());
    let live = live.filter(|task| !phase(task).is_terminal());
    let due = live.filter_map(|task| tolerates_for(task, patience)).chain([patience.no_execute]);
    due.filter(|due| *due > since).min().filter(|due| *due != Duration::MAX).map(|due| due - since)
}

/// Whether a task of a node that is gone for good is held back by an agent that will never let go of it.
pub(crate) fn is_held_by_agent(task: &Task) -> bool {
    task.metadata.finalizers.iter().flatten().any(|finalizer| finalizer == FINALIZER_AGENT)
}

pub(crate) fn phase(task: &Task) -> TaskPhase {
    task.status.as_ref().map_or(TaskPhase::Pending, |status| status.phase)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const PATIENCE: Patience = Patience {
        lease: Duration::from_secs(40),
        no_execute: Duration::from_secs(60),
        eviction: Duration::from_secs(300),
        gone: Duration::from_secs(5),
    };

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    fn now() -> Time {
        Time(Timestamp::from_second(7).unwrap())
    }

    fn task(phase: &str, tolerations: serde_json::Value) -> Task {
        serde_json::from_value(json!({
            "apiVersion": "berth.dev/v1", "kind": "Task", "metadata": {"name": "t"},
            "spec": {"containers": [], "nodeName": "n", "tolerations": tolerations}, "status": {"phase": phase},
        }))
        .unwrap()
    }

    #[test]
    fn a_lease_is_judged_by_how_long_it_was_not_seen_to_change() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let lease = |second| Some(Some(MicroTime(at(second))));
        let mut heard = Heard::first(lease(1).flatten(), at(1000));
        assert_eq!(heard.judge(lease(1), seconds(40), at(1010)), Contact::Heard { recheck: seconds(30) });
        assert_eq!(heard.judge(lease(2), seconds(40), at(1030)), Contact::Heard { recheck: seconds(40) });
        // Looked at late: the silence counts from now.
        assert_eq!(heard.judge(lease(2), seconds(40), at(5000)), Contact::Silent { since: seconds(0) });
        assert_eq!(heard.judge(None, seconds(40), at(5060)), Contact::Silent { since: seconds(60) });
        assert_eq!(heard.judge(lease(3), seconds(40), at(5061)), Contact::Heard { recheck: seconds(40) });
    }

    #[test]
    fn taints_come_in_two_steps_go_together_and_leave_others_alone() {
        let other = json!([{"key": "gpu", "effect": "NoSchedule"}]);
        let mut node: Node = serde_json::from_value(json!({
            "apiVersion": "berth.dev/v1", "kind": "Node", "metadata": {"name": "n"}, "spec": {"taints": other},
        }))
        .unwrap();
        let effects = |taints: &[Taint]| taints.iter().map(|t| format!("{}:{}", t.key, t.effect)).collect::<Vec<_>>();
        let silent = |since| Contact::Silent { since: seconds(since) };
        let heard = Contact::Heard { recheck: seconds(1) };

        assert_eq!(taints(&node, heard, &PATIENCE, &now()), None);
        node.spec.taints = taints(&node, silent(0), &PATIENCE, &now()).unwrap();
        assert_eq!(effects(&node.spec.taints), ["gpu:NoSchedule", "berth.dev/unreachable:NoSchedule"]);
        assert_eq!(taints(&node, silent(59), &PATIENCE, &now()), None);
        node.spec.taints = taints(&node, silent(60), &PATIENCE, &now()).unwrap();
        assert_eq!(node.spec.taints.len(), 3);
        assert_eq!(effects(&taints(&node, heard, &PATIENCE, &now()).unwrap()), ["gpu:NoSchedule"]);
    }

    #[test]
    fn tasks_are_told_first_and_evicted_when_patience_ends() {
        let running = task("Running", json!([]));
        assert_eq!(of_silent_node(&running, seconds(0), &PATIENCE), Some(TaskStep::TellUnknown));
        assert_eq!(of_silent_node(&task("Unknown", json!([])), seconds(9), &PATIENCE), None);
        assert_eq!(of_silent_node(&task("Unknown", json!([])), seconds(300), &PATIENCE), Some(TaskStep::Evict));
        assert_eq!(of_silent_node(&task("Failed", json!([])), seconds(900), &PATIENCE), None);
    }

    #[test]
    fn a_task_that_is_heard_of_again_is_what_its_containers_last_were() {
        let mut lost = task("Unknown", json!([]));
        lost.spec.template.containers = vec![berth_types::Container { name: "c".into(), ..Default::default() }];
        assert_eq!(heard_task(&lost), None);
        let status = lost.status.as_mut().unwrap();
        status.reason = Some(NODE_UNREACHABLE.to_owned());
        status.containers =
            serde_json::from_value(json!([{"name": "c", "ready": true, "state": {"running": {}}}])).unwrap();
        assert_eq!(heard_task(&lost), Some((TaskPhase::Running, true)));
        lost.status.as_mut().unwrap().containers.clear();
        assert_eq!(heard_task(&lost), Some((TaskPhase::Starting, false)));
    }

    #[test]
    fn a_toleration_shortens_or_lengthens_the_wait() {
        let unreachable = |more: serde_json::Value| {
            let mut toleration = json!({"key": "berth.dev/unreachable", "operator": "Exists", "effect": "NoExecute"});
            toleration.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            task("Unknown", json!([toleration]))
        };
        assert_eq!(of_silent_node(&unreachable(json!({})), seconds(9999), &PATIENCE), None);
        let short = unreachable(json!({"tolerationSeconds": 5}));
        assert_eq!(of_silent_node(&short, seconds(64), &PATIENCE), None);
        assert_eq!(of_silent_node(&short, seconds(65), &PATIENCE), Some(TaskStep::Evict));
        assert_eq!(recheck(seconds(60), &[Box::new(short)], &PATIENCE), Some(seconds(5)));
        assert_eq!(recheck(seconds(60), &[Box::new(unreachable(json!({})))], &PATIENCE), None);
    }
}
