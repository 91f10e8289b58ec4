//! Deleting: at once, by finalizers, by policy, by collection; and namespaces.

use serde_json::json;

use crate::support::*;

#[tokio::test]
async fn an_object_that_nothing_holds_is_gone_at_once() {
    let server = server().await;
    let made = post(&server, SERVICES, &service("a")).await.expect(201);
    let path = format!("{SERVICES}/a");
    let status = delete(&server, &path).await.expect(200);
    assert_eq!(status["status"], "Success");
    assert_eq!(status["details"]["uid"], made["metadata"]["uid"]);
    assert_eq!(status["details"]["kind"], "services");
    delete(&server, &path).await.expect(404);
}

#[tokio::test]
async fn finalizers_hold_an_object_until_the_last_is_gone() {
    let server = server().await;
    let mut held = service("a");
    held["metadata"]["finalizers"] = json!(["x.io/one"]);
    post(&server, SERVICES, &held).await.expect(201);
    let path = format!("{SERVICES}/a");
    let marked = delete(&server, &path).await.expect(200);
    assert_eq!(marked["metadata"]["generation"], 2);
    assert_eq!(marked["metadata"]["deletionGracePeriodSeconds"], 0);
    assert_eq!(delete(&server, &path).await.expect(200), marked, "a second delete changes nothing");
    let status = post(&server, SERVICES, &service("a")).await.expect(409);
    assert!(status["message"].as_str().unwrap().starts_with("object is being deleted: "));
    let more = json!({"metadata": {"finalizers": ["x.io/one", "x.io/two"]}});
    patch(&server, "merge", &path, &more).await.expect(422);
    patch(&server, "merge", &path, &json!({"metadata": {"deletionTimestamp": null}})).await.expect(200);
    let last = patch(&server, "merge", &path, &json!({"metadata": {"finalizers": null}})).await.expect(200);
    assert!(last["metadata"].get("finalizers").is_none());
    get(&server, &path).await.expect(404);
}

#[tokio::test]
async fn policies_become_finalizers() {
    let server = server().await;
    for (policy, finalizer) in [("Foreground", "foregroundDeletion"), ("Orphan", "orphan")] {
        post(&server, SERVICES, &service("a")).await.expect(201);
        let path = format!("{SERVICES}/a");
        let marked = ask(&server, "DELETE", &path).json(&json!({"propagationPolicy": policy})).send().await.expect(200);
        assert_eq!(marked["metadata"]["finalizers"], json!([finalizer]));
        patch(&server, "merge", &path, &json!({"metadata": {"finalizers": []}})).await.expect(200);
        get(&server, &path).await.expect(404);
    }
    post(&server, SERVICES, &service("a")).await.expect(201);
    ask(&server, "DELETE", &format!("{SERVICES}/a"))
        .json(&json!({"propagationPolicy": "Bogus"}))
        .send()
        .await
        .expect(422);
}

#[tokio::test]
async fn preconditions_are_kept() {
    let server = server().await;
    let made = post(&server, SERVICES, &service("a")).await.expect(201);
    let path = format!("{SERVICES}/a");
    for wrong in [json!({"uid": "zzz"}), json!({"resourceVersion": "1"})] {
        ask(&server, "DELETE", &path).json(&json!({"preconditions": wrong})).send().await.expect(409);
    }
    let right = json!({"uid": made["metadata"]["uid"], "resourceVersion": made["metadata"]["resourceVersion"]});
    ask(&server, "DELETE", &path).json(&json!({"preconditions": right})).send().await.expect(200);
}

#[tokio::test]
async fn a_collection_is_deleted_by_selector() {
    let server = server().await;
    for name in ["a", "b", "c"] {
        let mut object = config_map(name);
        object["metadata"]["labels"] = json!({"keep": if name == "b" { "yes" } else { "no" }});
        post(&server, CONFIG_MAPS, &object).await.expect(201);
    }
    let gone = delete(&server, &format!("{CONFIG_MAPS}?labelSelector=keep%3Dno")).await.expect(200);
    assert_eq!(gone["items"].as_array().map(Vec::len), Some(2));
    assert_eq!(get(&server, CONFIG_MAPS).await.expect(200)["items"].as_array().map(Vec::len), Some(1));
    delete(&server, "/api/v1/namespaces").await.expect(405);
}

#[tokio::test]
async fn a_task_that_runs_is_given_time() {
    let server = server().await;
    let mut held = task("t");
    held["metadata"]["finalizers"] = json!(["berth.dev/agent"]);
    held["spec"]["terminationGracePeriodSeconds"] = json!(12);
    post(&server, TASKS, &held).await.expect(201);
    let path = format!("{TASKS}/t");
    let marked = delete(&server, &path).await.expect(200);
    assert_eq!(marked["metadata"]["deletionGracePeriodSeconds"], 12);
    let hurried = ask(&server, "DELETE", &path).json(&json!({"gracePeriodSeconds": 1})).send().await.expect(200);
    assert_eq!(hurried["metadata"]["deletionGracePeriodSeconds"], 1);
}

#[tokio::test]
async fn a_namespace_goes_when_it_is_finalized() {
    let server = server().await;
    post(&server, "/api/v1/namespaces", &json!({"metadata": {"name": "tmp"}})).await.expect(201);
    let marked = delete(&server, "/api/v1/namespaces/tmp").await.expect(200);
    assert_eq!(marked["status"]["phase"], "Terminating");
    let refused = post(&server, "/api/v1/namespaces/tmp/configmaps", &config_map("c")).await.expect(403);
    assert_eq!(refused["details"]["causes"][0]["reason"], "NamespaceTerminating");
    let mut final_state = get(&server, "/api/v1/namespaces/tmp").await.expect(200);
    final_state["spec"]["finalizers"] = json!([]);
    put(&server, "/api/v1/namespaces/tmp/finalize", &final_state).await.expect(200);
    get(&server, "/api/v1/namespaces/tmp").await.expect(404);
    for name in ["default", "berth-system", "berth-node-lease"] {
        let status = delete(&server, &format!("/api/v1/namespaces/{name}")).await.expect(403);
        assert_eq!(status["message"], format!("namespaces \"{name}\" is forbidden: this namespace may not be deleted"));
    }
    post(&server, "/api/v1/namespaces", &json!({"metadata": {"name": "a.b"}})).await.expect(422);
}
