//! Nodes that fall silent, come back, or are removed, and what becomes of their tasks.

use std::time::Duration;

use berth_controllers::driver::Part;
use berth_controllers::node::{Patience, parts_with};
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};

use crate::harness::{Cluster, NODES, TASKS, condition, condition_of, task};

const LEASES: &str = "/apis/coordination.k8s.io/v1/namespaces/berth-node-lease/leases";

fn patient() -> Vec<Part> {
    parts_with(Patience::default())
}

fn impatient() -> Vec<Part> {
    let moment = Duration::from_millis(200);
    parts_with(Patience { no_execute: moment, eviction: moment * 2, gone: moment, ..Patience::default() })
}

fn now() -> String {
    format!("{:.6}", Timestamp::now())
}

/// A node with a Lease of one second, and a running task on it.
async fn silent_node(parts: fn() -> Vec<Part>) -> Cluster {
    let cluster = Cluster::start(parts).await;
    cluster.node("n1", "1", json!({})).await;
    let spec = json!({"holderIdentity": "n1", "leaseDurationSeconds": 1, "renewTime": now()});
    cluster
        .create(
            LEASES,
            json!({
                "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "n1"}, "spec": spec,
            }),
        )
        .await;
    let mut running = task("a", "100m");
    running["spec"]["nodeName"] = json!("n1");
    running["metadata"]["finalizers"] = json!(["berth.dev/agent"]);
    cluster.create(TASKS, running).await;
    cluster.apply(&format!("{TASKS}/a/status"), "berth-agent", json!({
        "apiVersion": "berth.dev/v1", "kind": "Task", "metadata": {"name": "a", "namespace": "default"},
        "status": {
            "phase": "Running", "summary": "Running", "conditions": [condition("Ready", "True")],
            "containers": [{"name": "main", "ready": true, "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}}}],
        },
    }))
    .await;
    cluster
}

fn is_tainted(node: &Value) -> bool {
    node["spec"]["taints"].to_string().contains("berth.dev/unreachable")
}

#[tokio::test]
async fn a_silent_node_is_tainted_its_tasks_are_unknown_and_all_is_taken_back_when_it_speaks() {
    let cluster = silent_node(patient).await;
    let (node, task) = (format!("{NODES}/n1"), format!("{TASKS}/a"));
    cluster.until(&node, "tainted", is_tainted).await;
    let silent =
        cluster.until(&node, "unknown", |node| condition_of(node, "Ready").unwrap()["status"] == "Unknown").await;
    assert_eq!(silent["spec"]["taints"][0]["effect"], "NoSchedule");
    let lost = cluster.until(&task, "unknown", |task| task["status"]["phase"] == "Unknown").await;
    let ready = condition_of(&lost, "Ready").unwrap();
    assert_eq!((&ready["status"], &ready["reason"]), (&json!("False"), &json!("NodeUnreachable")));

    cluster.patch(&format!("{LEASES}/n1"), json!({"spec": {"renewTime": now(), "leaseDurationSeconds": 100}})).await;
    cluster
        .until(&node, "clear", |node| !is_tainted(node) && condition_of(node, "Ready").unwrap()["status"] == "True")
        .await;
    let back = cluster.until(&task, "running", |task| task["status"]["phase"] == "Running").await;
    assert_eq!(condition_of(&back, "Ready").unwrap()["status"], "True");
}

#[tokio::test]
async fn tasks_of_a_node_that_stays_silent_are_deleted() {
    let cluster = silent_node(impatient).await;
    cluster
        .until(&format!("{NODES}/n1"), "driving tasks away", |node| {
            node["spec"]["taints"].to_string().contains("NoExecute")
        })
        .await;
    cluster.until(&format!("{TASKS}/a"), "deleted", |task| task["metadata"]["deletionTimestamp"].is_string()).await;
}

#[tokio::test]
async fn tasks_of_a_node_that_was_removed_are_let_go_of() {
    let cluster = silent_node(impatient).await;
    cluster.delete(&format!("{NODES}/n1"), "Background").await;
    cluster.until_gone(&format!("{TASKS}/a")).await;
}
