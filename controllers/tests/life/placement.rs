//! Pending tasks get nodes and ports, or a reason.

use std::collections::BTreeMap;
use std::time::Duration;

use berth_controllers::driver::Part;
use berth_controllers::{placement, role};
use serde_json::json;

use crate::harness::{Cluster, EVENTS, NODES, TASKS, condition_of, task};

fn parts() -> Vec<Part> {
    placement::parts().into_iter().chain(role::parts()).collect()
}

#[tokio::test]
async fn a_pending_task_is_bound_in_one_write_with_ports_and_finalizer() {
    let cluster = Cluster::start(parts).await;
    cluster.node("n1", "4", json!({})).await;
    cluster.task("a", "100m").await;
    let path = format!("{TASKS}/a");
    let bound = cluster.until(&path, "bound", |task| task["spec"]["nodeName"] == "n1").await;
    let given = &bound["spec"]["allocatedPorts"][0];
    assert_eq!(
        (&given["container"], &given["name"], &given["protocol"]),
        (&json!("main"), &json!("http"), &json!("TCP"))
    );
    let port = given["port"].as_i64().unwrap();
    assert!((31000..=31099).contains(&port), "{port}");
    assert_eq!(bound["metadata"]["finalizers"], json!(["berth.dev/agent"]));
    let told = cluster.until(&path, "told so", |task| condition_of(task, "Scheduled").is_some()).await;
    assert_eq!(condition_of(&told, "Scheduled").unwrap()["status"], "True");
    cluster.until(EVENTS, "recorded", |events| events.to_string().contains("placed on node n1")).await;
}

#[tokio::test]
async fn a_task_that_fits_nowhere_says_why_and_is_placed_when_there_is_room() {
    let cluster = Cluster::start(parts).await;
    cluster.node("n1", "500m", json!({})).await;
    cluster.node("n2", "100m", json!({})).await;
    cluster.task("a", "1").await;
    let path = format!("{TASKS}/a");
    let told = cluster.until(&path, "told why", |task| task["status"]["summary"] == "Unschedulable").await;
    assert_eq!(told["status"]["message"], "0 of 2 nodes fit: 2: cpu short by 500m");
    assert_eq!(told["status"]["phase"], "Pending");
    let scheduled = condition_of(&told, "Scheduled").unwrap();
    assert_eq!((&scheduled["status"], &scheduled["reason"]), (&json!("False"), &json!("Unschedulable")));
    cluster.until(EVENTS, "recorded", |events| events.to_string().contains("FailedScheduling")).await;

    cluster.node("n3", "1", json!({})).await;
    cluster.until(&path, "bound", |task| task["spec"]["nodeName"] == "n3").await;
    let placed =
        cluster.until(&path, "told so", |task| condition_of(task, "Scheduled").unwrap()["status"] == "True").await;
    assert_eq!((placed["status"].get("summary"), placed["status"].get("message")), (None, None), "{placed:#}");
}

