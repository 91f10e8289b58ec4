//! Rows C072 to C087 and C168: applying, and who owns what.

use berth_api::ApiServer;
use serde_json::{Value, json};

use super::*;

async fn apply(server: &ApiServer, manager: &str, spec: Value) -> Answer {
    apply_with(server, &format!("?fieldManager={manager}"), &toy_of("s1", spec)).await
}

async fn apply_with(server: &ApiServer, query: &str, object: &Value) -> Answer {
    patch(server, "apply", &format!("{}{query}", at("s1")), object).await
}

#[tokio::test]
async fn an_apply_names_its_manager() {
    let server = toy().await;
    apply_with(&server, "", &toy_of("s1", json!({"color": "red"}))).await.says(
        422,
        "Invalid",
        "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch",
    );
    let made =
        apply(&server, "m1", json!({"color": "red", "ports": [{"name": "http", "port": 80}], "tags": ["a", "b"]}))
            .await
            .expect(201);
    assert_eq!(
        entry(&made, "m1")["fieldsV1"],
        json!({"f:spec": {"f:color": {}, "f:tags": {"v:\"a\"": {}, "v:\"b\"": {}},
            "f:ports": {"k:{\"name\":\"http\"}": {".": {}, "f:name": {}, "f:port": {}}}}})
    );
    let again =
        apply(&server, "m1", json!({"color": "red", "ports": [{"name": "http", "port": 80}], "tags": ["a", "b"]}))
            .await
            .expect(200);
    assert_eq!(again, made);
}

#[tokio::test]
async fn items_of_several_managers_are_merged() {
    let server = toy().await;
    apply(&server, "m1", json!({"color": "red", "ports": [{"name": "http", "port": 80}], "tags": ["a"]}))
        .await
        .expect(201);
    let both =
        apply(&server, "m2", json!({"ports": [{"name": "https", "port": 443}], "tags": ["c"]})).await.expect(200);
    assert_eq!(
        both["spec"]["ports"].as_array().unwrap().iter().map(|p| p["name"].clone()).collect::<Vec<_>>(),
        ["http", "https"]
    );
    assert_eq!(both["spec"]["tags"], json!(["a", "c"]));
    assert_eq!(
        entry(&both, "m2")["fieldsV1"]["f:spec"],
        json!({"f:tags": {"v:\"c\"": {}}, "f:ports": {"k:{\"name\":\"https\"}": {".": {}, "f:name": {}, "f:port": {}}}})
    );
}

#[tokio::test]
async fn what_another_owns_is_a_conflict_for_each_field() {
    let server = toy().await;
    apply(&server, "m1", json!({"color": "red", "ports": [{"name": "http", "port": 80}]})).await.expect(201);
    let details = apply(&server, "m2", json!({"color": "blue"})).await.says(
        409,
        "Conflict",
        "Apply failed with 1 conflict: conflict with \"m1\": .spec.color",
    );
    let cause =
        |field: &str| json!({"reason": "FieldManagerConflict", "message": "conflict with \"m1\"", "field": field});
    assert_eq!(details, json!({"causes": [cause(".spec.color")]}));
    let details = apply(&server, "m2", json!({"color": "blue", "ports": [{"name": "http", "port": 81}]})).await.says(
        409,
        "Conflict",
        "Apply failed with 2 conflicts: conflicts with \"m1\":\n- .spec.color\n- .spec.ports[name=\"http\"].port",
    );
    assert_eq!(details, json!({"causes": [cause(".spec.color"), cause(".spec.ports[name=\"http\"].port")]}));
}

#[tokio::test]
async fn the_same_value_is_shared_and_force_takes_over() {
    let server = toy().await;
    apply(&server, "m1", json!({"color": "red"})).await.expect(201);
    let shared = apply(&server, "m2", json!({"color": "red"})).await.expect(200);
    let owns = json!({"f:spec": {"f:color": {}}});
    assert_eq!((&entry(&shared, "m1")["fieldsV1"], &entry(&shared, "m2")["fieldsV1"]), (&owns, &owns));
    let forced = apply(&server, "m3&force=true", json!({"color": "blue"})).await.expect(200);
    assert_eq!(forced["spec"]["color"], "blue");
    let managers: Vec<&str> =
        forced["metadata"]["managedFields"].as_array().unwrap().iter().filter_map(|e| e["manager"].as_str()).collect();
    assert_eq!(managers, ["m3"], "nothing is left to the others");
}

#[tokio::test]
async fn what_is_left_out_goes_unless_another_wants_it() {
    let server = toy().await;
    apply(&server, "m1", json!({"color": "red", "note": "n", "params": {"x": "1"}})).await.expect(201);
    apply(&server, "m2", json!({"params": {"x": "1"}})).await.expect(200);
    let less = apply(&server, "m1", json!({"color": "red"})).await.expect(200);
    assert!(less["spec"].get("note").is_none(), "{less}");
    assert_eq!(less["spec"]["params"], json!({"x": "1"}));
}

#[tokio::test]
async fn other_writes_own_what_they_change() {
    let server = toy().await;
    apply(&server, "m1", json!({"color": "red"})).await.expect(201);
    let path = format!("{}?fieldManager=m3", at("s1"));
    let patched = patch(&server, "merge", &path, &json!({"spec": {"color": "green"}})).await.expect(200);
    assert_eq!(entry(&patched, "m3")["operation"], "Update");
    apply(&server, "m1", json!({"color": "blue"})).await.says(
        409,
        "Conflict",
        "Apply failed with 1 conflict: conflict with \"m3\" using demo.example.com/v1: .spec.color",
    );
}

