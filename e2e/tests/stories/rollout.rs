//! A change is shown before it is made, rolls out without a gap, and can be taken back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use berth_e2e::{Cluster, condition, example, items, phase};

fn changed_hello(cluster: &Cluster, from: &str, to: &str) -> String {
    let text = std::fs::read_to_string(example("hello.yaml")).unwrap();
    assert!(text.contains(from));
    let path = cluster.path("changed.yaml");
    std::fs::write(&path, text.replace(from, to)).unwrap();
    path.display().to_string()
}

#[test]
fn a_change_is_diffed_rolled_out_without_a_gap_and_undone() {
    let cluster = Cluster::up();
    cluster.berth(&["apply", "-f", &example("hello.yaml")]).ok();
    cluster.wait_service("hello", 3);
    cluster.berth(&["diff", "-f", &example("hello.yaml")]).code(0);

    let changed = changed_hello(&cluster, "hello from", "greetings from");
    let diff = cluster.berth(&["diff", "-f", &changed]).code(2);
    assert!(diff.out.contains("-") && diff.out.contains("+") && diff.out.contains("greetings from"), "{diff}");

    // While the rollout runs, ready tasks are counted by an observer of its own.
    let done = Arc::new(AtomicBool::new(false));
    let lowest = std::thread::scope(|scope| {
        let observer = scope.spawn({
            let (done, cluster) = (Arc::clone(&done), &cluster);
            move || {
                let mut lowest = usize::MAX;
                let mut highest = 0;
                while !done.load(Ordering::Relaxed) {
                    let tasks = items(&cluster.berth(&["get", "tasks", "-o", "json"]).ok().json());
                    let live: Vec<_> = tasks.iter().filter(|t| t["metadata"]["deletionTimestamp"].is_null()).collect();
                    let ready = live.iter().filter(|t| condition(t, "Ready") == Some("True")).count();
                    let open = live.iter().filter(|t| !matches!(phase(t), "Succeeded" | "Failed" | "Killed")).count();
                    lowest = lowest.min(ready);
                    highest = highest.max(open);
                }
                (lowest, highest)
            }
        });
        cluster.berth(&["apply", "-f", &changed]).ok();
        cluster.berth(&["rollout", "status", "service", "hello"]).ok().says("hello");
        done.store(true, Ordering::Relaxed);
        observer.join().unwrap()
    });
    assert!(lowest.0 >= 3, "maxUnavailable is 0, and yet only {} were ready", lowest.0);
    assert!(lowest.1 <= 4, "maxSurge is 1, and yet {} were live", lowest.1);
    let commands = cluster.berth(&["get", "tasks", "-o", "jsonpath={.items[*].spec.containers[0].shell}"]).ok();
    assert!(commands.out.contains("greetings from"), "{commands}");

    let history = cluster.berth(&["rollout", "history", "service", "hello"]).ok();
    assert!(history.lines().len() >= 3, "a header and two revisions: {history}");
    cluster.berth(&["rollout", "undo", "service", "hello"]).ok();
    cluster.berth(&["rollout", "status", "service/hello"]).ok();
    cluster.wait_service("hello", 3);
    let service = cluster.get("service", "hello");
    assert!(service["spec"]["template"].to_string().contains("hello from"), "{service}");
    cluster.purge();
}

#[test]
fn a_bad_update_never_takes_the_good_tasks_down() {
    let cluster = Cluster::up();
    cluster.berth(&["apply", "-f", &example("hello.yaml")]).ok();
    let before = cluster.wait_service("hello", 3);
    let bad = changed_hello(&cluster, "exec python3 -u -m http.server", "exec no-such-server");
    cluster.berth(&["apply", "--no-wait", "-f", &bad]).ok();
    berth_e2e::until("the new revision to fail", || {
        let status = cluster.get("service", "hello")["status"].clone();
        if status["backoffs"][0]["failures"].as_i64() >= Some(2) { Ok(()) } else { Err(status.to_string()) }
    });
    let ready =
        cluster.live_tasks("berth.dev/service=hello").iter().filter(|t| condition(t, "Ready") == Some("True")).count();
    assert_eq!(ready, before.len());
    cluster.berth(&["rollout", "undo", "service", "hello"]).ok();
    cluster.wait_service("hello", 3);
    cluster.purge();
}
