//! Server-side apply.

use serde_json::{Value, json};

use crate::support::*;

async fn apply(server: &berth_api::ApiServer, manager: &str, more: &str, body: &Value) -> Answer {
    patch(server, "apply", &format!("{WIDGETS}/w?fieldManager={manager}{more}"), body).await
}

fn with(spec: Value) -> Value {
    json!({"apiVersion": "demo.example.com/v1", "kind": "Widget", "metadata": {"name": "w"}, "spec": spec})
}

#[tokio::test]
async fn an_apply_creates_and_a_second_one_changes_nothing() {
    let server = server_with_widgets().await;
    let made = apply(&server, "m1", "", &with(json!({"color": "red"}))).await.expect(201);
    assert_eq!(made["metadata"]["managedFields"][0]["operation"], "Apply");
    assert_eq!(made["metadata"]["managedFields"][0]["fieldsV1"], json!({"f:spec": {"f:color": {}}}));
    assert_eq!(made["spec"]["size"], 3);
    let again = apply(&server, "m1", "", &with(json!({"color": "red"}))).await.expect(200);
    assert_eq!(again, made);
}

#[tokio::test]
async fn managers_share_merge_and_conflict() {
    let server = server_with_widgets().await;
    apply(&server, "m1", "", &with(json!({"color": "red", "ports": [{"name": "http", "port": 1}], "tags": ["a"]})))
        .await
        .expect(201);
    let both = apply(
        &server,
        "m2",
        "",
        &with(json!({"color": "red", "ports": [{"name": "https", "port": 2}], "tags": ["b"]})),
    )
    .await
    .expect(200);
    assert_eq!(both["spec"]["ports"].as_array().map(Vec::len), Some(2));
    assert_eq!(both["spec"]["tags"].as_array().map(Vec::len), Some(2));
    let status = apply(&server, "m3", "", &with(json!({"color": "blue"}))).await.expect(409);
    assert_eq!(status["reason"], "Conflict");
    assert_eq!(status["details"]["causes"][0]["reason"], "FieldManagerConflict");
    assert_eq!(status["details"]["causes"][0]["field"], ".spec.color");
    let forced = apply(&server, "m3", "&force=true", &with(json!({"color": "blue"}))).await.expect(200);
    assert_eq!(forced["spec"]["color"], "blue");
    let dropped = apply(&server, "m2", "", &with(json!({"ports": []}))).await.expect(200);
    assert_eq!(dropped["spec"]["ports"].as_array().map(Vec::len), Some(1), "what only m2 wanted is gone: {dropped}");
}

