//! Ownership against the literal exchanges with the real server, and the properties that make apply safe.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::structural::Structural;
use crate::structural::tests::widget;

const VERSION: &str = "demo.example.com/v1";

fn at(second: i64) -> jiff::Timestamp {
    jiff::Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn input<'a>(
    schema: &'a Structural,
    live: Option<&'a Value>,
    applied: &'a Value,
    manager: &'a str,
    second: i64,
) -> ApplyInput<'a> {
    ApplyInput {
        schema,
        live,
        applied,
        manager,
        subresource: "",
        api_version: VERSION,
        force: false,
        now: at(second),
        reset: ResetFields::Status,
    }
}

fn object(spec: Value) -> Value {
    json!({"apiVersion": VERSION, "kind": "Widget", "metadata": {"name": "s1"}, "spec": spec})
}

fn try_applied(live: Option<&Value>, spec: Value, manager: &str, second: i64) -> Result<Value, ApplyError> {
    apply(&input(&widget(), live, &object(spec), manager, second))
}

fn applied(live: Option<&Value>, spec: Value, manager: &str, second: i64) -> Value {
    try_applied(live, spec, manager, second).unwrap()
}

fn updated(old: Option<&Value>, new: Value, manager: &str, second: i64) -> Value {
    let mut new = new;
    track_update(&widget(), old, &mut new, manager, VERSION, "", at(second));
    new
}

