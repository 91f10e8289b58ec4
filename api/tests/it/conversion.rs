//! Conversion between versions by a webhook.

use berth_api::ApiServer;
use serde_json::{Value, json};

use crate::admission_support::{Hook, Reply};
use crate::support::*;

const V1: &str = "/apis/t.example.com/v1/namespaces/default/hosts";
const V2: &str = "/apis/t.example.com/v2/namespaces/default/hosts";

/// v1 (stored) has `hostPort: "a:1"`, v2 has `host` and `port`.
fn convert(_: &str, review: &Value) -> Reply {
    let request = &review["request"];
    let wanted = request["desiredAPIVersion"].as_str().unwrap();
    let objects = request["objects"].as_array().unwrap();
    if objects.iter().any(|object| object["metadata"]["name"] == "broken") {
        return Reply::Response(json!({
            "uid": request["uid"], "result": {"status": "Failed", "message": "cannot convert"}}));
    }
    let converted: Vec<Value> = objects
        .iter()
        .map(|object| {
            let mut new = object.clone();
            new["apiVersion"] = json!(wanted);
            new["metadata"]["name"] = json!("renamed");
            new["metadata"]["labels"] = json!({"by": "hook"});
            if wanted.ends_with("/v2") {
                let text = object["spec"]["hostPort"].as_str().unwrap();
                let (host, port) = text.split_once(':').unwrap();
                new["spec"] = json!({"host": host, "port": port});
            } else {
                let spec = &object["spec"];
                let text = |field: &str| spec[field].as_str().unwrap().to_owned();
                new["spec"] = json!({"hostPort": format!("{}:{}", text("host"), text("port"))});
            }
            new
        })
        .collect();
    Reply::Response(json!({
        "uid": request["uid"], "result": {"status": "Success"}, "convertedObjects": converted}))
}

fn definition(client_config: Value) -> Value {
    let version = |name: &str, storage: bool, fields: &[&str]| {
        let properties: serde_json::Map<String, Value> =
            fields.iter().map(|field| ((*field).to_owned(), json!({"type": "string"}))).collect();
        json!({
            "name": name, "served": true, "storage": storage, "subresources": {"status": {}},
            "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                "spec": {"type": "object", "properties": properties},
                "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
            }}},
        })
    };
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "hosts.t.example.com"},
        "spec": {
            "group": "t.example.com", "scope": "Namespaced", "names": {"plural": "hosts", "kind": "Host"},
            "versions": [version("v1", true, &["hostPort"]), version("v2", false, &["host", "port"])],
            "conversion": {"strategy": "Webhook", "webhook": {
                "clientConfig": client_config, "conversionReviewVersions": ["v1"]}},
        },
    })
}

fn v1(name: &str, host_port: &str) -> Value {
    json!({"apiVersion": "t.example.com/v1", "kind": "Host", "metadata": {"name": name}, "spec": {"hostPort": host_port}})
}

async fn served() -> (ApiServer, Hook) {
    let hook = Hook::start(convert).await;
    let server = server().await;
    post(&server, DEFINITIONS, &definition(hook.client_config("/convert"))).await.expect(201);
    established(&server, "hosts.t.example.com").await;
    (server, hook)
}

#[tokio::test]
async fn every_verb_speaks_the_version_that_it_was_asked_in() {
    let (server, hook) = served().await;
    post(&server, V1, &v1("a", "x:1")).await.expect(201);
    assert!(hook.asked().is_empty(), "nothing to convert in the stored version");

    let read = get(&server, &format!("{V2}/a")).await.expect(200);
    assert_eq!((&read["apiVersion"], &read["spec"]), (&json!("t.example.com/v2"), &json!({"host": "x", "port": "1"})));
    assert_eq!((&read["metadata"]["name"], &read["metadata"]["labels"]), (&json!("a"), &json!({"by": "hook"})));

    let made = json!({"apiVersion": "t.example.com/v2", "kind": "Host", "metadata": {"name": "b"},
        "spec": {"host": "y", "port": "2"}});
    assert_eq!(post(&server, V2, &made).await.expect(201)["spec"], made["spec"]);
    assert_eq!(get(&server, &format!("{V1}/b")).await.expect(200)["spec"]["hostPort"], "y:2");

    let before = hook.asked().len();
    post(&server, V1, &v1("c", "z:3")).await.expect(201);
    let list = get(&server, V2).await.expect(200);
    let hosts: Vec<&Value> = list["items"].as_array().unwrap().iter().map(|item| &item["spec"]["host"]).collect();
    assert_eq!(hosts, ["x", "y", "z"]);
    assert_eq!(hook.asked().len(), before + 1, "a list is converted in one question");

    let mut lines = Lines::new(ask(&server, "GET", &format!("{V2}?watch=1")).response().await);
    for _ in 0..3 {
        assert_eq!(lines.next().await.unwrap()["object"]["apiVersion"], "t.example.com/v2");
    }
    let patched = patch(&server, "merge", &format!("{V2}/a"), &json!({"spec": {"port": "9"}})).await.expect(200);
    assert_eq!(patched["spec"], json!({"host": "x", "port": "9"}));
    assert_eq!(lines.next().await.unwrap()["object"]["spec"]["port"], "9");
    assert_eq!(get(&server, &format!("{V1}/a")).await.expect(200)["spec"]["hostPort"], "x:9");

    let applied = json!({"apiVersion": "t.example.com/v2", "kind": "Host", "spec": {"host": "w"}});
    let path = format!("{V2}/a?fieldManager=me&force=true");
    let done = patch(&server, "apply", &path, &applied).await.expect(200);
    assert_eq!(done["spec"], json!({"host": "w", "port": "9"}));
}

