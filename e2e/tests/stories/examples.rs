//! All examples together: jobs, two containers in a task, a memory limit, a task that fits nowhere.

use berth_e2e::{Cluster, condition, items, name_of, repository, until, until_for};
use std::time::Duration;

#[test]
fn every_example_does_what_its_first_line_says() {
    let cluster = Cluster::up();
    let examples = repository().join("manifests/examples");
    cluster.berth(&["apply", "--no-wait", "-f", &examples.display().to_string()]).ok();

    cluster.wait_service("hello", 3);
    cluster.wait_service("pair", 1);

    until("the job to have run once", || {
        let job = cluster.get("job", "count");
        if job["status"]["succeeded"] == 1 && condition(&job, "Complete") == Some("True") {
            Ok(())
        } else {
            Err(job["status"].to_string())
        }
    });
    let runs = items(&cluster.berth(&["get", "jobruns", "-l", "berth.dev/job=count", "-o", "json"]).ok().json());
    assert_eq!(runs.len(), 1);
    let logs = cluster.berth(&["logs", "job/count"]).ok();
    assert_eq!(logs.out.lines().map(|l| l.rsplit(' ').next().unwrap_or("")).collect::<Vec<_>>(), ["1", "2", "3"]);

    let why = until("the reason of the hungry one", || {
        let why = cluster.berth(&["why", "service", "hungry"]);
        if why.out.contains("OOMKilled") || why.out.contains("memory") { Ok(why) } else { Err(why.to_string()) }
    });
    assert!(why.out.contains("32Mi") || why.out.contains("limit"), "{why}");

    let why = until("the reason of the big one", || {
        let why = cluster.berth(&["why", "service", "too-big"]);
        if why.out.contains("cpu short") { Ok(why) } else { Err(why.to_string()) }
    });
    assert!(why.out.contains("1 node") || why.out.contains("of 1"), "it says on how many nodes: {why}");

    // The schedule fires at the next full minute.
    until_for(Duration::from_secs(90), "a run of the schedule", || {
        let job = cluster.get("job", "tick");
        if job["status"]["succeeded"].as_i64() >= Some(1) { Ok(()) } else { Err(job["status"].to_string()) }
    });
    let tick = cluster.get("job", "tick");
    assert!(!tick["status"]["nextScheduleTime"].is_null(), "{tick}");
    let runs = items(&cluster.berth(&["get", "jobruns", "-l", "berth.dev/job=tick", "-o", "json"]).ok().json());
    assert!(!name_of(&runs[0]).is_empty());
    cluster.purge();
}

#[test]
fn a_failing_job_is_tried_again_and_then_reported() {
    let cluster = Cluster::up();
    cluster.apply(
        "{apiVersion: berth.dev/v1, kind: Job, metadata: {name: doomed}, spec: {backoffLimit: 1, template: {spec: \
         {containers: [{name: main, shell: 'echo trying; exit 5'}]}}}}",
    );
    until("the job to have failed", || {
        let job = cluster.get("job", "doomed");
        if condition(&job, "Failed") == Some("True") { Ok(()) } else { Err(job["status"].to_string()) }
    });
    let tasks = cluster.tasks("berth.dev/job=doomed");
    assert_eq!(tasks.len(), 2, "one attempt and one retry");
    let why = cluster.berth(&["why", "job", "doomed"]).ok();
    assert!(why.out.contains("code 5"), "{why}");
    cluster.purge();
}

#[test]
fn a_job_that_takes_too_long_is_ended() {
    let cluster = Cluster::up();
    cluster.apply(
        "{apiVersion: berth.dev/v1, kind: Job, metadata: {name: slow}, spec: {activeDeadlineSeconds: 1, template: {spec: \
         {terminationGracePeriodSeconds: 1, containers: [{name: main, shell: 'sleep 1000'}]}}}}",
    );
    until("the deadline to be told", || {
        let job = cluster.get("job", "slow");
        let told = job["status"]["conditions"].to_string().contains("DeadlineExceeded");
        if told { Ok(()) } else { Err(job["status"].to_string()) }
    });
    until("its process to be gone", || {
        let live = cluster.live_tasks("berth.dev/job=slow");
        if live.is_empty() { Ok(()) } else { Err(format!("{live:#?}")) }
    });
    cluster.purge();
}
