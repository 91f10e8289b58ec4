//! The stories.

use std::time::Duration;

use berth_client::k8s_openapi::api::coordination::v1::Lease;
use berth_client::k8s_openapi::api::core::v1::{ConfigMap, Event, Secret};
use berth_client::kube::Api;
use berth_client::kube::api::{Patch, PatchParams, PostParams};
use berth_types::condition::is_true;
use berth_types::{Node, TaskPhase};
use serde_json::json;

use crate::cluster::{Cluster, within};

pub(crate) async fn a_task_runs_answers_logs_and_exec_and_leaves_nothing() {
    let cluster = Cluster::start().await;
    let shell = "echo out; echo err >&2; trap 'echo bye; exit 0' TERM; while true; do sleep 0.05; done";
    cluster.run("hello", json!({"containers": [{"name": "main", "shell": shell}]})).await;
    let running = cluster.until("hello", "ready", |s| is_true(&s.conditions, "Ready")).await;
    assert_eq!((running.phase, running.summary.as_deref()), (TaskPhase::Running, Some("Running")));
    let pid = running.containers[0].pid.unwrap();
    assert!(std::path::Path::new(&format!("/proc/{pid}")).exists());

    let logs = "/v1/logs/default/hello/main";
    let begin = std::time::Instant::now();
    while cluster.get(logs).await.1.lines().count() < 2 {
        assert!(begin.elapsed() < Duration::from_secs(10), "no logs");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let mut lines: Vec<String> = cluster.get(logs).await.1.lines().map(str::to_owned).collect();
    lines.sort();
    assert_eq!(lines, ["err", "out"]);
    assert_eq!(cluster.get(&format!("{logs}?tailLines=1")).await.1.lines().count(), 1);
    let stamped = cluster.get(&format!("{logs}?timestamps=true")).await.1;
    assert!(
        stamped.lines().all(|l| l
            .split_once(' ')
            .is_some_and(|(t, _)| t.parse::<berth_client::k8s_openapi::jiff::Timestamp>().is_ok())),
        "{stamped}"
    );

    let exec = "/v1/exec/default/hello/main?stdout=true&stderr=true";
    let (out, result) =
        cluster.exec(&format!("{exec}&command=sh&command=-c&command=echo%20%24BERTH_TASK%3B%20exit%203"), b"").await;
    assert_eq!(out, "hello\n");
    assert_eq!(result["details"]["causes"][0]["message"], "3");
    let (out, result) = cluster.exec(&format!("{exec}&stdin=true&command=cat"), b"through").await;
    assert_eq!((out.as_str(), &result["status"]), ("through", &json!("Success")));

    let (out, _) = cluster.exec("/v1/exec/default/hello/main?stdout=true&tty=true&command=tty", b"").await;
    assert!(out.starts_with("/dev/pts/"), "{out:?}");

    // A follower sees the last line that the task writes when it is stopped.
    let follow = format!("{logs}?follow=true");
    let (followed, ()) = tokio::join!(cluster.get(&follow), async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        cluster.delete("hello").await;
    });
    assert!(followed.1.contains("out\n") && followed.1.contains("bye\n"), "{followed:?}");
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
    cluster.assert_clean().await;
    let events: Api<Event> = Api::namespaced(cluster.client.clone(), "default");
    let begin = std::time::Instant::now();
    loop {
        let reasons: Vec<String> =
            events.list(&Default::default()).await.unwrap().items.into_iter().filter_map(|e| e.reason).collect();
        if ["Started", "Killing"].iter().all(|r| reasons.iter().any(|have| have == r)) {
            break;
        }
        assert!(begin.elapsed() < Duration::from_secs(10), "{reasons:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    cluster.end().await;
}

pub(crate) async fn an_agent_that_dies_loses_nothing() {
    let mut cluster = Cluster::start().await;
    cluster.run("stays", json!({"containers": [{"name": "main", "shell": "while true; do sleep 0.05; done"}]})).await;
    cluster.run("ends", json!({"containers": [{"name": "main", "shell": "while [ ! -e $MESOS_SANDBOX/go ]; do sleep 0.02; done; echo last words; exit 7"}]})).await;
    let before = cluster.until_phase("stays", TaskPhase::Running).await;
    cluster.until_phase("ends", TaskPhase::Running).await;
    let version = cluster.tasks().get("stays").await.unwrap().metadata.resource_version;
    cluster.kill_agent().await;
    std::fs::write(cluster.dir.path().join("data/sandboxes/default/ends/go"), "").unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    cluster.start_agent().await;
    let ended = cluster.until_phase("ends", TaskPhase::Failed).await;
    let terminated = ended.containers[0].state.terminated.clone().unwrap();
    assert_eq!((terminated.exit_code, terminated.message.as_deref()), (7, Some("last words")));
    let after = cluster.until_phase("stays", TaskPhase::Running).await;
    assert_eq!((before.containers[0].pid, before.start_time), (after.containers[0].pid, after.start_time));
    assert!(is_true(&after.conditions, "Ready"));
    assert_eq!(
        version,
        cluster.tasks().get("stays").await.unwrap().metadata.resource_version,
        "nothing to say, nothing written"
    );
    cluster.delete("stays").await;
    cluster.delete("ends").await;
    cluster.assert_clean().await;
    cluster.end().await;
}

pub(crate) async fn a_failure_has_its_code_its_reason_and_its_last_words() {
    let cluster = Cluster::start().await;
    cluster.run("fails", json!({"containers": [{"name": "main", "shell": "echo no luck >&2; exit 3"}, {"name": "other", "shell": "sleep 600"}]})).await;
    let failed = cluster.until_phase("fails", TaskPhase::Failed).await;
    assert_eq!(failed.reason.as_deref(), Some("Error"));
    assert!(failed.message.as_deref().unwrap().contains("exited with code 3"), "{failed:?}");
    assert_eq!(failed.containers[0].state.terminated.as_ref().unwrap().message.as_deref(), Some("no luck"));
    assert!(failed.containers[1].state.terminated.is_some(), "the other container was stopped");
    assert!(
        cluster.get("/v1/logs/default/fails/main?follow=true").await.1.contains("no luck"),
        "logs stay until the task is deleted"
    );
    cluster.run("missing", json!({"containers": [{"name": "main", "command": ["/does/not/exist"]}]})).await;
    let missing = cluster.until_phase("missing", TaskPhase::Failed).await;
    assert_eq!(missing.reason.as_deref(), Some("CommandNotFound"));
    cluster.run("done", json!({"initContainers": [{"name": "first", "shell": "echo 1 > $MESOS_SANDBOX/x"}], "containers": [{"name": "main", "shell": "test -s $MESOS_SANDBOX/x"}]})).await;
    cluster.until_phase("done", TaskPhase::Succeeded).await;
    for name in ["fails", "missing", "done"] {
        cluster.delete(name).await;
    }
    cluster.assert_clean().await;
    cluster.end().await;
}

pub(crate) async fn memory_over_the_limit_is_called_so() {
    let cluster = Cluster::start().await;
    let shell = "x=$(head -c 200000000 /dev/zero | tr '\\0' a); echo survived";
    cluster
        .run(
            "eats",
            json!({"containers": [{"name": "main", "shell": shell, "resources": {"limits": {"memory": "32Mi"}}}]}),
        )
        .await;
    let failed = cluster.until_phase("eats", TaskPhase::Failed).await;
    assert_eq!(failed.reason.as_deref(), Some("OOMKilled"), "{failed:?}");
    cluster.delete("eats").await;
    cluster.end().await;
}

pub(crate) async fn configuration_arrives_as_variables_and_files() {
    let cluster = Cluster::start().await;
    let maps: Api<ConfigMap> = Api::namespaced(cluster.client.clone(), "default");
    let secrets: Api<Secret> = Api::namespaced(cluster.client.clone(), "default");
    let secret =
        serde_json::from_value(json!({"metadata": {"name": "s"}, "stringData": {"password": "hush"}})).unwrap();
    secrets.create(&PostParams::default(), &secret).await.unwrap();
    let spec = json!({
        "volumes": [{"name": "cfg", "configMap": {"name": "m"}}, {"name": "sec", "secret": {"secretName": "s"}}, {"name": "mem", "emptyDir": {"medium": "Memory"}}],
        "containers": [{
            "name": "main",
            "shell": "echo $GREETING $(cat /tmp/cfg/greeting) $(cat /tmp/sec/password) $WHO; touch /tmp/mem/x && echo writable; sleep 600",
            "env": [
                {"name": "GREETING", "valueFrom": {"configMapKeyRef": {"name": "m", "key": "greeting"}}},
                {"name": "WHO", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}
            ],
            "volumeMounts": [{"name": "cfg", "mountPath": "/tmp/cfg"}, {"name": "sec", "mountPath": "/tmp/sec"}, {"name": "mem", "mountPath": "/tmp/mem"}]
        }],
        "terminationGracePeriodSeconds": 1
    });
    cluster.run("reads", spec).await;
    cluster.until("reads", "blocked", |s| s.reason.as_deref() == Some("ConfigMapNotFound")).await;
    let map = serde_json::from_value(json!({"metadata": {"name": "m"}, "data": {"greeting": "hello"}})).unwrap();
    maps.create(&PostParams::default(), &map).await.unwrap();
    cluster.until_phase("reads", TaskPhase::Running).await;
    let begin = std::time::Instant::now();
    loop {
        let logs = cluster.get("/v1/logs/default/reads/main").await.1;
        if logs == "hello hello hush reads\nwritable\n" {
            break;
        }
        assert!(begin.elapsed() < Duration::from_secs(10), "{logs:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    cluster.delete("reads").await;
    cluster.assert_clean().await;
    cluster.end().await;
}

pub(crate) async fn a_stubborn_task_is_killed_after_its_grace() {
    let cluster = Cluster::start().await;
    cluster.run("stubborn", json!({"containers": [{"name": "main", "shell": "trap '' TERM; while true; do sleep 0.05; done"}], "terminationGracePeriodSeconds": 1})).await;
    let pid = cluster.until_phase("stubborn", TaskPhase::Running).await.containers[0].pid.unwrap();
    let begin = std::time::Instant::now();
    cluster.delete("stubborn").await;
    assert!(begin.elapsed() >= Duration::from_secs(1), "{:?}", begin.elapsed());
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
    cluster.assert_clean().await;
    cluster.end().await;
}

pub(crate) async fn a_cordon_survives_the_agent_and_a_settled_node_writes_nothing() {
    let mut cluster = Cluster::start().await;
    let nodes: Api<Node> = Api::all(cluster.client.clone());
    let leases: Api<Lease> = Api::namespaced(cluster.client.clone(), "berth-node-lease");
    let node = nodes.get("n1").await.unwrap();
    let status = node.status.unwrap();
    assert!(is_true(&status.conditions, "Ready"));
    assert!(status.allocatable["memory"].units().unwrap() > 0 && status.agent_endpoint.is_some());
    assert!(leases.get("n1").await.unwrap().spec.unwrap().renew_time.is_some());
    let cordon = json!({"spec": {"unschedulable": true}, "metadata": {"labels": {"zone": "a"}}});
    nodes.patch("n1", &PatchParams::default(), &Patch::Merge(cordon)).await.unwrap();
    cluster
        .run(
            "quiet",
            json!({"containers": [{"name": "main", "shell": "sleep 600"}], "terminationGracePeriodSeconds": 1}),
        )
        .await;
    cluster.until("quiet", "ready", |s| is_true(&s.conditions, "Ready")).await;
    let version = || async { cluster.tasks().get("quiet").await.unwrap().metadata.resource_version };
    let before = version().await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(before, version().await);
    cluster.kill_agent().await;
    cluster.start_agent().await;
    let node = nodes.get("n1").await.unwrap();
    assert!(node.spec.unschedulable);
    assert_eq!(node.metadata.labels.unwrap()["zone"], "a");
    // Somebody takes the node for lost: the agent says that it is there.
    let lost = json!({"status": {"conditions": [{"type": "Ready", "status": "Unknown", "reason": "NodeSilent", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}]}});
    nodes.patch_status("n1", &PatchParams::default(), &Patch::Merge(lost)).await.unwrap();
    within("the node to be ready again", async {
        while !nodes.get("n1").await.unwrap().status.is_some_and(|s| is_true(&s.conditions, "Ready")) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    cluster.delete("quiet").await;
    cluster.end().await;
}

pub(crate) async fn strangers_reach_health_only() {
    let cluster = Cluster::start().await;
    assert_eq!(cluster.get_as_nobody("/livez").await.0, 200);
    assert_eq!(cluster.get_as_nobody("/readyz?verbose").await.0, 200);
    for path in ["/metrics", "/v1/logs/default/x/main", "/v1/exec/default/x/main?command=sh"] {
        assert_eq!(cluster.get_as_nobody(path).await.0, 401, "{path}");
        assert_eq!(cluster.get_as_stranger(path).await.0, 401, "{path}");
    }
    assert_eq!(cluster.get("/v1/logs/default/x/main").await.0, 404);
    assert!(cluster.get("/metrics").await.1.contains("berth_agent_launch_seconds"));
    cluster.end().await;
}

/// `node __bench`: from a task's creation to `Running` in the API, and 200 tasks started and removed.
pub(crate) async fn bench() {
    let cluster = Cluster::start().await;
    let spec =
        json!({"containers": [{"name": "main", "command": ["sleep", "600"]}], "terminationGracePeriodSeconds": 1});
    let mut times = Vec::new();
    for n in 0..50 {
        let begin = std::time::Instant::now();
        let name = format!("one-{n}");
        cluster.run(&name, spec.clone()).await;
        while cluster.tasks().get(&name).await.unwrap().status.is_none_or(|s| s.phase != TaskPhase::Running) {
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
        times.push(begin.elapsed());
        cluster.delete(&name).await;
    }
    times.sort();
    println!("create to Running: p50 {:?}, p90 {:?}, max {:?}", times[25], times[45], times[49]);
    let begin = std::time::Instant::now();
    for n in 0..200 {
        cluster.run(&format!("many-{n}"), spec.clone()).await;
    }
    for n in 0..200 {
        cluster.until_phase(&format!("many-{n}"), TaskPhase::Running).await;
    }
    println!("200 tasks running after {:?}", begin.elapsed());
    let begin = std::time::Instant::now();
    let client = &cluster;
    futures::future::join_all((0..200).map(|n| async move { client.delete(&format!("many-{n}")).await })).await;
    println!("200 tasks gone after {:?}", begin.elapsed());
    cluster.assert_clean().await;
    let metrics = cluster.get("/metrics").await.1;
    metrics
        .lines()
        .filter(|l| l.starts_with("berth_agent_launch_seconds") || l.starts_with("berth_agent_tasks"))
        .for_each(|l| println!("{l}"));
    cluster.end().await;
}
