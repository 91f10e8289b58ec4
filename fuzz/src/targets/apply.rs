//! Server-side apply of a configuration to a live object: a second time changes nothing, and what is applied is there.

use std::sync::OnceLock;

use berth_schema::Structural;
use berth_schema::managed::{ApplyInput, ResetFields, apply, track_update};
use serde_json::{Value, json};

use crate::input;
use crate::shape::{depth, weight};

/// Maps, sets, lists by key, atomic parts and free ones.
pub(crate) fn widget() -> &'static Structural {
    static SCHEMA: OnceLock<Structural> = OnceLock::new();
    SCHEMA.get_or_init(|| {
        let schema = json!({"type": "object", "properties": {
            "spec": {"type": "object", "properties": {
                "color": {"type": "string"}, "size": {"type": "integer"}, "note": {"type": "string", "nullable": true},
                "tags": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
                "args": {"type": "array", "x-kubernetes-list-type": "atomic", "items": {"type": "string"}},
                "plain": {"type": "array", "items": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}},
                "box": {"type": "object", "x-kubernetes-map-type": "atomic", "x-kubernetes-preserve-unknown-fields": true},
                "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
                "any": {"x-kubernetes-preserve-unknown-fields": true},
                "quota": {"x-kubernetes-int-or-string": true},
                "map": {"type": "object", "additionalProperties": {"type": "object", "properties": {"a": {"type": "integer"}}}},
                "ports": {"type": "array", "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["port", "proto"],
                    "items": {"type": "object", "required": ["port"], "properties": {
                        "port": {"type": "integer"}, "proto": {"type": "string", "default": "TCP"},
                        "name": {"type": "string"},
                        "hosts": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}}}}}}},
            "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}});
        Structural::compile(&schema).unwrap()
    })
}

pub(crate) fn run(bytes: &[u8]) {
    let Some([live, applied, manager]) = input::parts::<3>(bytes) else { return };
    let (Some(live), Some(applied)) = (input::json(live), input::json(applied)) else { return };
    if !live.is_object() || !applied.is_object() {
        return;
    }
    let now = jiff::Timestamp::UNIX_EPOCH;
    let later = now + jiff::SignedDuration::from_secs(60);
    let manager = if manager.is_empty() { "m" } else { manager };
    let mut input = ApplyInput {
        schema: widget(),
        live: Some(&live),
        applied: &applied,
        manager,
        subresource: "",
        api_version: "demo.example.com/v1",
        force: false,
        now,
        reset: ResetFields::Status,
    };
    let _ = apply(&input);
    input.force = true;
    if let Ok(once) = apply(&input) {
        bounded(&once, &live, &applied);
        let mut input = ApplyInput { live: Some(&once), now: later, ..input };
        let twice = apply(&input).expect("what was applied once is applied again");
        assert_eq!(twice, once, "a second apply changes nothing");
        input.force = false;
        assert_eq!(apply(&input).as_ref(), Ok(&once), "nor has the manager a conflict with itself");
        let mut other = once.clone();
        other["spec"]["color"] = "changed".into();
        track_update(widget(), Some(&once), &mut other, "updater", "demo.example.com/v1", "", later);
        let _ = apply(&ApplyInput { live: Some(&other), ..input });
    }
    input.live = None;
    let _ = apply(&input);
    let mut fresh = applied.clone();
    track_update(widget(), None, &mut fresh, manager, "demo.example.com/v1", "", now);
    let mut updated = applied.clone();
    track_update(widget(), Some(&live), &mut updated, manager, "demo.example.com/v1", "", now);
}

/// Fields are owned by name: an object grows by about its own names for each manager, and stays as deep.
fn bounded(result: &Value, live: &Value, applied: &Value) {
    assert!(depth(result) <= depth(live).max(depth(applied)) * 2 + 8, "too deep");
    let (values, texts) = (weight(live), weight(applied));
    let (count, size) = weight(result);
    assert!(count <= 4 * (values.0 + texts.0) + 64, "too many values: {count}");
    // A key of a list map is written once in the object, and once for each of its members in the owner's set.
    assert!(size <= 16 * (values.1 + texts.1) + 64 * count + 1024, "too much text: {size}");
}
