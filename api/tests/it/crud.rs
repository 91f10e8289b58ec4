//! Create, read, update, delete.

use serde_json::json;

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
