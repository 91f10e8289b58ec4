//! Create, read, update.

use serde_json::{Value, json};

use crate::support::*;

#[tokio::test]
async fn every_cluster_has_its_namespaces_and_role() {
    let server = server().await;
    for name in ["default", "kube-system", "berth-system", "berth-node-lease"] {
        let namespace = get(&server, &format!("/api/v1/namespaces/{name}")).await.expect(200);
        assert_eq!(namespace["status"]["phase"], "Active");
        assert_eq!(namespace["metadata"]["labels"]["kubernetes.io/metadata.name"], name);
    }
    get(&server, "/apis/berth.dev/v1/roles/default").await.expect(200);
}

#[tokio::test]
async fn a_service_is_created_with_defaults_and_read_back() {
    let server = server().await;
    let made = post(&server, SERVICES, &service("hello")).await.expect(201);
    assert_eq!(made["spec"]["replicas"], 1);
    assert_eq!(made["metadata"]["generation"], 1);
    assert!(made["metadata"]["uid"].as_str().is_some_and(|uid| uid.len() == 36));
    let read = get(&server, &format!("{SERVICES}/hello")).await.expect(200);
    assert_eq!(read, made);
    let list = get(&server, SERVICES).await.expect(200);
    assert_eq!(list["kind"], "ServiceList");
    assert_eq!(list["items"], json!([made]));
}

#[tokio::test]
async fn creating_twice_is_a_conflict_with_details() {
    let server = server().await;
    post(&server, SERVICES, &service("hello")).await.expect(201);
    let status = post(&server, SERVICES, &service("hello")).await.expect(409);
    assert_eq!(status["message"], "services.berth.dev \"hello\" already exists");
    assert_eq!(status["reason"], "AlreadyExists");
    assert_eq!(status["details"], json!({"name": "hello", "group": "berth.dev", "kind": "services"}));
}

#[tokio::test]
async fn what_a_client_cannot_set_is_overwritten() {
    let server = server().await;
    let mut sent = service("hello");
    sent["metadata"]["uid"] = json!("mine");
    sent["metadata"]["generation"] = json!(77);
    sent["metadata"]["creationTimestamp"] = json!("2001-01-01T00:00:00Z");
    sent["metadata"]["deletionTimestamp"] = json!("2001-01-01T00:00:00Z");
    sent["status"] = json!({"replicas": 9});
    let made = post(&server, SERVICES, &sent).await.expect(201);
    assert_ne!(made["metadata"]["uid"], "mine");
    assert_eq!(made["metadata"]["generation"], 1);
    assert!(made["metadata"].get("deletionTimestamp").is_none());
    assert!(made.get("status").is_none(), "{made}");
}

#[tokio::test]
async fn names_are_generated_and_required() {
    let server = server().await;
    let mut sent = service("x");
    sent["metadata"] = json!({"generateName": "gen-"});
    let made = post(&server, SERVICES, &sent).await.expect(201);
    let name = made["metadata"]["name"].as_str().unwrap();
    assert!(name.starts_with("gen-") && name.len() == 9, "{name}");
    assert!(name[4..].bytes().all(|b| b"bcdfghjklmnpqrstvwxz2456789".contains(&b)));
    sent["metadata"] = json!({});
    let status = post(&server, SERVICES, &sent).await.expect(422);
    assert_eq!(status["details"]["causes"][0]["field"], "metadata.name");
    assert_eq!(status["details"]["causes"][0]["reason"], "FieldValueRequired");
}

#[tokio::test]
async fn a_namespace_must_be_there_and_match() {
    let server = server().await;
    let status = post(&server, "/apis/berth.dev/v1/namespaces/nope/services", &service("a")).await.expect(404);
    assert_eq!(status["message"], "namespaces \"nope\" not found");
    assert_eq!(status["details"]["kind"], "namespaces");
    let mut other = service("a");
    other["metadata"]["namespace"] = json!("kube-system");
    post(&server, SERVICES, &other).await.expect(400);
    get(&server, "/apis/berth.dev/v1/namespaces/nope/services").await.expect(200);
}

#[tokio::test]
async fn an_update_needs_the_newest_state() {
    let server = server().await;
    let made = post(&server, SERVICES, &service("a")).await.expect(201);
    let path = format!("{SERVICES}/a");
    let mut next = made.clone();
    next["spec"]["replicas"] = json!(3);
    let second = put(&server, &path, &next).await.expect(200);
    assert_eq!(second["metadata"]["generation"], 2);
    assert_ne!(second["metadata"]["resourceVersion"], made["metadata"]["resourceVersion"]);
    let status = put(&server, &path, &next).await.expect(409);
    assert_eq!(status["reason"], "Conflict");
    assert_eq!(
        status["message"],
        "Operation cannot be fulfilled on services.berth.dev \"a\": the object has been modified; please apply your changes to the latest version and try again"
    );
    let mut without = second.clone();
    without["metadata"].as_object_mut().unwrap().remove("resourceVersion");
    put(&server, &path, &without).await.expect(422);
    let mut renamed = second.clone();
    renamed["metadata"]["name"] = json!("b");
    put(&server, &path, &renamed).await.expect(400);
    put(&server, &format!("{SERVICES}/b"), &renamed).await.expect(404);
    let mut reborn = second;
    reborn["metadata"]["uid"] = json!("0");
    put(&server, &path, &reborn).await.expect(409);
}

