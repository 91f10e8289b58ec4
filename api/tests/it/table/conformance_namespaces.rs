//! Upstream's conformance specs of namespaces and of the core kinds in them.

use serde_json::json;

use super::*;

const ACCOUNTS: &str = "/api/v1/namespaces/default/serviceaccounts";
const SECRETS: &str = "/api/v1/namespaces/default/secrets";
const LEASES: &str = "/apis/coordination.k8s.io/v1/namespaces/default/leases";

#[tokio::test]
async fn a_namespace_is_patched_updated_and_given_a_finalizer() {
    let server = server().await;
    post(&server, "/api/v1/namespaces", &json!({"metadata": {"name": "ns"}})).await.expect(201);
    let path = "/api/v1/namespaces/ns";
    let label = json!({"metadata": {"labels": {"testLabel": "testValue"}}});
    patch(&server, "strategic", path, &label).await.expect(200);
    let mut namespace = get(&server, path).await.expect(200);
    assert_eq!(namespace["metadata"]["labels"]["testLabel"], "testValue");
    namespace["metadata"]["labels"]["updated"] = "yes".into();
    let mut namespace = put(&server, path, &namespace).await.expect(200);
    assert_eq!(namespace["metadata"]["labels"]["updated"], "yes");
    let fake = "e2e.example.com/fakeFinalizer";
    namespace["spec"]["finalizers"] = json!(["kubernetes", fake]);
    let mut held = put(&server, &format!("{path}/finalize"), &namespace).await.expect(200);
    assert_eq!(held["spec"]["finalizers"], json!(["kubernetes", fake]));
    held["spec"]["finalizers"] = json!(["kubernetes"]);
    let freed = put(&server, &format!("{path}/finalize"), &held).await.expect(200);
    assert_eq!(freed["spec"]["finalizers"], json!(["kubernetes"]));
}

#[tokio::test]
async fn the_status_of_a_namespace_takes_conditions() {
    let server = server().await;
    let status = "/api/v1/namespaces/default/status";
    assert_eq!(get(&server, status).await.expect(200)["status"]["phase"], "Active");
    let condition =
        |kind: &str, message: &str| json!({"type": kind, "status": "True", "reason": "E2E", "message": message});
    let body = json!({"metadata": {"annotations": {"e2e-patched-ns-status": "default"}},
        "status": {"conditions": [condition("StatusPatch", "Patched by an e2e test")]}});
    let mut patched = patch(&server, "merge", status, &body).await.expect(200);
    assert_eq!(patched["metadata"]["annotations"]["e2e-patched-ns-status"], "default");
    assert_eq!(
        (&patched["status"]["phase"], &patched["status"]["conditions"][0]["reason"]),
        (&json!("Active"), &json!("E2E"))
    );
    patched["status"]["conditions"].as_array_mut().unwrap().push(condition("StatusUpdate", "Updated by an e2e test"));
    let updated = put(&server, status, &patched).await.expect(200);
    assert_eq!(updated["status"]["conditions"][1]["message"], "Updated by an e2e test");
}

#[tokio::test]
async fn an_account_runs_through_its_life() {
    let server = server().await;
    let mine = "labelSelector=test-serviceaccount-static%3Dtrue";
    let mut lines = Lines::new(ask(&server, "GET", &format!("{ACCOUNTS}?watch=1&{mine}")).response().await);
    let account = json!({"metadata": {"name": "testserviceaccount", "labels": {"test-serviceaccount-static": "true"}}});
    post(&server, ACCOUNTS, &account).await.expect(201);
    assert_eq!(lines.brief(1).await, ["ADDED testserviceaccount"]);
    assert_eq!(
        names(&get(&server, &format!("/api/v1/serviceaccounts?{mine}")).await.expect(200)),
        ["testserviceaccount"]
    );
    let path = format!("{ACCOUNTS}/testserviceaccount");
    patch(&server, "strategic", &path, &json!({"automountServiceAccountToken": false})).await.expect(200);
    assert_eq!(lines.brief(1).await, ["MODIFIED testserviceaccount"]);
    let mut account = get(&server, &path).await.expect(200);
    assert!(account.get("secrets").is_none(), "no token is made by itself: {account}");
    account["automountServiceAccountToken"] = true.into();
    assert_eq!(put(&server, &path, &account).await.expect(200)["automountServiceAccountToken"], true);
    let gone = delete(&server, &format!("{ACCOUNTS}?{mine}")).await.expect(200);
    assert_eq!(gone["kind"], "ServiceAccountList");
    assert_eq!(lines.brief(2).await, ["MODIFIED testserviceaccount", "DELETED testserviceaccount"]);
}

