//! `kill -9` of berth itself: the tasks run on, and the next berth takes them up as they are.

use berth_e2e::{Cluster, alive, berth_bin, kill, name_of, phase, until};
use rustix::process::Signal;
use serde_json::Value;

fn pids(tasks: &[Value]) -> Vec<(String, u64)> {
    let mut pids: Vec<_> = tasks
        .iter()
        .map(|t| (name_of(t).to_owned(), t["status"]["containers"][0]["pid"].as_u64().unwrap_or(0)))
        .collect();
    pids.sort();
    pids
}

#[test]
fn tasks_outlive_a_killed_berth_and_are_adopted() {
    let mut cluster = Cluster::up();
    cluster.apply(
        "{apiVersion: berth.dev/v1, kind: Service, metadata: {name: count}, spec: {replicas: 2, template: {spec: \
         {terminationGracePeriodSeconds: 1, containers: [{name: main, \
         shell: 'i=0; while :; do i=$((i+1)); echo line $i; sleep 0.05; done'}]}}}}",
    );
    let before = pids(&cluster.wait_service("count", 2));
    cluster.crash();
    for (name, pid) in &before {
        assert!(alive(*pid as u32), "{name} died with berth");
    }
    cluster.start();
    let after = pids(&cluster.wait_service("count", 2));
    assert_eq!(before, after, "the same tasks in the same processes");

    let log = cluster.berth(&["logs", &format!("task/{}", before[0].0)]).ok();
    let numbers: Vec<u64> = log.out.lines().filter_map(|l| l.rsplit_once(' ')?.1.parse().ok()).collect();
    let expected: Vec<u64> = (1..=numbers.len() as u64).collect();
    assert_eq!(numbers, expected, "the log has no gap and no repeat");
    cluster.purge();
}

#[test]
fn exits_that_happened_while_berth_was_down_are_told_with_the_right_code() {
    let mut cluster = Cluster::up();
    cluster.apply(
        "{apiVersion: berth.dev/v1, kind: Service, metadata: {name: brief}, spec: {replicas: 2, template: {spec: \
         {containers: [{name: main, shell: 'while [ ! -e /tmp/stop ]; do sleep 0.05; done; exit 42'}]}}}}",
    );
    let tasks = cluster.wait_service("brief", 2);
    let first = name_of(&tasks[0]).to_owned();
    let second = name_of(&tasks[1]).to_owned();
    let pid = tasks[1]["status"]["containers"][0]["pid"].as_u64().unwrap() as u32;
    // The first ends by itself, later than berth; the second by a signal.
    let root = format!("/proc/{}/root/tmp/stop", tasks[0]["status"]["containers"][0]["pid"]);
    cluster.crash();
    std::fs::write(root, "").unwrap();
    kill(pid, Signal::KILL);
    until("both to be gone", || if alive(pid) { Err("alive".to_owned()) } else { Ok(()) });
    cluster.start();
    let code = |name: &str| {
        let task = cluster.berth(&["get", "task", name, "-o", "json"]);
        if task.code != 0 {
            return Err(task.to_string());
        }
        let task = task.json();
        let code = task["status"]["containers"][0]["state"]["terminated"]["exitCode"].as_i64();
        if phase(&task) == "Failed" { Ok(code) } else { Err(task["status"].to_string()) }
    };
    assert_eq!(until("the first one's end", || code(&first)), Some(42));
    assert_eq!(until("the second one's end", || code(&second)), Some(137));
    cluster.wait_service("brief", 2);
    cluster.purge();
}

#[test]
fn following_a_log_goes_on_over_a_restart_of_berth() {
    let mut cluster = Cluster::up();
    cluster.apply(
        "{apiVersion: berth.dev/v1, kind: Service, metadata: {name: steady}, spec: {template: {spec: \
         {terminationGracePeriodSeconds: 1, containers: [{name: main, \
         shell: 'i=0; while :; do i=$((i+1)); echo tick $i; sleep 0.1; done'}]}}}}",
    );
    cluster.wait_service("steady", 1);
    let mut logs = cluster.follow(&berth_bin(), &["logs", "-f", "steady"]);
    logs.wait_line("a first line", |line| line.contains("tick "));
    cluster.crash();
    cluster.start();
    let last = |lines: &[String]| {
        lines.iter().filter_map(|l| l.rsplit_once(' ')?.1.parse::<u64>().ok()).next_back().unwrap_or(0)
    };
    let at_restart = last(logs.lines());
    until("lines after the restart", || {
        let now = last(logs.lines());
        if now > at_restart + 20 { Ok(()) } else { Err(format!("{at_restart} then {now}")) }
    });
    let numbers: Vec<u64> = logs.lines().iter().filter_map(|l| l.rsplit_once(' ')?.1.parse().ok()).collect();
    let gapless = numbers.windows(2).all(|pair| pair[1] == pair[0] + 1);
    assert!(gapless, "gap or repeat in {numbers:?}");
    cluster.purge();
}
