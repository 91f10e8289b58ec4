//! Patches against the observed behaviour of the real server.

use serde_json::{Value, json};

use super::*;

fn patched(document: Value, operations: Value) -> Result<Value, PatchError> {
    json_patch(&document, &operations)
}

#[test]
fn json_patch_behaves_as_the_go_library() {
    let doc = || json!({"a": {"b": 1}, "l": [1, 2, 3], "n": null});
    let good = [
        (json!([{"op": "test", "path": "/a/x", "value": null}]), doc()),
        (json!([{"op": "test", "path": "/a/x"}]), doc()),
        (
            json!([{"op": "replace", "path": "/a/x", "value": 2}]),
            json!({"a": {"b": 1, "x": 2}, "l": [1, 2, 3], "n": null}),
        ),
        (json!([{"op": "add", "path": "/l/1", "value": 9}]), json!({"a": {"b": 1}, "l": [1, 9, 2, 3], "n": null})),
        (json!([{"op": "add", "path": "/l/-", "value": 9}]), json!({"a": {"b": 1}, "l": [1, 2, 3, 9], "n": null})),
        (json!([{"op": "add", "path": "/l/-1", "value": 9}]), json!({"a": {"b": 1}, "l": [1, 2, 3, 9], "n": null})),
        (json!([{"op": "replace", "path": "/l/-1", "value": 9}]), json!({"a": {"b": 1}, "l": [1, 2, 9], "n": null})),
        (json!([{"op": "move", "from": "/a", "path": "/m"}]), json!({"m": {"b": 1}, "l": [1, 2, 3], "n": null})),
        (
            json!([{"op": "copy", "from": "/a/b", "path": "/c~1d~0"}]),
            json!({"a": {"b": 1}, "c/d~": 1, "l": [1, 2, 3], "n": null}),
        ),
        (json!([{"op": "remove", "path": "a/b"}]), json!({"a": {}, "l": [1, 2, 3], "n": null})),
        (json!([{"op": "replace", "path": "", "value": {}}]), json!({})),
        (json!([]), doc()),
    ];
    for (operations, expected) in good {
        assert_eq!(patched(doc(), operations.clone()).unwrap(), expected, "{operations}");
    }
    for bad in [
        json!([{"op": "test", "path": "/x/y", "value": null}]),
        json!([{"op": "test", "path": "/a/b", "value": 1.0}]),
        json!([{"op": "test", "path": "/a/x", "value": 1}]),
        json!([{"op": "add", "path": "/x/y", "value": 1}]),
        json!([{"op": "add", "path": "/l/4", "value": 1}]),
        json!([{"op": "remove", "path": "/a/x"}]),
        json!([{"op": "frob", "path": "/a"}]),
        json!([{"op": "move", "from": "/a", "path": "/a/b"}]),
        json!([{"op": "add"}]),
    ] {
        assert!(matches!(patched(doc(), bad.clone()), Err(PatchError::Rejected(_))), "{bad}");
    }
}

#[test]
fn json_patch_has_limits() {
    assert!(matches!(patched(json!({}), json!({})), Err(PatchError::Malformed(_))));
    let many = Value::Array(vec![json!({"op": "test", "path": "/a"}); 10_001]);
    assert_eq!(
        patched(json!({}), many).unwrap_err().to_string(),
        "The allowed maximum operations in a JSON patch is 10000, got 10001"
    );
    let grow =
        Value::Array((0..10_000).map(|i| json!({"op": "copy", "from": "/a", "path": format!("/b{i}")})).collect());
    assert!(matches!(patched(json!({"a": "x".repeat(1000)}), grow), Err(PatchError::Rejected(_))));
    let double = Value::Array((0..40).map(|i| json!({"op": "copy", "from": "", "path": format!("/b{i}")})).collect());
    assert!(matches!(patched(json!({"a": [1]}), double), Err(PatchError::Rejected(_))));
    let deepen: Vec<Value> =
        (0..300).map(|i| json!({"op": "move", "from": format!("/k{i}"), "path": format!("/k{}/x", i + 1)})).collect();
    let keys: serde_json::Map<String, Value> = (0..=300).map(|i| (format!("k{i}"), json!({}))).collect();
    assert!(matches!(patched(Value::Object(keys), Value::Array(deepen)), Err(PatchError::Rejected(_))));
}

#[test]
fn merge_patch_follows_the_rfc() {
    for (document, patch, expected) in [
        (json!({"a": 1}), json!({"a": 2}), json!({"a": 2})),
        (json!({"a": 1, "b": 2}), json!({"a": null}), json!({"b": 2})),
        (json!({"a": [1]}), json!({"a": {"b": null, "c": 1}}), json!({"a": {"c": 1}})),
        (json!({"a": {"b": 1}}), json!({"a": [null]}), json!({"a": [null]})),
        (json!({"a": 1}), json!({}), json!({"a": 1})),
    ] {
        assert_eq!(merge_patch(&document, &patch).unwrap(), expected);
    }
    assert!(matches!(merge_patch(&json!({}), &json!([])), Err(PatchError::Malformed(_))));
}

