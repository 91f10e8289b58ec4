//! Jobs: once, with retries, and by schedule.

use std::sync::{Arc, Mutex};

use berth_controllers::driver::{Clock, Part};
use berth_controllers::{job, job_run};
use berth_types::{Job, JobRun, JobRunPhase, Task};
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::api::ListParams;
use serde_json::{Value, json};

use crate::agent::{Agent, Fate};
use crate::cluster::{Cluster, Manager};

fn parts() -> Vec<Part> {
    job::parts().into_iter().chain(job_run::parts()).collect()
}

fn job(name: &str, spec: Value) -> Value {
    let mut job = json!({
        "apiVersion": "berth.dev/v1", "kind": "Job", "metadata": { "name": name },
        "spec": { "template": { "spec": { "containers": [{ "name": "main", "shell": "true" }] } } },
    });
    for (field, value) in spec.as_object().into_iter().flatten() {
        job["spec"][field] = value.clone();
    }
    job
}

fn has(type_: &'static str, reason: &'static str) -> impl Fn(Option<&Job>) -> bool {
    move |job| {
        let status = job.and_then(|job| job.status.as_ref());
        status
            .is_some_and(|s| s.conditions.iter().any(|c| c.type_ == type_ && c.status == "True" && c.reason == reason))
    }
}

#[derive(Debug)]
struct Hands(Mutex<Timestamp>);

impl Clock for Hands {
    fn now(&self) -> Timestamp {
        *self.0.lock().expect("no test panics while it turns the clock")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_tried_again_until_it_succeeds() {
    let cluster = Cluster::start().await;
    let _agent = Agent::start(&cluster, |task| {
        let is_third = task.metadata.name.as_deref().is_some_and(|name| name.ends_with("-3"));
        if is_third { Fate::Succeeds } else { Fate::Fails("Error") }
    });
    let manager = cluster.manager(parts).await;
    cluster.create::<Job>(job("once", json!({ "backoffLimit": 5 }))).await;
    let once = cluster.wait::<Job>("once", "its end", has("Complete", "Completed")).await.expect("it is there");
    assert_eq!(once.status.map(|status| (status.succeeded, status.failed, status.active)), Some((1, 0, 0)));
    let run = cluster.of::<JobRun>().get("once-1").await.expect("the run is there").status.expect("with a status");
    assert_eq!((run.phase, run.attempts), (JobRunPhase::Succeeded, 3));
    let tasks = cluster.of::<Task>().list(&ListParams::default()).await.expect("tasks can be listed").items;
    let names: Vec<&str> = tasks.iter().filter_map(|task| task.metadata.name.as_deref()).collect();
    assert_eq!(names, ["once-1-1", "once-1-2", "once-1-3"]);
    manager.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_fails_when_its_retries_are_used_up_and_says_how() {
    let cluster = Cluster::start().await;
    let _agent = Agent::start(&cluster, |_| Fate::Fails("CommandNotFound"));
    let manager = cluster.manager(parts).await;
    cluster.create::<Job>(job("bad", json!({ "backoffLimit": 1 }))).await;
    let bad = cluster.wait::<Job>("bad", "its end", has("Failed", "BackoffLimitExceeded")).await.expect("it is there");
    let status = bad.status.expect("there is a status");
    assert_eq!((status.succeeded, status.failed), (0, 1));
    let message = &status.conditions.iter().find(|c| c.type_ == "Failed").expect("just waited for").message;
    assert_eq!(message, "attempt 2 of 2 failed: CommandNotFound: so it is written");
    manager.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_makes_a_run_for_its_time_and_counts_it() {
    let cluster = Cluster::start().await;
    let _agent = Agent::start(&cluster, |_| Fate::Succeeds);
    let hands = Arc::new(Hands(Mutex::new(Timestamp::now())));
    let clock = hands.clone();
    let manager = Manager::with(cluster.controllers(), |options| {
        options.parts = parts;
        options.clock = clock;
    })
    .await;
    let spec =
        json!({ "schedules": [{ "cron": "* * * * *", "timeZone": "Europe/Berlin" }], "successfulRunsHistoryLimit": 1 });
    cluster.create::<Job>(job("often", spec)).await;
    let is_planned = |job: Option<&Job>| {
        job.and_then(|job| job.status.as_ref()).is_some_and(|status| status.next_schedule_time.is_some())
    };
    cluster.wait::<Job>("often", "its plan", is_planned).await;
    for succeeded in 1..=3 {
        let due = {
            let mut now = hands.0.lock().expect("no test panics while it turns the clock");
            *now += SignedDuration::from_secs(60);
            now.as_second() / 60
        };
        // The clock jumped; timers do not know. Any change makes the controller look.
        let poke = json!({ "metadata": { "annotations": { "poke": succeeded.to_string() } } });
        cluster.patch::<Job>("often", poke).await;
        let has_counted = move |job: Option<&Job>| {
            job.and_then(|job| job.status.as_ref()).is_some_and(|status| status.succeeded == succeeded)
        };
        let job = cluster.wait::<Job>("often", "the count", has_counted).await.expect("it is there");
        let last = job.status.and_then(|status| status.last_schedule_time).expect("it ran");
        assert_eq!(last.0.as_second(), due * 60);
        let run = format!("often-{due}");
        cluster.wait::<JobRun>(&run, "the run", |run: Option<&JobRun>| run.is_some()).await;
        if succeeded > 1 {
            let before = format!("often-{}", due - 1);
            cluster.wait::<JobRun>(&before, "its end", |run: Option<&JobRun>| run.is_none()).await;
        }
    }
    manager.stop().await;
}
