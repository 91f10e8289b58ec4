//! A namespace that goes takes all its content with it, and says what holds it.

use berth_controllers::namespace::parts;
use serde_json::json;

use crate::harness::{Cluster, task};

#[tokio::test]
async fn a_namespace_loses_all_its_content_says_what_is_left_and_goes() {
    let cluster = Cluster::start(parts).await;
    let namespaces = "/api/v1/namespaces";
    cluster.create(namespaces, json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}})).await;
    let maps = "/api/v1/namespaces/shop/configmaps";
    cluster.create(maps, json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m"}})).await;
    let tasks = "/apis/berth.dev/v1/namespaces/shop/tasks";
    let mut held = task("t", "100m");
    held["metadata"]["finalizers"] = json!(["example.com/hold"]);
    cluster.create(tasks, held).await;

    cluster.delete("/api/v1/namespaces/shop", "Background").await;
    let stuck = cluster
        .until("/api/v1/namespaces/shop", "telling what is left", |namespace| {
            namespace["status"].to_string().contains("tasks.berth.dev has 1 resource instances")
        })
        .await;
    assert_eq!(stuck["status"]["phase"], "Terminating");
    assert!(stuck["status"].to_string().contains("example.com/hold in 1 resource instances"), "{stuck:#}");
    cluster.until_gone(&format!("{maps}/m")).await;

    cluster.patch(&format!("{tasks}/t"), json!({"metadata": {"finalizers": null}})).await;
    cluster.until_gone("/api/v1/namespaces/shop").await;
}
