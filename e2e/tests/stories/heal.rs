//! A killed process is replaced, and the cluster tells why.

use std::time::{Duration, Instant};

use berth_e2e::{Cluster, alive, example, kill, name_of, phase, until};
use rustix::process::Signal;

#[test]
fn a_killed_process_is_replaced_and_why_tells_it() {
    let cluster = Cluster::up();
    cluster.berth(&["apply", "-f", &example("hello.yaml")]).ok();
    let tasks = cluster.wait_service("hello", 3);
    let victim = name_of(&tasks[0]).to_owned();
    let pid = tasks[0]["status"]["containers"][0]["pid"].as_u64().expect("the status tells the pid") as u32;
    assert!(alive(pid));

    let killed = Instant::now();
    kill(pid, Signal::KILL);
    let replacement = until("a replacement that runs", || {
        let live = cluster.live_tasks("berth.dev/service=hello");
        let fresh = live.iter().find(|t| phase(t) == "Running" && tasks.iter().all(|old| name_of(old) != name_of(t)));
        fresh.map(|t| name_of(t).to_owned()).ok_or_else(|| format!("{live:#?}"))
    });
    let took = killed.elapsed();
    eprintln!("replaced after {took:?}");
    assert!(took < Duration::from_secs(20), "a first failure has no back-off, and yet it took {took:?}");
    assert_ne!(replacement, victim);

    let dead = cluster.get("task", &victim);
    assert_eq!(phase(&dead), "Failed");
    let ended = &dead["status"]["containers"][0]["state"]["terminated"];
    assert_eq!((ended["exitCode"].as_i64(), ended["signal"].as_i64()), (Some(137), Some(9)), "{ended}");
    let why = cluster.berth(&["why", "task", &victim]).ok();
    assert!(why.out.contains("137") || why.out.contains("SIGKILL"), "{why}");
    cluster.berth(&["get", "events"]).ok().says(&victim);
    cluster.wait_service("hello", 3);
    cluster.purge();
}

#[test]
fn a_crash_loop_backs_off_visibly_and_recovers_when_mended() {
    let cluster = Cluster::up();
    let manifest = |shell: &str| {
        format!(
            "{{apiVersion: berth.dev/v1, kind: Service, metadata: {{name: moody}}, spec: {{replicas: 1, \
             backoff: {{seconds: 1, maxSeconds: 4}}, update: {{maxUnavailable: 1, maxSurge: 0}}, \
             template: {{spec: {{terminationGracePeriodSeconds: 1, containers: [{{name: main, shell: '{shell}'}}]}}}}}}}}"
        )
    };
    cluster.apply(&manifest("echo about to fail; exit 3"));
    until("a back-off of the third failure or later", || {
        let status = cluster.get("service", "moody")["status"].clone();
        let failures = status["backoffs"][0]["failures"].as_i64().unwrap_or(0);
        if failures >= 3 && !status["backoffs"][0]["until"].is_null() { Ok(()) } else { Err(status.to_string()) }
    });
    let why = cluster.berth(&["why", "service", "moody"]).ok();
    assert!(why.out.contains("exit code 3") || why.out.contains("code 3"), "{why}");
    assert!(why.out.contains("about to fail"), "the end of the log is part of the answer: {why}");
    let ended = cluster.tasks("berth.dev/service=moody");
    assert!(ended.len() <= 25, "ended tasks are pruned: {}", ended.len());
    cluster.apply(&manifest("exec sleep 1000"));
    cluster.wait_service("moody", 1);
    until("the back-off to be gone", || {
        let status = cluster.get("service", "moody")["status"].clone();
        if status["conditions"].to_string().contains("CrashLoop") { Err(status.to_string()) } else { Ok(()) }
    });
    cluster.purge();
}

#[test]
fn a_command_that_is_not_there_reaches_the_services_condition() {
    let cluster = Cluster::up();
    cluster.apply(
        "{apiVersion: berth.dev/v1, kind: Service, metadata: {name: typo}, spec: {template: {spec: \
         {containers: [{name: main, command: [/no/such/program]}]}}}}",
    );
    until("the reason in the service's conditions", || {
        let conditions = cluster.get("service", "typo")["status"]["conditions"].to_string();
        let told = conditions.contains("/no/such/program") || conditions.contains("CommandNotFound");
        if told { Ok(()) } else { Err(conditions) }
    });
    let why = cluster.berth(&["why", "service", "typo"]).ok();
    assert!(why.out.contains("/no/such/program"), "{why}");
    cluster.purge();
}

#[test]
fn a_failing_liveness_probe_ends_the_task_and_it_is_replaced() {
    let cluster = Cluster::up();
    cluster.apply(
        "{apiVersion: berth.dev/v1, kind: Service, metadata: {name: sick}, spec: {template: {spec: \
         {terminationGracePeriodSeconds: 1, containers: [{name: main, shell: 'touch healthy; sleep 2; rm healthy; sleep 1000', \
         livenessProbe: {exec: {command: [test, -e, healthy]}, periodSeconds: 1, failureThreshold: 2}}]}}}}",
    );
    let failed = until("a task that failed its liveness probe", || {
        let tasks = cluster.tasks("berth.dev/service=sick");
        let hit = tasks.iter().find(|t| t["status"]["reason"] == "LivenessProbeFailed").cloned();
        hit.ok_or_else(|| tasks.iter().map(|t| t["status"].to_string()).collect::<Vec<_>>().join("\n"))
    });
    let why = cluster.berth(&["why", "task", name_of(&failed)]).ok();
    assert!(why.out.to_lowercase().contains("liveness"), "{why}");
    cluster.purge();
}
