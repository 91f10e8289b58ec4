//! Events: what they tell of must live in their namespace. One storage, two shapes: that of the core group is stored,
//! that of `events.k8s.io` has other names for the same things and stricter rules.

use berth_schema::FieldError;
use serde_json::{Value, json};

use super::checks::{immutable, member, text};
use crate::write::meta::bad_qualified_name;

/// The most bytes of a reason, an action and a reporting instance.
const WORD_BYTES_MAX: usize = 128;
/// The most bytes of a message.
const MESSAGE_BYTES_MAX: usize = 1024;

/// Stored name and the name in `events.k8s.io`.
const NAMES: &[(&str, &str)] = &[
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
    ("reportingComponent", "reportingController"),
];

/// From the stored shape to that of `events.k8s.io`.
pub(crate) fn to_group(object: &mut Value) {
    rename(object, |(stored, shown)| (stored, shown));
}

/// From the shape of `events.k8s.io` to the stored one.
pub(super) fn to_core(object: &mut Value) {
    rename(object, |(stored, shown)| (shown, stored));
}

fn rename(object: &mut Value, pair: fn((&'static str, &'static str)) -> (&'static str, &'static str)) {
    let Some(root) = object.as_object_mut() else { return };
    for (from, to) in NAMES.iter().copied().map(pair) {
        if let Some(value) = root.remove(from) {
            root.insert(to.to_owned(), value);
        }
    }
}

/// Where a field of `events.k8s.io` is stored.
pub(super) fn stored_field(field: &str) -> &str {
    match field {
        "regarding.kind" => "involvedObject.kind",
        "regarding.namespace" => "involvedObject.namespace",
        "regarding.name" => "involvedObject.name",
        "regarding.uid" => "involvedObject.uid",
        "regarding.apiVersion" => "involvedObject.apiVersion",
        "regarding.resourceVersion" => "involvedObject.resourceVersion",
        "regarding.fieldPath" => "involvedObject.fieldPath",
        "reportingController" => "reportingComponent",
        other => other,
    }
}

/// An Event of the core group.
pub(super) fn validate(new: &Value, _old: Option<&Value>, errors: &mut Vec<FieldError>) {
    let involved = member(new, "involvedObject", "namespace");
    let own = text(&new["metadata"]["namespace"]);
    let named = text(involved);
    let strays = || FieldError::invalid("involvedObject.namespace", &named.into(), "does not match event.namespace");
    if is_unset(&new["eventTime"]) {
        // Events of cluster-wide objects go to `default`.
        if named != own && !(named.is_empty() && own == "default") {
            errors.push(strays());
        }
        return;
    }
    // With a time of its own the Event is of the newer form, wherever it was posted.
    if named.is_empty() && own != "default" && own != "kube-system" {
        errors.push(strays());
    }
    let controller = text(&new["reportingComponent"]);
    if controller.is_empty() {
        errors.push(FieldError::required("reportingController", ""));
    }
    if let Some(why) = bad_qualified_name(controller) {
        errors.push(FieldError::invalid("reportingController", &controller.into(), &why));
    }
    for field in ["reportingInstance", "action", "reason"] {
        let word = text(&new[field]);
        if word.is_empty() {
            errors.push(FieldError::required(field, ""));
        }
        if word.len() > WORD_BYTES_MAX {
            let message = format!("can have at most {WORD_BYTES_MAX} characters");
            errors.push(FieldError::invalid(field, &"".into(), &message));
        }
    }
    if text(&new["message"]).len() > MESSAGE_BYTES_MAX {
        let message = format!("can have at most {MESSAGE_BYTES_MAX} characters");
        errors.push(FieldError::invalid("message", &"".into(), &message));
    }
}

/// An Event of `events.k8s.io`: the rules of the stored shape, and stricter ones. Errors name the stored fields, as
/// Kubernetes' do.
pub(super) fn validate_group(new: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
    let mut stored = new.clone();
    to_core(&mut stored);
    validate(&stored, None, errors);
    if let Some(old) = old {
        let mut before = old.clone();
        to_core(&mut before);
        if before["series"] != stored["series"] {
            validate_series(&stored, errors);
        }
        for field in [
            "involvedObject",
            "reason",
            "message",
            "source",
            "firstTimestamp",
            "lastTimestamp",
            "count",
            "type",
            "eventTime",
            "action",
            "related",
        ] {
            immutable(field, &stored[field], &before[field], errors);
        }
        immutable("reportingController", &stored["reportingComponent"], &before["reportingComponent"], errors);
        immutable("reportingInstance", &stored["reportingInstance"], &before["reportingInstance"], errors);
        return;
    }
    validate_series(&stored, errors);
    if is_unset(&stored["eventTime"]) {
        errors.push(FieldError::required("eventTime", ""));
    }
    let kind = text(&stored["type"]);
    if kind != "Normal" && kind != "Warning" {
        errors.push(FieldError::invalid("type", &"".into(), &format!("has invalid value: {kind}")));
    }
    for field in ["firstTimestamp", "lastTimestamp", "count", "source"] {
        let value = &stored[field];
        let source_is_set = || {
            !text(member(&stored, "source", "component")).is_empty()
                || !text(member(&stored, "source", "host")).is_empty()
        };
        let is_set = match field {
            "source" => source_is_set(),
            "count" => value.as_i64().is_some_and(|count| count != 0),
            _ => !is_unset(value),
        };
        if is_set {
            errors.push(FieldError::invalid(field, &"".into(), "needs to be unset"));
        }
    }
}

fn validate_series(event: &Value, errors: &mut Vec<FieldError>) {
    let series = &event["series"];
    if !series.is_object() {
        return;
    }
    if series["count"].as_i64().unwrap_or(0) < 2 {
        errors.push(FieldError::invalid("series.count", &json!(""), "should be at least 2"));
    }
    if is_unset(&series["lastObservedTime"]) {
        errors.push(FieldError::required("series.lastObservedTime", ""));
    }
}

fn is_unset(time: &Value) -> bool {
    text(time).is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_shapes_are_one_event() {
        let stored = json!({
            "involvedObject": {"name": "a"}, "message": "m", "source": {"component": "c"}, "count": 2, "reason": "R",
            "reportingComponent": "x.y/z", "series": {"count": 3},
        });
        let mut event = stored.clone();
        to_group(&mut event);
        assert_eq!(
            event,
            json!({
                "regarding": {"name": "a"}, "note": "m", "deprecatedSource": {"component": "c"}, "deprecatedCount": 2,
                "reason": "R", "reportingController": "x.y/z", "series": {"count": 3},
            })
        );
        to_core(&mut event);
        assert_eq!(event, stored);
    }
}
