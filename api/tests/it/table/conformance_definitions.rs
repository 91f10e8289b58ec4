//! Upstream's conformance specs of definitions: listed, deleted, changed, defaulted, described.

use serde_json::{Value, json};

use super::*;

fn definition(n: u32) -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("e2e{n}s.mygroup.example.com"), "labels": {"e2e-list-test-uuid": "x"}},
        "spec": {"group": "mygroup.example.com", "scope": "Namespaced",
            "names": {"plural": format!("e2e{n}s"), "singular": format!("e2e{n}"), "kind": format!("E2e{n}"), "listKind": format!("E2e{n}List")},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}]},
    })
}

/// Waits until a path answers something that is wanted.
async fn until(server: &ApiServer, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let end = std::time::Instant::now() + std::time::Duration::from_secs(20);
    loop {
        let answer = get(server, path).await;
        if answer.code == 200 {
            let value = answer.json();
            if wanted(&value) {
                return value;
            }
        }
        assert!(std::time::Instant::now() < end, "{path} becomes what is wanted in time");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn many_definitions_are_listed_and_deleted_together() {
    let server = server().await;
    for n in 0..10 {
        post(&server, DEFINITIONS, &definition(n)).await.expect(201);
    }
    let mine = format!("{DEFINITIONS}?labelSelector=e2e-list-test-uuid%3Dx");
    assert_eq!(names(&get(&server, &mine).await.expect(200)).len(), 10);
    delete(&server, &mine).await.expect(200);
    until(&server, &mine, |list| names(list).is_empty()).await;
}

#[tokio::test]
async fn the_status_of_a_definition_is_read_updated_and_patched() {
    let server = server().await;
    post(&server, DEFINITIONS, &definition(1)).await.expect(201);
    established(&server, "e2e1s.mygroup.example.com").await;
    let status = format!("{DEFINITIONS}/e2e1s.mygroup.example.com/status");
    let has = |value: &Value, message: &str| {
        value["status"]["conditions"].as_array().is_some_and(|all| all.iter().any(|c| c["message"] == message))
    };
    loop {
        let mut object = get(&server, &status).await.expect(200);
        // With nothing but a message, as upstream's spec sends it.
        object["status"]["conditions"]
            .as_array_mut()
            .unwrap()
            .push(json!({"type": "", "status": "", "lastTransitionTime": null, "message": "updated"}));
        let answer = put(&server, &status, &object).await;
        if answer.code != 409 {
            assert!(has(&answer.expect(200), "updated"));
            break;
        }
    }
    let body = json!({"metadata": {"annotations": {"patchedstatus": "true"}}, "status": {"conditions": [{"message": "patched"}]}});
    let patched = patch(&server, "merge", &status, &body).await.expect(200);
    assert!(has(&patched, "patched"), "{patched}");
}

#[tokio::test]
async fn a_definition_is_in_every_document_of_discovery() {
    let server = server().await;
    let groups = get(&server, "/apis").await.expect(200);
    let group =
        groups["groups"].as_array().unwrap().iter().find(|group| group["name"] == "apiextensions.k8s.io").unwrap();
    assert!(
        group["versions"]
            .as_array()
            .unwrap()
            .iter()
            .any(|version| version["groupVersion"] == "apiextensions.k8s.io/v1")
    );
    let group = get(&server, "/apis/apiextensions.k8s.io").await.expect(200);
    assert_eq!(group["preferredVersion"]["version"], "v1");
    let list = get(&server, "/apis/apiextensions.k8s.io/v1").await.expect(200);
    assert!(
        list["resources"].as_array().unwrap().iter().any(|resource| resource["name"] == "customresourcedefinitions")
    );
}

#[tokio::test]
async fn defaults_come_with_requests_and_from_storage() {
    let server = server().await;
    let mut made = definition(1);
    let schema = |a: Value| json!({"type": "object", "properties": {"a": a, "b": {"type": "string"}}});
    made["spec"]["versions"][0]["schema"]["openAPIV3Schema"] = schema(json!({"type": "string"}));
    post(&server, DEFINITIONS, &made).await.expect(201);
    established(&server, "e2e1s.mygroup.example.com").await;
    let objects = "/apis/mygroup.example.com/v1/namespaces/default/e2e1s";
    let object = |name: &str| json!({"apiVersion": "mygroup.example.com/v1", "kind": "E2e1", "metadata": {"name": name}, "b": "x"});
    assert!(post(&server, objects, &object("old")).await.expect(201).get("a").is_none());
    let body = json!([{"op": "replace", "path": "/spec/versions/0/schema/openAPIV3Schema", "value": schema(json!({"type": "string", "default": "A"}))}]);
    patch(&server, "json", &format!("{DEFINITIONS}/e2e1s.mygroup.example.com"), &body).await.expect(200);
    until(&server, &format!("{objects}/old"), |object| object["a"] == "A").await;
    assert_eq!(post(&server, objects, &object("new")).await.expect(201)["a"], "A");
    let body = json!([{"op": "remove", "path": "/spec/versions/0/schema/openAPIV3Schema/properties/a/default"},
        {"op": "add", "path": "/spec/versions/0/schema/openAPIV3Schema/properties/b/default", "value": "B"}]);
    patch(&server, "json", &format!("{DEFINITIONS}/e2e1s.mygroup.example.com"), &body).await.expect(200);
    until(&server, &format!("{objects}/old"), |object| object.get("a").is_none()).await;
    assert_eq!(get(&server, &format!("{objects}/new")).await.expect(200)["a"], "A", "it was written then");
}

/// Whether the older of the schema documents describes a kind of this version.
fn describes(document: &Value, version: &str) -> bool {
    document["definitions"].get(format!("com.example.mygroup.{version}.E2e1")).is_some()
}

#[tokio::test]
async fn documents_follow_versions_that_come_are_renamed_and_go() {
    let server = server().await;
    let mut made = definition(1);
    let mut second = made["spec"]["versions"][0].clone();
    second["name"] = "v2".into();
    second["storage"] = false.into();
    made["spec"]["versions"].as_array_mut().unwrap().push(second);
    post(&server, DEFINITIONS, &made).await.expect(201);
    until(&server, "/openapi/v2", |all| describes(all, "v1") && describes(all, "v2")).await;
    let path = format!("{DEFINITIONS}/e2e1s.mygroup.example.com");
    let rename = json!([{"op": "test", "path": "/spec/versions/1/name", "value": "v2"}, {"op": "replace", "path": "/spec/versions/1/name", "value": "v4"}]);
    patch(&server, "json", &path, &rename).await.expect(200);
    until(&server, "/openapi/v2", |all| describes(all, "v1") && describes(all, "v4") && !describes(all, "v2")).await;
    until(&server, "/openapi/v3", |all| all["paths"].get("apis/mygroup.example.com/v4").is_some()).await;
    patch(&server, "json", &path, &json!([{"op": "replace", "path": "/spec/versions/1/served", "value": false}]))
        .await
        .expect(200);
    until(&server, "/openapi/v2", |all| describes(all, "v1") && !describes(all, "v4")).await;
    delete(&server, &path).await.expect(200);
    until(&server, "/openapi/v2", |all| !describes(all, "v1")).await;
}
