//! Flow schemas and priority levels: defaults here, rules where requests are queued by them.

use berth_flow::validate::{Problem, flow_schema, priority_level};
use berth_schema::{CauseReason, FieldError};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::checks::{fill, members, text};

pub(super) fn prepare_schema(object: &mut Value) {
    if let Some(spec) = members(object, "spec") {
        fill_zero(spec, "matchingPrecedence", 1000);
    }
}

pub(super) fn prepare_level(object: &mut Value) {
    let Some(spec) = object.get_mut("spec") else { return };
    if let Some(exempt) = members(spec, "exempt") {
        fill(exempt, "nominalConcurrencyShares", 0);
        fill(exempt, "lendablePercent", 0);
    }
    let Some(limited) = members(spec, "limited") else { return };
    fill(limited, "nominalConcurrencyShares", 30);
    fill(limited, "lendablePercent", 0);
    if let Some(queuing) = limited.get_mut("limitResponse").and_then(|response| members(response, "queuing")) {
        fill_zero(queuing, "queues", 64);
        fill_zero(queuing, "handSize", 8);
        fill_zero(queuing, "queueLengthLimit", 50);
    }
}

/// Fills in a number that is absent or zero.
fn fill_zero(members: &mut Map<String, Value>, name: &str, default: i64) {
    if members.get(name).is_none_or(|v| v.is_null() || v.as_i64() == Some(0)) {
        members.insert(name.to_owned(), default.into());
    }
}

pub(super) fn validate_schema(new: &Value, _old: Option<&Value>, errors: &mut Vec<FieldError>) {
    check(new, flow_schema, errors);
}

pub(super) fn validate_level(new: &Value, _old: Option<&Value>, errors: &mut Vec<FieldError>) {
    check(new, priority_level, errors);
}

/// A spec of the wrong types is blamed by the schema.
fn check<T: DeserializeOwned>(object: &Value, rules: fn(&str, &T) -> Vec<Problem>, errors: &mut Vec<FieldError>) {
    let spec = if object["spec"].is_null() { Value::Object(Map::new()) } else { object["spec"].clone() };
    let Ok(spec) = serde_json::from_value::<T>(spec) else { return };
    for Problem { field, reason, message } in rules(text(&object["metadata"]["name"]), &spec) {
        errors.push(FieldError { field, reason: reason_of(reason), detail: message });
    }
}

fn reason_of(reason: &str) -> CauseReason {
    match reason {
        "FieldValueRequired" => CauseReason::Required,
        "FieldValueForbidden" => CauseReason::Forbidden,
        "FieldValueNotSupported" => CauseReason::NotSupported,
        "FieldValueDuplicate" => CauseReason::Duplicate,
        _ => CauseReason::Invalid,
    }
}