#[tokio::test]
async fn what_an_apply_must_say() {
    let server = server_with_widgets().await;
    let path = format!("{WIDGETS}/w");
    patch(&server, "apply", &path, &with(json!({"color": "red"}))).await.expect(422);
    apply(&server, "m1", "", &json!({"kind": "Gadget", "apiVersion": "demo.example.com/v1"})).await.expect(400);
    apply(&server, "m1", "", &json!({})).await.expect(400);
    let mut managed = with(json!({"color": "red"}));
    managed["metadata"]["managedFields"] = json!([{"manager": "x"}]);
    apply(&server, "m1", "", &managed).await.expect(400);
    let mut reborn = with(json!({"color": "red"}));
    reborn["metadata"]["uid"] = json!("u-1");
    apply(&server, "m1", "", &reborn).await.expect(409);
    for asked in ["&fieldValidation=Strict", ""] {
        let strict = apply(&server, "m1", asked, &with(json!({"color": "red", "bogus": 1}))).await;
        let text = strict.text();
        strict.expect(400);
        assert!(text.contains(".spec.bogus: field not declared in schema"), "{text}");
    }
    let warned = apply(&server, "m1", "&fieldValidation=Warn", &with(json!({"color": "red", "sise": 1}))).await;
    assert_eq!(warned.warnings(), [r#"299 - "unknown field \"spec.sise\", did you mean \"size\"?""#]);
    let yaml = ask(&server, "PATCH", &format!("{path}?fieldManager=m1"))
        .header("content-type", "application/apply-patch+yaml")
        .body("apiVersion: demo.example.com/v1\nkind: Widget\nspec:\n  color: green\n  size: 0x10\n");
    let done = yaml.send().await.expect(200);
    assert_eq!(done["spec"]["size"], 16);
}

#[tokio::test]
async fn every_error_of_an_applied_object_is_told_at_once() {
    let server = server_with_widgets().await;
    let broken = json!({"color": "purple", "size": "many", "sise": 1, "ports": [{"port": "x"}, {"name": 7}]});
    let refused = apply(&server, "m1", "&fieldValidation=Warn", &with(broken)).await;
    assert_eq!(refused.warnings(), [r#"299 - "unknown field \"spec.sise\", did you mean \"size\"?""#]);
    let status = refused.expect(422);
    let mut fields: Vec<&str> =
        status["details"]["causes"].as_array().unwrap().iter().map(|c| c["field"].as_str().unwrap()).collect();
    fields.sort_unstable();
    assert_eq!(
        fields,
        ["spec.color", "spec.ports[0].name", "spec.ports[0].port", "spec.ports[1].name", "spec.size"],
        "{status}"
    );
    assert!(
        status["message"].as_str().unwrap().contains("spec.size in body must be of type integer: \"string\""),
        "{status}"
    );

    // Of an object that is there only a part may be applied.
    apply(&server, "m1", "", &with(json!({"color": "red", "ports": [{"name": "a", "port": 1}]}))).await.expect(201);
    let status =
        apply(&server, "m2", "", &with(json!({"size": "many", "note": 1, "ports": [{"name": "a", "proto": 6}]})))
            .await
            .expect(422);
    let mut fields: Vec<&str> =
        status["details"]["causes"].as_array().unwrap().iter().map(|c| c["field"].as_str().unwrap()).collect();
    fields.sort_unstable();
    assert_eq!(fields, ["spec.note", "spec.ports[0].proto", "spec.size"], "{status}");
}

#[tokio::test]
async fn an_object_without_fields_of_its_own_is_unchanged_when_applied_again() {
    let server = server().await;
    let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "bare"}});
    let path = "/api/v1/namespaces/bare?fieldManager=m1";
    let made = patch(&server, "apply", path, &body).await.expect(201);
    let again = patch(&server, "apply", path, &body).await.expect(200);
    assert_eq!(again["metadata"]["resourceVersion"], made["metadata"]["resourceVersion"], "{made}\n{again}");
}

#[tokio::test]
async fn status_is_applied_through_its_endpoint_only() {
    let server = server_with_widgets().await;
    apply(&server, "m1", "", &with(json!({"color": "red"}))).await.expect(201);
    // As kube-rs sends it: without any metadata.
    let body = json!({"apiVersion": "demo.example.com/v1", "kind": "Widget", "status": {"phase": "Ready"}, "spec": {"color": "blue"}});
    let path = format!("{WIDGETS}/w/status?fieldManager=agent&force=true");
    let done = patch(&server, "apply", &path, &body).await.expect(200);
    assert_eq!((&done["status"]["phase"], &done["spec"]["color"]), (&json!("Ready"), &json!("red")));
    assert_eq!(done["metadata"]["generation"], 1);
    let entry = done["metadata"]["managedFields"].as_array().unwrap().iter().find(|e| e["manager"] == "agent").unwrap();
    assert_eq!((&entry["subresource"], &entry["fieldsV1"]), (&json!("status"), &json!({"f:status": {"f:phase": {}}})));
    patch(&server, "apply", &format!("{WIDGETS}/absent/status?fieldManager=a"), &body).await.expect(404);
    let kept = apply(&server, "m1", "", &{
        let mut body = with(json!({"color": "red"}));
        body["status"] = json!({"phase": "Mine"});
        body
    })
    .await
    .expect(200);
    assert_eq!(kept["status"]["phase"], "Ready");
}

#[tokio::test]
async fn updates_are_booked_and_conflict_with_applies() {
    let server = server_with_widgets().await;
    apply(&server, "m1", "", &with(json!({"color": "red"}))).await.expect(201);
    patch(&server, "merge", &format!("{WIDGETS}/w?fieldManager=m3"), &json!({"spec": {"color": "green"}}))
        .await
        .expect(200);
    let status = apply(&server, "m1", "", &with(json!({"color": "blue"}))).await.expect(409);
    let message = status["message"].as_str().unwrap();
    assert!(message.contains("conflict with \"m3\" using demo.example.com/v1"), "{message}");
}

#[tokio::test]
async fn a_dry_apply_shows_the_merged_object() {
    let server = server_with_widgets().await;
    let dry = apply(&server, "m1", "&dryRun=All", &with(json!({"color": "red"}))).await.expect(201);
    assert_eq!(dry["spec"]["replicas"], 1);
    get(&server, &format!("{WIDGETS}/w")).await.expect(404);
}

#[tokio::test]
async fn concurrent_appliers_lose_nothing() {
    let server = server().await;
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..10 {
        let server = server.clone();
        writers.spawn(async move {
            let body = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {format!("k{writer}"): "x"}});
            let answer = patch(&server, "apply", &format!("{CONFIG_MAPS}/c?fieldManager=m{writer}"), &body).await;
            // Two may both find nothing and one then finds the other's: it says so, and may try again.
            if answer.code == 409 {
                return patch(&server, "apply", &format!("{CONFIG_MAPS}/c?fieldManager=m{writer}"), &body).await.code;
            }
            answer.code
        });
    }
    let codes = writers.join_all().await;
    assert!(codes.iter().all(|code| *code < 300), "{codes:?}");
    let all = get(&server, &format!("{CONFIG_MAPS}/c")).await.expect(200);
    assert_eq!(all["data"].as_object().map(serde_json::Map::len), Some(10));
}