/// `manager/operation` with its fields, in the order of the object.
fn owners(object: &Value) -> Vec<(String, Value)> {
    let list = object["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
    let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    list.iter().map(|e| (format!("{}/{}", text(&e["manager"]), text(&e["operation"])), e["fieldsV1"].clone())).collect()
}

fn fields_of(object: &Value, owner: &str) -> Value {
    owners(object).into_iter().find(|(name, _)| name == owner).map_or(Value::Null, |(_, fields)| fields)
}

#[test]
fn an_apply_owns_its_leaves_items_and_keys() {
    let made =
        applied(None, json!({"color": "red", "ports": [{"name": "http", "port": 80}], "tags": ["a", "b"]}), "m1", 0);
    assert_eq!(
        owners(&made),
        [(
            "m1/Apply".to_owned(),
            json!({"f:spec": {
            "f:color": {},
            "f:ports": {"k:{\"name\":\"http\"}": {".": {}, "f:name": {}, "f:port": {}}},
            "f:tags": {"v:\"a\"": {}, "v:\"b\"": {}}}})
        )]
    );
    assert_eq!(made["metadata"]["managedFields"][0]["time"], "2027-01-15T08:00:00Z");
}

#[test]
fn a_create_owns_defaults_and_new_containers() {
    let made = updated(None, object(json!({"color": "red", "replicas": 1, "size": 3})), "unknown", 0);
    assert_eq!(
        owners(&made),
        [("unknown/Update".to_owned(), json!({"f:spec": {".": {}, "f:color": {}, "f:replicas": {}, "f:size": {}}}))]
    );
}

#[test]
fn empty_maps_free_areas_and_atomic_lists_encode_as_kubernetes_does() {
    let made = applied(None, json!({"params": {}, "free": {"x": {"y": [1, 2]}}, "atoms": ["a"]}), "m", 0);
    assert_eq!(
        fields_of(&made, "m/Apply"),
        json!({"f:spec": {"f:params": {}, "f:free": {"f:x": {".": {}, "f:y": {}}}, "f:atoms": {}}})
    );
    let metadata = json!({"metadata": {"labels": {"a": "1"}, "finalizers": ["e.com/f"],
        "ownerReferences": [{"apiVersion": "v1", "kind": "K", "name": "n", "uid": "u1"}]}});
    let made = apply(&input(&widget(), None, &metadata, "m", 0)).unwrap();
    assert_eq!(
        fields_of(&made, "m/Apply"),
        json!({"f:metadata": {"f:labels": {"f:a": {}}, "f:finalizers": {"v:\"e.com/f\"": {}},
            "f:ownerReferences": {"k:{\"uid\":\"u1\"}": {}}}})
    );
    let empty = applied(None, json!({}), "m", 0);
    assert_eq!(fields_of(&empty, "m/Apply"), json!({"f:spec": {}}));
}

#[test]
fn conflicts_are_told_in_the_words_of_kubernetes() {
    let live = applied(None, json!({"color": "red", "ports": [{"name": "http", "port": 80}]}), "m1", 0);
    let one = try_applied(Some(&live), json!({"color": "blue"}), "m2", 1).unwrap_err();
    assert_eq!(one.to_string(), r#"Apply failed with 1 conflict: conflict with "m1": .spec.color"#);
    let two = try_applied(Some(&live), json!({"color": "blue", "ports": [{"name": "http", "port": 81}]}), "m2", 1)
        .unwrap_err();
    assert_eq!(
        two.to_string(),
        "Apply failed with 2 conflicts: conflicts with \"m1\":\n- .spec.color\n- .spec.ports[name=\"http\"].port"
    );
    let mut changed = live.clone();
    changed["spec"]["size"] = json!(9);
    let live = updated(Some(&live), changed, "m3", 2);
    let using = try_applied(Some(&live), json!({"size": 8}), "m2", 3).unwrap_err();
    assert_eq!(
        using.to_string(),
        r#"Apply failed with 1 conflict: conflict with "m3" using demo.example.com/v1: .spec.size"#
    );
}

#[test]
fn force_takes_fields_over_and_equal_values_are_shared() {
    let live = applied(None, json!({"color": "red", "size": 1}), "m1", 0);
    let shared = applied(Some(&live), json!({"color": "red"}), "m2", 1);
    assert_eq!(fields_of(&shared, "m1/Apply"), json!({"f:spec": {"f:color": {}, "f:size": {}}}));
    assert_eq!(fields_of(&shared, "m2/Apply"), json!({"f:spec": {"f:color": {}}}));
    let forced = object(json!({"color": "blue"}));
    let taken = apply(&ApplyInput { force: true, ..input(&widget(), Some(&live), &forced, "m2", 1) }).unwrap();
    assert_eq!(taken["spec"], json!({"color": "blue", "size": 1}));
    assert_eq!(fields_of(&taken, "m1/Apply"), json!({"f:spec": {"f:size": {}}}));
}

#[test]
fn fields_that_are_given_up_go_unless_another_owns_them() {
    let live = applied(
        None,
        json!({"color": "red", "size": 1, "params": {"a": "1", "b": "2"},
        "ports": [{"name": "x", "port": 1}, {"name": "y", "port": 2}]}),
        "m1",
        0,
    );
    let live = applied(Some(&live), json!({"size": 1, "params": {"b": "2"}}), "m2", 1);
    let after = applied(Some(&live), json!({"color": "red", "ports": [{"name": "y", "port": 2}]}), "m1", 2);
    assert_eq!(
        after["spec"],
        json!({"color": "red", "size": 1, "params": {"b": "2"}, "ports": [{"name": "y", "port": 2}]})
    );
    let last = applied(Some(&after), json!({"color": "red"}), "m1", 3);
    assert_eq!(last["spec"], json!({"color": "red", "size": 1, "params": {"b": "2"}}));
}

#[test]
fn defaults_inside_an_item_go_with_the_item() {
    let mut live = applied(None, json!({"ports": [{"name": "x"}, {"name": "y"}]}), "m1", 0);
    widget().default(&mut live);
    let after = applied(Some(&live), json!({"ports": [{"name": "y"}]}), "m1", 1);
    assert_eq!(after["spec"]["ports"], json!([{"name": "y", "proto": "TCP"}]));
}

#[test]
fn lists_follow_the_applied_order() {
    let names = |object: &Value| -> Vec<String> {
        let ports = object["spec"]["ports"].as_array().unwrap();
        ports.iter().map(|p| p["name"].as_str().unwrap().to_owned()).collect()
    };
    let ports = |names: &[&str]| json!({"ports": names.iter().map(|n| json!({"name": n})).collect::<Vec<_>>()});
    let live = applied(None, ports(&["a", "b", "c"]), "m1", 0);
    let live = applied(Some(&live), ports(&["c", "x", "a", "b"]), "m1", 1);
    assert_eq!(names(&live), ["c", "x", "a", "b"]);
    let live = applied(Some(&live), ports(&["z", "a"]), "m2", 2);
    assert_eq!(names(&live), ["c", "x", "z", "a", "b"]);
}

#[test]
fn a_repeated_apply_changes_nothing_not_even_the_time() {
    let live = applied(None, json!({"color": "red"}), "m1", 0);
    assert_eq!(applied(Some(&live), json!({"color": "red"}), "m1", 60), live);
    let more = applied(Some(&live), json!({"color": "red", "size": 2}), "m1", 60);
    assert_eq!(more["metadata"]["managedFields"][0]["time"], "2027-01-15T08:01:00Z");
}

#[test]
fn what_was_never_tracked_belongs_to_before_first_apply() {
    let live = object(json!({"color": "red"}));
    let conflict = try_applied(Some(&live), json!({"color": "blue"}), "m", 0).unwrap_err();
    assert_eq!(
        conflict.to_string(),
        "Apply failed with 1 conflict: conflict with \"before-first-apply\" using demo.example.com/v1: .spec.color"
    );
    let same = applied(Some(&live), json!({"color": "red"}), "m", 0);
    assert_eq!(fields_of(&same, "before-first-apply/Update"), json!({"f:spec": {".": {}, "f:color": {}}}));
}

#[test]
fn updates_take_fields_from_everyone_and_free_what_they_remove() {
    let live = applied(None, json!({"color": "red", "size": 1}), "m1", 0);
    let after = updated(
        Some(&live),
        {
            let mut new = live.clone();
            new["spec"] = json!({"color": "blue"});
            new
        },
        "editor",
        1,
    );
    assert_eq!(fields_of(&after, "editor/Update"), json!({"f:spec": {"f:color": {}}}));
    assert_eq!(fields_of(&after, "m1/Apply"), Value::Null);
    assert_eq!(updated(Some(&after), after.clone(), "editor", 9), after);
}

#[test]
fn clients_may_rewrite_or_end_the_tracking() {
    let live = applied(None, json!({"color": "red"}), "m1", 0);
    let mut wiped = live.clone();
    wiped["metadata"]["managedFields"] = json!([{}]);
    let wiped = updated(Some(&live), wiped, "x", 1);
    assert_eq!(wiped["metadata"].get("managedFields"), None);
    for kept in [Value::Null, json!([])] {
        let mut new = live.clone();
        new["metadata"]["managedFields"] = kept;
        assert_eq!(updated(Some(&live), new, "x", 1), live);
    }
    let mut renamed = live.clone();
    renamed["metadata"]["managedFields"][0]["manager"] = json!("m9");
    assert_eq!(owners(&updated(Some(&live), renamed, "x", 1))[0].0, "m9/Apply");
    let mut untracked = wiped.clone();
    untracked["spec"]["color"] = json!("blue");
    assert_eq!(updated(Some(&wiped), untracked.clone(), "x", 2), untracked);
}

#[test]
fn thirteen_updaters_leave_ten_entries() {
    let mut live = updated(None, object(json!({"params": {"k": "0"}})), "m00", 0);
    for i in 1..13 {
        let mut new = live.clone();
        new["spec"]["params"][format!("k{i}")] = json!("v");
        live = updated(Some(&live), new, &format!("m{i:02}"), i);
    }
    let names: Vec<String> = owners(&live).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names.len(), 10);
    assert_eq!(names[0], "ancient-changes/Update");
    assert_eq!(names[1], "m04/Update");
    assert_eq!(names[9], "m12/Update");
}

#[test]
fn the_status_endpoint_owns_status_only() {
    let live = applied(None, json!({"color": "red"}), "m1", 0);
    let with_status = json!({"metadata": {"labels": {"a": "b"}}, "spec": {"color": "blue"}, "status": {"phase": "Up"}});
    let schema = widget();
    let status = ApplyInput {
        subresource: "status",
        reset: ResetFields::AllButStatus,
        ..input(&schema, Some(&live), &with_status, "agent", 1)
    };
    let after = apply(&status).unwrap();
    assert_eq!((&after["spec"], &after["status"]), (&json!({"color": "red"}), &json!({"phase": "Up"})));
    assert_eq!(fields_of(&after, "agent/Apply"), json!({"f:status": {"f:phase": {}}}));
    assert_eq!(after["metadata"]["managedFields"][1]["subresource"], "status");
    let main = apply(&input(&widget(), Some(&live), &with_status, "m9", 1));
    assert!(matches!(main, Err(ApplyError::Conflict { conflicts, .. }) if conflicts.len() == 1));
}

#[test]
fn configurations_that_do_not_fit_are_refused() {
    let told = |spec: Value| try_applied(None, spec, "m", 0).unwrap_err().to_string();
    let head = "failed to create typed patch object (/s1; demo.example.com/v1, Kind=Widget): ";
    assert_eq!(told(json!({"bogus": 1})), format!("{head}.spec.bogus: field not declared in schema"));
    assert_eq!(told(json!({"size": "x"})), format!("{head}.spec.size: expected numeric (int or float), got string"));
    assert_eq!(
        told(json!({"ports": [{"name": "a"}, {"name": "a"}]})),
        format!("{head}.spec.ports: duplicate entries for key [name=\"a\"]")
    );
    assert_eq!(
        told(json!({"ports": [{"port": 1}]})),
        format!(
            "{head}.spec.ports: element 0: associative list with keys has an element that omits all key fields [\"name\"]"
        )
    );
    let mut owned = object(json!({}));
    owned["metadata"]["managedFields"] = json!([{"manager": "x"}]);
    assert_eq!(apply(&input(&widget(), None, &owned, "m", 0)), Err(ApplyError::ManagedFieldsSet));
}

#[test]
fn what_the_server_keeps_cannot_be_applied() {
    let mut live = applied(None, json!({"color": "red"}), "m1", 0);
    live["metadata"]["uid"] = json!("u");
    live["metadata"]["creationTimestamp"] = json!("2027-01-15T08:00:00Z");
    let mut sent = object(json!({"color": "red", "note": null, "size": null}));
    sent["metadata"]["creationTimestamp"] = Value::Null;
    sent["metadata"]["uid"] = json!("other");
    let after = apply(&input(&widget(), Some(&live), &sent, "m1", 1)).unwrap();
    assert_eq!(after["metadata"]["uid"], "u");
    assert_eq!(after["metadata"]["creationTimestamp"], "2027-01-15T08:00:00Z");
    assert_eq!(after["spec"], json!({"color": "red", "note": null}));
}

#[test]
fn only_times_are_no_change() {
    let live = applied(None, json!({"color": "red"}), "m1", 0);
    let mut later = live.clone();
    later["metadata"]["managedFields"][0]["time"] = json!("2030-01-01T00:00:00Z");
    assert!(same_but_times(&live, &later));
    later["spec"]["color"] = json!("blue");
    assert!(!same_but_times(&live, &later));
}

/// Configurations over few names, so that they meet.
fn any_spec() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![Just(json!("red")), Just(json!("green"))];
    let size = 1..4_u32;
    let ports = proptest::collection::btree_map("[abc]", 1..3_u32, 0..3);
    let tags = proptest::collection::btree_set("[xyz]", 0..3);
    let params = proptest::collection::btree_map("[pq]", "[12]", 0..3);
    let free = proptest::collection::btree_map("[fg]", proptest::collection::btree_map("[hi]", 0..2_u32, 0..2), 0..2);
    (
        proptest::option::of(leaf),
        proptest::option::of(size),
        proptest::option::of(ports),
        proptest::option::of(tags),
        proptest::option::of(params),
        proptest::option::of(free),
    )
        .prop_map(|(color, size, ports, tags, params, free)| {
            let mut spec = serde_json::Map::new();
            let mut put = |name: &str, value: Option<Value>| {
                if let Some(value) = value {
                    spec.insert(name.to_owned(), value);
                }
            };
            put("color", color);
            put("size", size.map(Value::from));
            let item = |(name, port): (String, u32)| json!({"name": name, "port": port});
            put("ports", ports.map(|p| p.into_iter().map(item).collect()));
            put("tags", tags.map(|t| t.into_iter().collect()));
            put("params", params.map(|p| json!(p)));
            put("free", free.map(|f| json!(f)));
            Value::Object(spec)
        })
}