#[tokio::test]
async fn core_kinds_may_be_overwritten_without_a_version() {
    let server = server().await;
    post(&server, CONFIG_MAPS, &config_map("c")).await.expect(201);
    let mut next = config_map("c");
    next["data"]["a"] = json!("2");
    let second = put(&server, &format!("{CONFIG_MAPS}/c"), &next).await.expect(200);
    assert_eq!(second["data"]["a"], "2");
    assert!(second["metadata"].get("generation").is_none());
    put(&server, &format!("{CONFIG_MAPS}/absent"), &config_map("absent")).await.expect(404);
    let leases = "/apis/coordination.k8s.io/v1/namespaces/default/leases";
    let lease = json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "l"},
        "spec": {"holderIdentity": "me", "leaseDurationSeconds": 15, "renewTime": "2026-01-01T00:00:00.000001Z"}});
    let made = put(&server, &format!("{leases}/l"), &lease).await.expect(201);
    assert_eq!(made["spec"], lease["spec"]);
    put(&server, &format!("{leases}/l"), &lease).await.expect(422);
}

#[tokio::test]
async fn a_write_that_changes_nothing_is_no_write() {
    let server = server().await;
    let made = post(&server, SERVICES, &service("a")).await.expect(201);
    let same = put(&server, &format!("{SERVICES}/a"), &made).await.expect(200);
    assert_eq!(same, made);
    let merged = patch(&server, "merge", &format!("{SERVICES}/a"), &json!({})).await.expect(200);
    assert_eq!(merged, made);
}

#[tokio::test]
async fn labels_do_not_count_as_a_generation() {
    let server = server().await;
    post(&server, SERVICES, &service("a")).await.expect(201);
    let path = format!("{SERVICES}/a");
    let labelled = patch(&server, "merge", &path, &json!({"metadata": {"labels": {"a": "b"}}})).await.expect(200);
    assert_eq!(labelled["metadata"]["generation"], 1);
    let scaled = patch(&server, "merge", &path, &json!({"spec": {"replicas": 2}})).await.expect(200);
    assert_eq!(scaled["metadata"]["generation"], 2);
}

#[tokio::test]
async fn a_dry_run_changes_nothing() {
    let server = server().await;
    let made = post(&server, &format!("{SERVICES}?dryRun=All"), &service("a")).await.expect(201);
    assert!(made["metadata"].get("resourceVersion").is_none());
    get(&server, &format!("{SERVICES}/a")).await.expect(404);
    post(&server, &format!("{SERVICES}?dryRun=bogus"), &service("a")).await.expect(422);
    post(&server, SERVICES, &service("a")).await.expect(201);
    post(&server, &format!("{SERVICES}?dryRun=All"), &service("a")).await.expect(409);
    let path = format!("{SERVICES}/a?dryRun=All");
    let patched = patch(&server, "merge", &path, &json!({"spec": {"replicas": 7}})).await.expect(200);
    assert_eq!(patched["spec"]["replicas"], 7);
    delete(&server, &path).await.expect(200);
    assert_eq!(get(&server, &format!("{SERVICES}/a")).await.expect(200)["spec"]["replicas"], 1);
}

#[tokio::test]
async fn secrets_take_plain_text_and_can_be_frozen() {
    let server = server().await;
    let secrets = "/api/v1/namespaces/default/secrets";
    let sent = json!({"metadata": {"name": "s"}, "stringData": {"pw": "hunter2"}, "immutable": true});
    let made = post(&server, secrets, &sent).await.expect(201);
    assert_eq!((&made["data"]["pw"], &made["type"]), (&json!("aHVudGVyMg=="), &json!("Opaque")));
    assert!(made.get("stringData").is_none());
    let changed = patch(&server, "merge", &format!("{secrets}/s"), &json!({"stringData": {"pw": "x"}})).await;
    assert!(changed.expect(422)["message"].as_str().unwrap().contains("field is immutable when `immutable` is set"));
    let bad = json!({"metadata": {"name": "t"}, "data": {"pw": "not base64!"}});
    let refused = post(&server, secrets, &bad).await;
    assert!(!refused.text().contains("not base64!"), "a value must not come back: {}", refused.text());
    assert!(matches!(refused.code, 400 | 422));
}

#[tokio::test]
async fn many_writers_lose_no_increment() {
    let server = server().await;
    post(&server, CONFIG_MAPS, &config_map("c")).await.expect(201);
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..8 {
        let server = server.clone();
        writers.spawn(async move {
            for round in 0..5 {
                let path = format!("{CONFIG_MAPS}/c");
                let body = json!({"data": {format!("k{writer}-{round}"): "x"}});
                patch(&server, "merge", &path, &body).await.expect(200);
            }
        });
    }
    writers.join_all().await;
    let all = get(&server, &format!("{CONFIG_MAPS}/c")).await.expect(200);
    assert_eq!(all["data"].as_object().map(serde_json::Map::len), Some(41));
}

#[tokio::test]
async fn an_event_must_tell_of_its_own_namespace() {
    let server = server().await;
    let events = "/api/v1/namespaces/default/events";
    let event = |ns: &str| {
        json!({"metadata": {"generateName": "e-"}, "involvedObject": {"kind": "Task", "name": "t", "namespace": ns},
            "reason": "Started", "type": "Normal", "count": 1})
    };
    post(&server, events, &event("kube-system")).await.expect(422);
    let made = post(&server, events, &event("default")).await.expect(201);
    let path = format!("{events}/{}", made["metadata"]["name"].as_str().unwrap());
    let patched = patch(&server, "strategic", &path, &json!({"count": 2})).await.expect(200);
    assert_eq!(patched["count"], 2);
    let found =
        get(&server, &format!("{events}?fieldSelector=involvedObject.name%3Dt,reason%3DStarted")).await.expect(200);
    assert_eq!(found["items"].as_array().map(Vec::len), Some(1));
    let none: Value = get(&server, &format!("{events}?fieldSelector=involvedObject.name%3Dother")).await.expect(200);
    assert_eq!(none["items"], json!([]));
}