#[tokio::test]
async fn room_is_given_to_the_next_one_as_soon_as_a_task_ends_or_goes() {
    let cluster = Cluster::start(parts).await;
    cluster.node("n1", "1", json!({})).await;
    for name in ["a", "b", "c"] {
        cluster.task(name, "1").await;
        cluster
            .until(&format!("{TASKS}/{name}"), "seen", |task| {
                task["spec"]["nodeName"] == "n1" || task["status"]["summary"] == "Unschedulable"
            })
            .await;
    }
    cluster.patch(&format!("{TASKS}/a/status"), json!({"status": {"phase": "Succeeded"}})).await;
    let is_bound = |task: &serde_json::Value| task["spec"]["nodeName"] == "n1";
    let path = |name: &str| format!("{TASKS}/{name}");
    let start = std::time::Instant::now();
    let second = loop {
        let (b, c) = (cluster.get(&path("b")).await.unwrap(), cluster.get(&path("c")).await.unwrap());
        assert!(!(is_bound(&b) && is_bound(&c)), "both were placed");
        match (is_bound(&b), is_bound(&c)) {
            (true, _) => break "b",
            (_, true) => break "c",
            _ => assert!(start.elapsed() < Duration::from_secs(20), "neither was placed"),
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    let third = if second == "b" { "c" } else { "b" };
    cluster.patch(&path(second), json!({"metadata": {"finalizers": null}})).await;
    cluster.delete(&path(second), "Background").await;
    cluster.until(&path(third), "bound", is_bound).await;
}

#[tokio::test]
async fn many_tasks_fill_the_nodes_to_the_brim_and_a_new_manager_finds_them_so() {
    let cluster = Cluster::start(parts).await;
    for i in 0..4 {
        cluster.node(&format!("n{i}"), "2", json!({})).await;
    }
    // 4 nodes of 2 cores hold 20 tasks of 400m, and 4 more do not fit.
    for i in 0..24 {
        cluster.task(&format!("t{i}"), "400m").await;
    }
    let is_decided = |list: &serde_json::Value| {
        let all = list["items"].as_array().unwrap();
        let bound = all.iter().filter(|task| task["spec"].get("nodeName").is_some()).count();
        let told = all.iter().filter(|task| task["status"]["summary"] == "Unschedulable").count();
        (bound, told) == (20, 4)
    };
    cluster.until(TASKS, "20 bound and 4 told", is_decided).await;
    let cluster = cluster.restart(parts).await;
    cluster.node("n4", "800m", json!({})).await;
    let list = cluster
        .until(TASKS, "2 more bound", |list| {
            list["items"].as_array().unwrap().iter().filter(|task| task["spec"].get("nodeName").is_some()).count() == 22
        })
        .await;
    let mut on: BTreeMap<&str, usize> = BTreeMap::new();
    let mut ports: BTreeMap<(&str, i64), usize> = BTreeMap::new();
    for task in list["items"].as_array().unwrap() {
        let Some(node) = task["spec"]["nodeName"].as_str() else { continue };
        *on.entry(node).or_default() += 1;
        *ports.entry((node, task["spec"]["allocatedPorts"][0]["port"].as_i64().unwrap())).or_default() += 1;
    }
    assert_eq!(on, BTreeMap::from([("n0", 5), ("n1", 5), ("n2", 5), ("n3", 5), ("n4", 2)]));
    assert!(ports.values().all(|count| *count == 1), "a port was given twice: {ports:?}");
    let role =
        cluster.until("/apis/berth.dev/v1/roles/default", "told", |role| role["status"]["allocated"]["cpu"] == "8800m");
    role.await;
}

#[tokio::test]
async fn a_settled_cluster_is_not_written_to() {
    let cluster = Cluster::start(parts).await;
    cluster.node("n1", "1", json!({})).await;
    cluster.task("a", "1").await;
    cluster.task("b", "1").await;
    cluster
        .until(TASKS, "settled", |list| {
            let all = list["items"].as_array().unwrap();
            all.iter().all(|task| condition_of(task, "Scheduled").is_some())
        })
        .await;
    cluster.until("/apis/berth.dev/v1/roles/default", "told", |role| role["status"]["allocated"]["cpu"] == "1").await;
    let before = cluster.manager.metrics().writes();
    // Longer than every delay of the parts under test but the retry of explanations, which are settled.
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(cluster.manager.metrics().writes(), before);
}

#[tokio::test]
async fn a_cordoned_node_and_a_constraint_are_told_apart() {
    let cluster = Cluster::start(parts).await;
    cluster.node("n1", "4", json!({})).await;
    cluster.node("n2", "4", json!({"disk": "ssd"})).await;
    cluster.patch(&format!("{NODES}/n2"), json!({"spec": {"unschedulable": true}})).await;
    let mut wants_ssd = task("a", "100m");
    wants_ssd["spec"]["nodeSelector"] = json!({"disk": "ssd"});
    cluster.create(TASKS, wants_ssd).await;
    let path = format!("{TASKS}/a");
    let told = cluster.until(&path, "told why", |task| task["status"]["message"].is_string()).await;
    assert_eq!(told["status"]["message"], "0 of 2 nodes fit: 1: cordoned; 1: no label or attribute disk=ssd");
    cluster.patch(&format!("{NODES}/n2"), json!({"spec": {"unschedulable": false}})).await;
    cluster.until(&path, "bound", |task| task["spec"]["nodeName"] == "n2").await;
}

#[tokio::test]
async fn bindings_that_lose_a_race_are_made_again_and_nothing_is_booked_twice() {
    let cluster = Cluster::start(parts).await;
    cluster.node("n1", "4", json!({})).await;
    let names: Vec<String> = (0..40).map(|i| format!("t{i}")).collect();
    // Somebody else writes each task right after it was made: every second binding or so meets a newer version.
    let on = &cluster;
    futures::future::join_all(names.iter().map(|name| async move {
        on.task(name, "100m").await;
        for round in 0..3 {
            let labels = json!({"metadata": {"labels": {"round": round.to_string()}}});
            on.patch(&format!("{TASKS}/{name}"), labels).await;
        }
    }))
    .await;
    let list = cluster
        .until(TASKS, "all bound", |list| {
            list["items"].as_array().unwrap().iter().all(|task| task["spec"]["nodeName"] == "n1")
        })
        .await;
    let ports = list["items"].as_array().unwrap().iter().map(|task| task["spec"]["allocatedPorts"][0]["port"].as_i64());
    let different: std::collections::BTreeSet<_> = ports.collect();
    assert_eq!(different.len(), 40);
}
