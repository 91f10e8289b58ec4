//! What every namespace has, and gets back when somebody takes it away.

use berth_controllers::baseline::parts;
use serde_json::json;

use crate::harness::Cluster;

#[tokio::test]
async fn every_namespace_has_an_account_and_the_authority_and_gets_them_back() {
    let cluster = Cluster::start(parts).await;
    let source = "/api/v1/namespaces/kube-system/configmaps/kube-root-ca.crt";
    cluster.patch(source, json!({"data": {"ca.crt": "first"}})).await;
    cluster
        .create("/api/v1/namespaces", json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}))
        .await;
    let (account, root_ca) =
        ("/api/v1/namespaces/shop/serviceaccounts/default", "/api/v1/namespaces/shop/configmaps/kube-root-ca.crt");
    let first = cluster.until(account, "made", |_| true).await;
    cluster.until(root_ca, "true", |config| config["data"] == json!({"ca.crt": "first"})).await;

    cluster.delete(account, "Background").await;
    cluster.until(account, "made again", |again| again["metadata"]["uid"] != first["metadata"]["uid"]).await;
    cluster.delete(root_ca, "Background").await;
    cluster.until(root_ca, "made again", |config| config["data"]["ca.crt"] == "first").await;

    cluster.patch(root_ca, json!({"data": {"ca.crt": "forged", "more": "x"}})).await;
    cluster.until(root_ca, "put right", |config| config["data"] == json!({"ca.crt": "first"})).await;
    cluster.patch(source, json!({"data": {"ca.crt": "second"}})).await;
    cluster.until(root_ca, "renewed", |config| config["data"]["ca.crt"] == "second").await;
}