fn force_applied(live: Option<&Value>, spec: &Value, manager: &str) -> Value {
    let object = object(spec.clone());
    apply(&ApplyInput { force: true, ..input(&widget(), live, &object, manager, 0) }).unwrap()
}

/// The paths of a set; two sets are disjoint when they share none.
fn paths(spec: &Value) -> std::collections::BTreeSet<String> {
    typed::to_set(Some(widget().root()), &object(spec.clone())).paths().into_iter().collect()
}

proptest! {
    #[test]
    fn applying_twice_is_applying_once(before in any_spec(), other in any_spec(), spec in any_spec()) {
        let live = force_applied(None, &before, "m1");
        let live = force_applied(Some(&live), &other, "m2");
        let once = force_applied(Some(&live), &spec, "m1");
        prop_assert_eq!(&force_applied(Some(&once), &spec, "m1"), &once);
    }

    #[test]
    fn disjoint_appliers_never_conflict(a in any_spec(), b in any_spec()) {
        let live = applied(None, a.clone(), "m1", 0);
        let result = try_applied(Some(&live), b.clone(), "m2", 0);
        let shared: Vec<String> = paths(&a).intersection(&paths(&b)).filter(|p| p.starts_with(".spec")).cloned().collect();
        if shared.is_empty() {
            prop_assert!(result.is_ok(), "{:?}", result);
        }
    }

    #[test]
    fn a_lone_applier_gets_exactly_what_it_asks_for(first in any_spec(), second in any_spec()) {
        let live = applied(None, first, "m1", 0);
        let after = applied(Some(&live), second.clone(), "m1", 1);
        prop_assert_eq!(&after["spec"], &second);
    }

    #[test]
    fn stored_sets_read_back_as_they_were(spec in any_spec()) {
        let set = typed::to_set(Some(widget().root()), &object(spec));
        let wire = set.to_fields_v1();
        let back = set::FieldSet::from_fields_v1(&wire).unwrap();
        prop_assert_eq!(&back, &set);
        prop_assert_eq!(back.to_fields_v1(), wire);
    }

    #[test]
    fn an_update_is_owned_by_its_writer_alone(a in any_spec(), b in any_spec()) {
        let live = applied(None, a, "m1", 0);
        let mut new = live.clone();
        new["spec"] = b;
        let after = updated(Some(&live), new, "editor", 1);
        let read = entries::Managers::read(&after).unwrap();
        let sets: Vec<_> = read.map.values().map(|owned| owned.set.clone()).collect();
        if let [one, two] = sets.as_slice() {
            prop_assert!(one.common(two).is_empty());
        }
    }
}
