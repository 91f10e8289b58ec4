//! Aggregated ClusterRoles get their rules.

use berth_controllers::cluster_role::parts;
use serde_json::json;

use crate::harness::Cluster;

const ROLES: &str = "/apis/rbac.authorization.k8s.io/v1/clusterroles";

#[tokio::test]
async fn a_labelled_role_is_gathered_and_let_go_again() {
    let cluster = Cluster::start(parts).await;
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
        "metadata": {"name": "widgets", "labels": {"rbac.authorization.k8s.io/aggregate-to-edit": "true"}},
        "rules": [{"apiGroups": ["demo.example.com"], "resources": ["widgets"], "verbs": ["update"]}],
    });
    cluster.create(ROLES, role).await;
    for name in ["edit", "admin"] {
        let gathered = |role: &serde_json::Value| role["rules"].to_string().contains("demo.example.com");
        cluster.until(&format!("{ROLES}/{name}"), "gathering the new rule", gathered).await;
    }
    let view = cluster.get(&format!("{ROLES}/view")).await.unwrap();
    assert!(!view["rules"].to_string().contains("demo.example.com"));
    cluster.patch(&format!("{ROLES}/widgets"), json!({"metadata": {"labels": null}})).await;
    for name in ["edit", "admin"] {
        let freed = |role: &serde_json::Value| !role["rules"].to_string().contains("demo.example.com");
        cluster.until(&format!("{ROLES}/{name}"), "letting the rule go", freed).await;
    }
}
