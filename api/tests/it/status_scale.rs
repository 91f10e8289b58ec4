//! The status and scale subresources.

use serde_json::json;

use crate::support::*;

#[tokio::test]
async fn the_status_endpoint_writes_the_status_only() {
    let server = server().await;
    let made = post(&server, SERVICES, &service("a")).await.expect(201);
    let path = format!("{SERVICES}/a/status");
    let mut sent = made.clone();
    sent["status"] = json!({"replicas": 2});
    sent["spec"]["replicas"] = json!(9);
    sent["metadata"]["labels"] = json!({"a": "b"});
    let done = put(&server, &path, &sent).await.expect(200);
    assert_eq!(done["status"]["replicas"], 2);
    assert_eq!(done["spec"]["replicas"], 1);
    assert!(done["metadata"].get("labels").is_none());
    assert_eq!(done["metadata"]["generation"], 1);
    put(&server, &path, &sent).await.expect(409);
    let patched = patch(&server, "merge", &path, &json!({"status": {"readyReplicas": 1}})).await.expect(200);
    assert_eq!(patched["status"]["replicas"], 2);
    assert_eq!(patched["status"]["readyReplicas"], 1);
    let main = patch(&server, "merge", &format!("{SERVICES}/a"), &json!({"status": {"replicas": 7}})).await.expect(200);
    assert_eq!(main["status"]["replicas"], 2);
    get(&server, &path).await.expect(200);
    ask(&server, "POST", &path).json(&sent).send().await.expect(405);
    delete(&server, &path).await.expect(405);
    get(&server, &format!("{CONFIG_MAPS}/a/status")).await.expect(404);
    get(&server, &format!("{SERVICES}/a/bogus")).await.expect(404);
}

#[tokio::test]
async fn scale_reads_and_writes_the_replicas() {
    let server = server().await;
    post(&server, SERVICES, &service("a")).await.expect(201);
    let path = format!("{SERVICES}/a/scale");
    let scale = get(&server, &path).await.expect(200);
    assert_eq!(scale["kind"], "Scale");
    assert_eq!(scale["spec"]["replicas"], 1);
    let done = patch(&server, "merge", &path, &json!({"spec": {"replicas": 4}})).await.expect(200);
    assert_eq!(done["spec"]["replicas"], 4);
    put(&server, &path, &scale).await.expect(409);
    let mut free = scale;
    free["metadata"] = json!({"name": "a"});
    free["spec"]["replicas"] = json!(5);
    put(&server, &path, &free).await.expect(200);
    patch(&server, "merge", &path, &json!({"spec": {"replicas": -1}})).await.expect(422);
    let service = get(&server, &format!("{SERVICES}/a")).await.expect(200);
    assert_eq!((&service["spec"]["replicas"], &service["metadata"]["generation"]), (&json!(5), &json!(3)));
}
