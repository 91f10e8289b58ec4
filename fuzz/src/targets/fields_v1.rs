//! Owners' sets of fields as clients send them: whatever they say, an apply over them works or is refused, and what it
//! writes is read again as it is.

use berth_schema::managed::{ApplyInput, ResetFields, apply, track_update};
use serde_json::json;

use super::apply::widget;
use crate::input;

pub(crate) fn run(bytes: &[u8]) {
    let Some(fields) = input::text(bytes).and_then(input::json) else { return };
    let entry = |manager: &str, operation: &str| {
        json!({"manager": manager, "operation": operation, "apiVersion": "demo.example.com/v1",
            "time": "2026-01-01T00:00:00Z", "fieldsType": "FieldsV1", "fieldsV1": fields})
    };
    let live = json!({"apiVersion": "demo.example.com/v1", "kind": "Widget",
        "metadata": {"name": "a", "managedFields": [entry("m", "Apply"), entry("other", "Update")]},
        "spec": {"color": "red", "tags": ["a", "b"], "ports": [{"port": 1, "proto": "TCP", "name": "x"}],
            "map": {"k": {"a": 1}}, "free": {"x": [1, {"y": 2}]}}});
    let applied = json!({"apiVersion": "demo.example.com/v1", "kind": "Widget", "metadata": {"name": "a"},
        "spec": {"color": "red", "ports": [{"port": 2, "proto": "UDP"}]}});
    let mut input = ApplyInput {
        schema: widget(),
        live: Some(&live),
        applied: &applied,
        manager: "m",
        subresource: "",
        api_version: "demo.example.com/v1",
        force: true,
        now: jiff::Timestamp::UNIX_EPOCH,
        reset: ResetFields::Status,
    };
    if let Ok(once) = apply(&input) {
        input.live = Some(&once);
        assert_eq!(apply(&input).as_ref(), Ok(&once), "a second apply changes nothing");
    }
    let mut updated = live.clone();
    updated["spec"]["color"] = "blue".into();
    track_update(widget(), Some(&live), &mut updated, "u", "demo.example.com/v1", "", jiff::Timestamp::UNIX_EPOCH);
    let once = updated.clone();
    track_update(widget(), Some(&once), &mut updated, "u", "demo.example.com/v1", "", jiff::Timestamp::UNIX_EPOCH);
    assert_eq!(updated, once, "an update that changes nothing owns nothing more");
}