#[tokio::test]
async fn secrets_and_config_maps_run_through_their_lives() {
    let server = server().await;
    let mine = "labelSelector=testsecret-constant%3Dtrue";
    let secret = json!({"metadata": {"name": "s", "labels": {"testsecret-constant": "true"}}, "data": {"key": "dmFsdWU="}, "type": "Opaque"});
    post(&server, SECRETS, &secret).await.expect(201);
    assert_eq!(names(&get(&server, &format!("/api/v1/secrets?{mine}")).await.expect(200)), ["s"]);
    let body = json!({"metadata": {"labels": {"testsecret": "true"}}, "data": {"key": "dmFsdWUx"}});
    let patched = patch(&server, "strategic", &format!("{SECRETS}/s"), &body).await.expect(200);
    assert_eq!(
        (&patched["data"]["key"], &patched["metadata"]["labels"]["testsecret"]),
        (&json!("dmFsdWUx"), &json!("true"))
    );
    delete(&server, &format!("{SECRETS}?{mine}")).await.expect(200);
    assert!(names(&get(&server, &format!("/api/v1/secrets?{mine}")).await.expect(200)).is_empty());
    for (path, kind) in [(SECRETS, "Secret"), (CONFIG_MAPS, "ConfigMap")] {
        let nameless =
            json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": "empty"}, "data": {"": "dmFsdWUx"}});
        post(&server, path, &nameless).await.hints(422, "Invalid", "data[]: Invalid value: \"\"");
    }
    let mut map = config_map("m");
    map["metadata"]["labels"] = json!({"test-configmap-static": "true"});
    let mut lines = Lines::new(
        ask(&server, "GET", &format!("{CONFIG_MAPS}?watch=1&labelSelector=test-configmap-static%3Dtrue"))
            .response()
            .await,
    );
    post(&server, CONFIG_MAPS, &map).await.expect(201);
    let body = json!({"metadata": {"labels": {"test-configmap": "patched"}}, "data": {"valueName": "value1"}});
    patch(&server, "strategic", &format!("{CONFIG_MAPS}/m"), &body).await.expect(200);
    assert_eq!(
        names(&get(&server, "/api/v1/configmaps?labelSelector=test-configmap%3Dpatched").await.expect(200)),
        ["m"]
    );
    delete(&server, &format!("{CONFIG_MAPS}?labelSelector=test-configmap-static%3Dtrue")).await.expect(200);
    assert_eq!(lines.brief(3).await, ["ADDED m", "MODIFIED m", "DELETED m"]);
}

#[tokio::test]
async fn leases_are_available() {
    let server = server().await;
    let spec = |holder: &str, n: u32| {
        json!({"holderIdentity": holder, "leaseDurationSeconds": 30 + n, "leaseTransitions": n,
        "acquireTime": "2017-09-19T13:49:16.000000Z", "renewTime": "2017-09-19T13:49:21.000001Z"})
    };
    let lease = |name: &str| json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": name, "labels": {"deletecollection": "true"}}, "spec": spec("h", 0)});
    let made = post(&server, LEASES, &lease("lease")).await.expect(201);
    let path = format!("{LEASES}/lease");
    assert_eq!(get(&server, &path).await.expect(200)["spec"], made["spec"]);
    let mut update = made.clone();
    update["spec"] = spec("h2", 1);
    put(&server, &path, &update).await.expect(200);
    assert_eq!(get(&server, &path).await.expect(200)["spec"], spec("h2", 1));
    let patched = patch(&server, "strategic", &path, &json!({"spec": spec("h3", 70)})).await.expect(200);
    assert_eq!(patched["spec"], spec("h3", 70));
    post(&server, LEASES, &lease("lease2")).await.expect(201);
    assert_eq!(names(&get(&server, LEASES).await.expect(200)).len(), 2);
    delete(&server, &format!("{LEASES}?labelSelector=deletecollection%3Dtrue")).await.expect(200);
    assert!(names(&get(&server, LEASES).await.expect(200)).is_empty());
    post(&server, LEASES, &lease("lease")).await.expect(201);
    delete(&server, &path).await.expect(200);
    get(&server, &path).await.expect(404);
}

#[tokio::test]
async fn limit_ranges_are_listed_patched_and_deleted_by_collection() {
    let server = server().await;
    let ranges = "/api/v1/namespaces/default/limitranges";
    let limit = |min: &str| {
        json!({"limits": [{"type": "Container", "min": {"cpu": min, "memory": "100Mi"}, "max": {"cpu": "500m", "memory": "500Mi"},
        "default": {"cpu": "300m", "memory": "300Mi"}, "defaultRequest": {"cpu": "200m", "memory": "200Mi"}}]})
    };
    let range = json!({"metadata": {"name": "e2e", "labels": {"e2e": "yes"}}, "spec": limit("50m")});
    post(&server, ranges, &range).await.expect(201);
    assert_eq!(names(&get(&server, "/api/v1/limitranges?labelSelector=e2e%3Dyes").await.expect(200)), ["e2e"]);
    let body = json!({"metadata": {"labels": {"e2e-limitrange": "patched"}}, "spec": limit("40m")});
    let patched = patch(&server, "strategic", &format!("{ranges}/e2e"), &body).await.expect(200);
    assert_eq!(
        (&patched["metadata"]["labels"]["e2e-limitrange"], &patched["spec"]),
        (&json!("patched"), &limit("40m"))
    );
    delete(&server, &format!("{ranges}?labelSelector=e2e-limitrange%3Dpatched")).await.expect(200);
    assert!(names(&get(&server, ranges).await.expect(200)).is_empty());
}