#[tokio::test]
async fn the_status_is_applied_at_its_own_place() {
    let server = toy().await;
    apply(&server, "m1", json!({"color": "red"})).await.expect(201);
    let mut body = toy_of("s1", json!({"color": "blue"}));
    body["status"] = json!({"phase": "Ready"});
    let path = format!("{}/status?fieldManager=agent", at("s1"));
    let done = patch(&server, "apply", &path, &body).await.expect(200);
    assert_eq!((&done["status"]["phase"], &done["spec"]["color"]), (&json!("Ready"), &json!("red")));
    assert_eq!(
        (&entry(&done, "agent")["subresource"], &entry(&done, "agent")["fieldsV1"]),
        (&json!("status"), &json!({"f:status": {"f:phase": {}}}))
    );
    body["spec"]["color"] = "red".into();
    body["status"]["phase"] = "Mine".into();
    let kept = apply_with(&server, "?fieldManager=m1", &body).await.expect(200);
    assert_eq!(
        (&kept["status"]["phase"], &entry(&kept, "m1")["fieldsV1"]),
        (&json!("Ready"), &json!({"f:spec": {"f:color": {}}}))
    );
}

#[tokio::test]
async fn what_is_applied_is_of_the_kind_and_without_owners() {
    let server = toy().await;
    let mut managed = toy_of("s1", json!({"color": "red"}));
    managed["metadata"]["managedFields"] = json!([{"manager": "x", "operation": "Apply"}]);
    apply_with(&server, "?fieldManager=m", &managed).await.hints(
        400,
        "BadRequest",
        "metadata.managedFields must be nil",
    );
    for (field, value) in [("kind", "Gadget"), ("apiVersion", "demo.example.com/v2")] {
        let mut other = toy_of("s1", json!({"color": "red"}));
        other[field] = value.into();
        assert_eq!(apply_with(&server, "?fieldManager=m", &other).await.code, 400, "{field}");
    }
    let path = format!("{}?fieldManager=m", at("s1"));
    let torn = ask(&server, "PATCH", &path).header("content-type", "application/apply-patch+yaml").body("a: [b\nc: {");
    torn.send().await.hints(400, "BadRequest", "error decoding YAML");
    let mut reborn = toy_of("s1", json!({"color": "red"}));
    reborn["metadata"]["uid"] = "u-1".into();
    apply_with(&server, "?fieldManager=m", &reborn).await.hints(
        409,
        "Conflict",
        "uid mismatch: the provided object specified uid u-1, and no existing object was found",
    );
}

#[tokio::test]
async fn what_is_applied_keeps_to_the_schema() {
    let server = toy().await;
    apply(&server, "m", json!({"color": "red"})).await.expect(201);
    let strict = apply(&server, "m&fieldValidation=Strict", json!({"color": "red", "bogus": 1})).await;
    assert!(
        strict.code >= 400 && strict.text().contains(".spec.bogus: field not declared in schema"),
        "{}",
        strict.text()
    );
    for (spec, part) in [
        (json!({"ports": [{"name": "a"}, {"name": "a"}]}), "ports"),
        (json!({"ports": [{"port": 1}]}), "ports"),
        (json!({"size": "x"}), "size"),
    ] {
        let refused = apply(&server, "m2", spec).await;
        assert!(refused.code >= 400 && refused.text().contains(part), "{}: {}", refused.code, refused.text());
    }
}

#[tokio::test]
async fn owners_are_forgotten_and_then_everything_is_somebodys() {
    let server = toy().await;
    apply(&server, "m1", json!({"color": "red"})).await.expect(201);
    let kept = patch(&server, "merge", &at("s1"), &json!({"metadata": {"managedFields": []}})).await.expect(200);
    assert!(kept["metadata"]["managedFields"].is_array(), "{kept}");
    let bare = patch(&server, "merge", &at("s1"), &json!({"metadata": {"managedFields": [{}]}})).await.expect(200);
    assert!(bare["metadata"].get("managedFields").is_none(), "{bare}");
    apply(&server, "m2", json!({"color": "blue"})).await.says(
        409,
        "Conflict",
        "Apply failed with 1 conflict: conflict with \"before-first-apply\" using demo.example.com/v1: .spec.color",
    );
}

#[tokio::test]
async fn old_managers_become_ancient() {
    let server = toy().await;
    post(&server, &format!("{WIDGETS}?fieldManager=w0"), &widget("s1")).await.expect(201);
    for n in 1..13 {
        let body = json!({"spec": {"params": {format!("k{n}"): "x"}}});
        patch(&server, "merge", &format!("{}?fieldManager=w{n}", at("s1")), &body).await.expect(200);
    }
    let object = get(&server, &at("s1")).await.expect(200);
    let entries = object["metadata"]["managedFields"].as_array().unwrap();
    assert_eq!(entries.len(), 10, "{entries:?}");
    assert_eq!(entry(&object, "ancient-changes")["operation"], "Update");
    assert!(
        !entries.iter().any(|entry| entry["manager"] == "w0") && entries.iter().any(|entry| entry["manager"] == "w12")
    );
}

#[tokio::test]
async fn appliers_at_once_lose_nothing() {
    let server = toy().await;
    apply(&server, "m", json!({"color": "red"})).await.expect(201);
    let mut writers = tokio::task::JoinSet::new();
    for n in 0..10 {
        let server = server.clone();
        writers.spawn(async move {
            for turn in 0..5 {
                let spec = json!({"params": {format!("k{n}"): turn.to_string()}});
                apply(&server, &format!("w{n}"), spec).await.expect(200);
            }
        });
    }
    writers.join_all().await;
    let object = get(&server, &at("s1")).await.expect(200);
    let params = object["spec"]["params"].as_object().unwrap();
    assert!(params.len() == 10 && params.values().all(|value| value == "4"), "{params:?}");
}
