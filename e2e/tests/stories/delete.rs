//! Deleting ends the processes, politely first, and leaves nothing.

use std::time::{Duration, Instant};

use berth_e2e::{Cluster, alive, example, name_of, until};

#[test]
fn deleting_terminates_politely_then_kills_after_the_grace_period() {
    let cluster = Cluster::up();
    cluster.apply(
        "{apiVersion: berth.dev/v1, kind: Service, metadata: {name: polite}, spec: {template: {spec: \
         {terminationGracePeriodSeconds: 20, containers: [{name: main, \
         shell: 'trap \"exit 0\" TERM; while :; do sleep 0.05; done'}]}}}}\n---\n\
         {apiVersion: berth.dev/v1, kind: Service, metadata: {name: stubborn}, spec: {template: {spec: \
         {terminationGracePeriodSeconds: 2, containers: [{name: main, \
         shell: 'trap \"\" TERM; while :; do sleep 0.05; done'}]}}}}",
    );
    let polite = cluster.wait_service("polite", 1);
    let stubborn = cluster.wait_service("stubborn", 1);
    let pid = |tasks: &[serde_json::Value]| tasks[0]["status"]["containers"][0]["pid"].as_u64().unwrap() as u32;

    let start = Instant::now();
    cluster.berth(&["delete", "service", "polite"]).ok();
    until("the polite one to be gone", || {
        if alive(pid(&polite)) { Err("alive") } else { Ok(()) }.map_err(str::to_owned)
    });
    assert!(start.elapsed() < Duration::from_secs(15), "SIGTERM was enough, no need to wait for the grace period");

    let start = Instant::now();
    cluster.berth(&["delete", "service", "stubborn"]).ok();
    until("the stubborn one to be gone", || {
        if alive(pid(&stubborn)) { Err("alive") } else { Ok(()) }.map_err(str::to_owned)
    });
    assert!(start.elapsed() >= Duration::from_millis(1500), "it had two seconds of grace");
    until("no task to be left", || {
        let tasks = cluster.berth(&["get", "tasks", "-o", "name"]).ok();
        if tasks.out.trim().is_empty() { Ok(()) } else { Err(tasks.out) }
    });
    cluster.purge();
}

#[test]
fn delete_by_file_then_purge_leaves_nothing_on_the_machine() {
    let cluster = Cluster::up();
    cluster.berth(&["apply", "-f", &example("hello.yaml")]).ok();
    let tasks = cluster.wait_service("hello", 3);
    let marks: Vec<_> = tasks.iter().map(|t| format!("BERTH_TASK={}", name_of(t))).collect();
    assert!(marks.iter().all(|mark| !cluster.pids(mark).is_empty()));
    cluster.berth(&["delete", "-f", &example("hello.yaml")]).ok().says("deleted");
    until("the processes to be gone", || {
        let left: Vec<_> = marks.iter().flat_map(|mark| cluster.pids(mark)).collect();
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
    });
    cluster.berth(&["delete", "-f", &example("hello.yaml")]).code(3);
    cluster.purge();
}

#[test]
fn purge_ends_what_still_runs() {
    let cluster = Cluster::up();
    cluster.berth(&["apply", "-f", &example("hello.yaml")]).ok();
    let tasks = cluster.wait_service("hello", 3);
    let pids: Vec<u32> = tasks.iter().map(|t| t["status"]["containers"][0]["pid"].as_u64().unwrap() as u32).collect();
    cluster.purge();
    assert!(pids.iter().all(|pid| !alive(*pid)));
}
