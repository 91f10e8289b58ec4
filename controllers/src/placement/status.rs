//! What placement says in a task's status: pure, from the task and the reason to what is applied.

use berth_types::{Task, condition};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::{Value, json};

/// The condition that placement keeps.
pub(crate) const SCHEDULED: &str = "Scheduled";
/// Reason of tasks that no node fits, and their word in tables.
pub(crate) const UNSCHEDULABLE: &str = "Unschedulable";

/// The status to apply to a task that is not placed, or `None` when it says so already.
pub(crate) fn unschedulable(task: &Task, why: &str, now: &Time) -> Option<Value> {
    let status = task.status.as_ref();
    let old = status.and_then(|status| condition::find(&status.conditions, SCHEDULED));
    if old.is_some_and(|old| old.status == "False" && old.reason == UNSCHEDULABLE && old.message == why) {
        return None;
    }
    let since = old.filter(|old| old.status == "False").map_or(now, |old| &old.last_transition_time);
    let condition = condition::condition(SCHEDULED, Some(false), UNSCHEDULABLE, why, task.metadata.generation, since);
    Some(json!({
        "phase": "Pending",
        "reason": UNSCHEDULABLE,
        "summary": UNSCHEDULABLE,
        "message": why,
        "conditions": [condition],
    }))
}

/// The status to apply to a task that has a node, or `None` when it says so already. It names the condition only:
/// what placement had said about waiting goes with it.
pub(crate) fn scheduled(task: &Task, now: &Time) -> Option<Value> {
    let node = task.spec.node_name.as_deref()?;
    let old = task.status.as_ref().and_then(|status| condition::find(&status.conditions, SCHEDULED));
    if old.is_some_and(|old| old.status == "True") {
        return None;
    }
    let message = format!("placed on node {node}");
    let condition = condition::condition(SCHEDULED, Some(true), "Placed", message, task.metadata.generation, now);
    Some(json!({ "conditions": [condition] }))
}

#[cfg(test)]
mod tests {
    use k8s_openapi::jiff::Timestamp;

    use super::*;

    fn at(second: i64) -> Time {
        Time(Timestamp::from_second(second).unwrap())
    }

    fn with_status(status: &Value) -> Task {
        serde_json::from_value(json!({
            "apiVersion": "berth.dev/v1", "kind": "Task", "metadata": {"name": "t"},
            "spec": {"containers": [], "nodeName": "n"}, "status": status,
        }))
        .unwrap()
    }

    #[test]
    fn the_same_explanation_is_written_once_and_its_time_stays() {
        let first = unschedulable(&with_status(&json!({})), "no", &at(1)).unwrap();
        assert_eq!(first["conditions"][0]["lastTransitionTime"], "1970-01-01T00:00:01Z");
        let waiting = with_status(&first);
        assert_eq!(unschedulable(&waiting, "no", &at(2)), None);
        let second = unschedulable(&waiting, "still no", &at(2)).unwrap();
        assert_eq!(second["conditions"][0]["lastTransitionTime"], "1970-01-01T00:00:01Z");
    }

    #[test]
    fn being_placed_is_said_once_and_ends_what_was_said_before() {
        let waiting = with_status(&unschedulable(&with_status(&json!({})), "no", &at(1)).unwrap());
        let placed = scheduled(&waiting, &at(5)).unwrap();
        assert_eq!(placed["conditions"][0]["status"], "True");
        assert_eq!(placed.get("summary"), None);
        assert_eq!(scheduled(&with_status(&placed), &at(6)), None);
    }
}