#[tokio::test]
async fn what_the_webhook_cannot_convert_is_an_error_with_its_words() {
    let (server, _hook) = served().await;
    post(&server, V1, &v1("broken", "x:1")).await.expect(201);
    let status = get(&server, &format!("{V2}/broken")).await.expect(500);
    let message = status["message"].as_str().unwrap();
    assert!(
        message.ends_with("conversion webhook for t.example.com/v1, Kind=Host failed: cannot convert"),
        "{message}"
    );
    get(&server, &format!("{V1}/broken")).await.expect(200);
}

#[tokio::test]
async fn a_webhook_that_is_not_there_hurts_only_who_needs_it() {
    let server = server().await;
    let nowhere = json!({"url": "https://127.0.0.1:1/convert"});
    post(&server, DEFINITIONS, &definition(nowhere)).await.expect(201);
    established(&server, "hosts.t.example.com").await;
    post(&server, V1, &v1("a", "x:1")).await.expect(201);
    get(&server, V1).await.expect(200);
    get(&server, V2).await.expect(500);
    delete(&server, &format!("{V1}/a")).await.expect(200);
}

#[tokio::test]
async fn subresources_and_deletes_speak_both_versions() {
    let (server, _hook) = served().await;
    post(&server, V1, &v1("a", "x:1")).await.expect(201);
    let status =
        patch(&server, "merge", &format!("{V2}/a/status"), &json!({"status": {"seen": true}})).await.expect(200);
    assert_eq!((&status["spec"]["host"], &status["status"]["seen"]), (&json!("x"), &json!(true)));
    let read = get(&server, &format!("{V1}/a")).await.expect(200);
    assert_eq!((&read["spec"]["hostPort"], &read["status"]["seen"]), (&json!("x:1"), &json!(true)));
    let mut put_back = get(&server, &format!("{V2}/a")).await.expect(200);
    put_back["metadata"]["finalizers"] = json!(["x.io/f"]);
    put(&server, &format!("{V2}/a"), &put_back).await.expect(200);
    delete(&server, &format!("{V2}/a")).await.expect(200);
    let read = get(&server, &format!("{V2}/a")).await.expect(200);
    assert!(read["metadata"]["deletionTimestamp"].is_string());
    patch(&server, "merge", &format!("{V2}/a"), &json!({"metadata": {"finalizers": null}})).await.expect(200);
    get(&server, &format!("{V1}/a")).await.expect(404);
}

#[tokio::test]
async fn a_long_list_is_converted_in_questions_that_can_be_answered() {
    let (server, hook) = served().await;
    let word = "x".repeat(100_000);
    for i in 0..25 {
        post(&server, V1, &v1(&format!("n{i:02}"), &format!("{word}:{i}"))).await.expect(201);
    }
    let list = get(&server, V2).await.expect(200);
    let ports: Vec<String> =
        list["items"].as_array().unwrap().iter().map(|i| i["spec"]["port"].as_str().unwrap().to_owned()).collect();
    assert_eq!(ports, (0..25).map(|i| i.to_string()).collect::<Vec<_>>());
    assert_eq!(hook.asked().len(), 3, "a question holds about a megabyte");
}

#[tokio::test]
async fn a_watch_ends_with_the_reason_when_an_object_cannot_be_converted() {
    let (server, _hook) = served().await;
    post(&server, V1, &v1("a", "x:1")).await.expect(201);
    let mut lines = Lines::new(ask(&server, "GET", &format!("{V2}?watch=1")).response().await);
    assert_eq!(lines.next().await.unwrap()["type"], "ADDED");
    post(&server, V1, &v1("broken", "x:1")).await.expect(201);
    let event = lines.next().await.unwrap();
    assert_eq!(event["type"], "ERROR");
    let message = event["object"]["message"].as_str().unwrap();
    assert!(message.ends_with("failed: cannot convert"), "{message}");
}
