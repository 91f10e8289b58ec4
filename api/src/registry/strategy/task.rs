//! Tasks: what runs is fixed; where it runs is decided once.

use berth_schema::FieldError;
use serde_json::{Map, Value, json};

use super::template;

/// Seconds between SIGTERM and SIGKILL when a task does not say.
const GRACE_SECONDS: i64 = 30;

/// Fields of the spec that placement sets once.
const SET_ONCE: &[&str] = &["nodeName", "allocatedPorts"];

pub(super) fn validate(new: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
    let Some(old) = old else {
        template::validate(new, "spec", errors);
        return;
    };
    let empty = Map::new();
    let before = old["spec"].as_object().unwrap_or(&empty);
    let after = new["spec"].as_object().unwrap_or(&empty);
    for name in SET_ONCE {
        let was = before.get(*name).filter(|v| !v.is_null() && **v != json!("") && **v != json!([]));
        let is = after.get(*name);
        if was.is_some() && is != was {
            errors.push(FieldError::forbidden(
                format!("spec.{name}"),
                "field can be set only once: a task stays where it was placed",
            ));
        }
    }
    let mut names: Vec<&String> = before.keys().chain(after.keys()).collect();
    names.sort();
    names.dedup();
    for name in names.into_iter().filter(|name| !SET_ONCE.contains(&name.as_str())) {
        if before.get(name) != after.get(name) {
            errors.push(FieldError::forbidden(
                format!("spec.{name}"),
                "field is immutable: a task runs once; change its owner's template instead",
            ));
        }
    }
}

/// Only a task that an agent holds takes time to end.
pub(super) fn grace_seconds(task: &Value) -> Option<i64> {
    let wanted = task.pointer("/spec/terminationGracePeriodSeconds").and_then(Value::as_i64);
    Some(wanted.unwrap_or(GRACE_SECONDS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn fields(old: Value, new: Value) -> Vec<String> {
        let mut errors = Vec::new();
        validate(&json!({"spec": new}), Some(&json!({"spec": old})), &mut errors);
        errors.into_iter().map(|e| e.field).collect()
    }

    #[test]
    fn a_task_is_placed_once_and_never_changed() {
        let plain = json!({"containers": [{"name": "a", "shell": "true"}]});
        let placed =
            json!({"containers": [{"name": "a", "shell": "true"}], "nodeName": "n1", "allocatedPorts": [{"port": 1}]});
        assert_eq!(fields(plain.clone(), placed.clone()), Vec::<String>::new());
        assert_eq!(fields(placed.clone(), plain.clone()), ["spec.nodeName", "spec.allocatedPorts"]);
        assert_eq!(fields(plain, json!({"containers": [{"name": "a", "shell": "false"}]})), ["spec.containers"]);
        assert_eq!(fields(placed.clone(), placed), Vec::<String>::new());
    }
}