fn strategic(group: &str, kind: &str, document: Value, patch: Value) -> Value {
    strategic_merge_patch(&document, &patch, BuiltinLists::of(group, kind).unwrap()).unwrap()
}

#[test]
fn strategic_merge_knows_the_lists_of_builtin_kinds() {
    let doc = json!({"metadata": {
        "ownerReferences": [{"uid": "1", "name": "a"}], "finalizers": ["x", "y"], "labels": {"a": "1", "b": "2"}}});
    let patch = json!({"metadata": {
        "ownerReferences": [{"uid": "2", "name": "b"}, {"uid": "1", "name": "c"}],
        "finalizers": ["z"], "$deleteFromPrimitiveList/finalizers": ["x"], "labels": {"a": null}}});
    assert_eq!(
        strategic("", "ConfigMap", doc, patch),
        json!({"metadata": {
            "ownerReferences": [{"uid": "1", "name": "c"}, {"uid": "2", "name": "b"}],
            "finalizers": ["y", "z"], "labels": {"b": "2"}}})
    );
    let account = json!({"secrets": [{"name": "a"}, {"name": "b"}]});
    assert_eq!(
        strategic("", "ServiceAccount", account.clone(), json!({"secrets": [{"$patch": "delete", "name": "a"}]})),
        json!({"secrets": [{"name": "b"}]})
    );
    assert_eq!(
        strategic("", "ServiceAccount", account.clone(), json!({"secrets": [{"$patch": "replace"}, {"name": "c"}]})),
        json!({"secrets": [{"name": "c"}]})
    );
    assert_eq!(
        strategic(
            "",
            "ServiceAccount",
            account,
            json!({
            "$setElementOrder/secrets": [{"name": "b"}, {"name": "c"}, {"name": "a"}], "secrets": [{"name": "c"}]})
        ),
        json!({"secrets": [{"name": "b"}, {"name": "c"}, {"name": "a"}]})
    );
}

#[test]
fn strategic_directives_replace_delete_and_retain() {
    let doc = json!({"data": {"a": "1", "b": "2"}, "rules": [{"verbs": ["get"]}]});
    assert_eq!(
        strategic("", "ConfigMap", doc.clone(), json!({"data": {"$patch": "replace", "c": "3"}}))["data"],
        json!({"c": "3"})
    );
    assert_eq!(strategic("", "ConfigMap", doc.clone(), json!({"data": {"$patch": "delete"}}))["data"], json!({}));
    assert_eq!(
        strategic("", "ConfigMap", doc.clone(), json!({"data": {"$retainKeys": ["b", "c"], "c": "3"}}))["data"],
        json!({"b": "2", "c": "3"})
    );
    let rules = strategic("rbac.authorization.k8s.io", "Role", doc.clone(), json!({"rules": [{"verbs": ["list"]}]}));
    assert_eq!(rules["rules"], json!([{"verbs": ["list"]}]));
    assert_eq!(
        strategic("", "Event", json!({"count": 1}), json!({"count": 2, "message": "hello"})),
        json!({"count": 2, "message": "hello"})
    );
    let lists = BuiltinLists::of("", "ConfigMap").unwrap();
    for bad in [json!({"$patch": "frob"}), json!({"data": {"$frob/x": []}}), json!([])] {
        assert!(matches!(strategic_merge_patch(&doc, &bad, lists), Err(PatchError::Malformed(_))), "{bad}");
    }
    assert!(BuiltinLists::of("berth.dev", "Service").is_none());
}

#[test]
fn a_patch_that_shifts_long_lists_again_and_again_is_refused() {
    let front = |items: usize, operation: Value| {
        let operations = Value::Array(vec![operation; JSON_PATCH_OPERATIONS_MAX]);
        json_patch(&json!({"l": vec![0; items]}), &operations)
    };
    for operation in [json!({"op": "remove", "path": "/l/0"}), json!({"op": "add", "path": "/l/0", "value": 0})] {
        assert!(front(10_000, operation.clone()).is_ok());
        let why = front(500_000, operation).unwrap_err().to_string();
        assert!(why.contains("too many places of long lists"), "{why}");
    }
    assert!(front(500_000, json!({"op": "add", "path": "/l/-", "value": 0})).is_ok());
}

#[test]
fn lists_too_long_to_be_merged_are_refused() {
    let lists = BuiltinLists::of("", "ConfigMap").unwrap();
    let names = |count: usize| (0..count).map(|n| json!(format!("f{n}"))).collect::<Vec<_>>();
    let merge = |count| strategic_merge_patch(&json!({}), &json!({"metadata": {"finalizers": names(count)}}), lists);
    assert_eq!(merge(1_000).unwrap()["metadata"]["finalizers"][999], "f999");
    assert!(merge(50_000).unwrap_err().to_string().contains("too long"));
    let owners: Vec<Value> = (0..50_000).map(|n| json!({"uid": n.to_string()})).collect();
    let patch = json!({"metadata": {"ownerReferences": owners}});
    assert!(strategic_merge_patch(&json!({}), &patch, lists).is_err());
}
