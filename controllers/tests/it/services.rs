//! Services: they come up, change, fail and shrink.

use std::collections::BTreeSet;

use berth_controllers::service;
use berth_types::{Revision, Service, Task};
use futures::TryStreamExt;
use k8s_openapi::api::core::v1::Event;
use kube::api::{DeleteParams, ListParams};
use kube::runtime::{WatchStreamExt, watcher};
use serde_json::json;

use crate::agent::{Agent, Fate};
use crate::cluster::{self, Cluster, condition, is_settled};

fn names(tasks: &[Task]) -> BTreeSet<String> {
    tasks.iter().filter_map(|task| task.metadata.name.clone()).collect()
}

fn instances(tasks: &[Task]) -> Vec<String> {
    let mut all: Vec<String> =
        tasks.iter().filter_map(|task| task.metadata.labels.clone()?.remove("berth.dev/instance")).collect();
    all.sort();
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_reaches_its_replicas_and_then_writes_nothing_more() {
    let cluster = Cluster::start().await;
    let _agent = Agent::start(&cluster, |_| Fate::Runs);
    let manager = cluster.manager(service::parts).await;
    cluster.create::<Service>(cluster::service("hello", 3, "sleep 1")).await;
    let hello = cluster.wait::<Service>("hello", "three ready tasks", is_settled(3)).await.expect("it is there");
    let tasks = cluster.tasks().await;
    assert_eq!(instances(&tasks), ["0", "1", "2"]);
    let hash = hello.status.clone().and_then(|status| status.current_revision).expect("there is a revision");
    assert!(names(&tasks).contains(&format!("hello-{hash}-0")));
    assert_eq!(condition(&hello, "Ready"), ("True".into(), "Ready".into(), "3 of 3 tasks are ready".into()));
    // A change that asks for nothing is looked at, and leads to no write.
    let before = manager.handle.metrics().writes();
    cluster.patch::<Service>("hello", json!({ "metadata": { "annotations": { "a": "b" } } })).await;
    cluster.create::<Service>(cluster::service("other", 1, "sleep 2")).await;
    cluster.wait::<Service>("other", "one ready task", is_settled(1)).await;
    let again = cluster.of::<Service>().get("hello").await.expect("it is there");
    assert_eq!(again.status, hello.status);
    assert!(manager.handle.metrics().writes() > before);
    manager.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_template_rolls_out_and_an_undo_brings_it_back() {
    let cluster = Cluster::start().await;
    let agent = Agent::start(&cluster, |_| Fate::Runs);
    let manager = cluster.manager(service::parts).await;
    cluster.create::<Service>(cluster::service("hello", 3, "sleep 1")).await;
    let first = cluster.wait::<Service>("hello", "the first version", is_settled(3)).await.expect("it is there");
    let change = |shell: &str| json!({ "spec": { "template": { "spec": { "containers": [{ "name": "main", "shell": shell }] } } } });
    cluster.patch::<Service>("hello", change("sleep 2")).await;
    let second = cluster.wait::<Service>("hello", "the second version", is_settled(3)).await.expect("it is there");
    let revision = |service: &Service| service.status.clone().and_then(|status| status.current_revision);
    assert_ne!(revision(&first), revision(&second));
    cluster.patch::<Service>("hello", change("sleep 1")).await;
    let third = cluster.wait::<Service>("hello", "the first version again", is_settled(3)).await.expect("it is there");
    assert_eq!(revision(&first), revision(&third));
    let revisions = cluster.of::<Revision>().list(&ListParams::default()).await.expect("they can be listed");
    let mut numbers: Vec<i64> = revisions.iter().map(|revision| revision.spec.revision).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [2, 3]);
    assert!(agent.most() <= 4, "{} tasks ran at a time", agent.most());
    assert_eq!(instances(&cluster.live().await), ["0", "1", "2"]);
    manager.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn scaling_and_deleted_tasks_are_made_good() {
    let cluster = Cluster::start().await;
    let _agent = Agent::start(&cluster, |_| Fate::Runs);
    let manager = cluster.manager(service::parts).await;
    cluster.create::<Service>(cluster::service("hello", 2, "sleep 1")).await;
    cluster.wait::<Service>("hello", "two", is_settled(2)).await;
    cluster.patch::<Service>("hello", json!({ "spec": { "replicas": 5 } })).await;
    cluster.wait::<Service>("hello", "five", is_settled(5)).await;
    cluster.patch::<Service>("hello", json!({ "spec": { "replicas": 1 } })).await;
    cluster.wait::<Service>("hello", "one", is_settled(1)).await;
    let last = cluster.live().await.pop().expect("one is left").metadata;
    let (last, uid) = (last.name.expect("it has a name"), last.uid);
    cluster.of::<Task>().delete(&last, &DeleteParams::default()).await.expect("it can be deleted");
    let is_replaced = |service: Option<&Service>| is_settled(1)(service);
    // The name is free again, so the successor may have it.
    let is_gone = move |task: Option<&Task>| task.is_none_or(|task| task.metadata.uid != uid);
    cluster.wait::<Task>(&last, "its end", is_gone).await;
    cluster.wait::<Service>("hello", "its successor", is_replaced).await;
    manager.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_loop_waits_and_says_why() {
    let cluster = Cluster::start().await;
    let _agent = Agent::start(&cluster, |_| Fate::FailsNow("CommandNotFound"));
    let manager = cluster.manager(service::parts).await;
    cluster.create::<Service>(cluster::service("broken", 1, "no-such-program")).await;
    let is_waiting = |service: Option<&Service>| {
        let status = service.and_then(|service| service.status.as_ref());
        status.is_some_and(|status| status.backoffs.iter().any(|backoff| backoff.failures >= 2))
    };
    let broken = cluster.wait::<Service>("broken", "a back-off", is_waiting).await.expect("it is there");
    for type_ in ["Ready", "Degraded"] {
        let (_, reason, message) = condition(&broken, type_);
        assert_eq!(reason, "CrashLoop");
        assert!(message.contains("CommandNotFound: so it is written"), "{message}");
    }
    let backoffs = broken.status.expect("there is a status").backoffs;
    assert_eq!(backoffs[0].last_reason.as_deref(), Some("CommandNotFound"));
    let mut events = std::pin::pin!(watcher(cluster.of::<Event>(), watcher::Config::default()).applied_objects());
    let told = async {
        while let Some(event) = events.try_next().await.expect("the watch works") {
            if event.reason.as_deref() == Some("BackOff") {
                return event.message;
            }
        }
        None
    };
    let told = tokio::time::timeout(cluster::PATIENCE, told).await.expect("the back-off is told in an event");
    assert!(told.is_some_and(|message| message.contains("CommandNotFound")));
    manager.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_placed_and_what_waits_for_others_says_so() {
    let cluster = Cluster::start().await;
    let _agent = Agent::start(&cluster, |task| {
        let is_big = task.metadata.name.as_deref().is_some_and(|name| name.starts_with("big"));
        if is_big { Fate::Waits } else { Fate::Runs }
    });
    let manager = cluster.manager(service::parts).await;
    cluster.create::<Service>(cluster::service("big", 1, "sleep 1")).await;
    let has_reason = |reason: &'static str| {
        move |service: Option<&Service>| {
            let status = service.and_then(|service| service.status.as_ref());
            status.is_some_and(|s| s.conditions.iter().any(|c| c.type_ == "Ready" && c.reason == reason))
        }
    };
    let big = cluster.wait::<Service>("big", "the reason", has_reason("Unschedulable")).await.expect("it is there");
    assert!(condition(&big, "Ready").2.contains("cpu short by 500m"));
    let mut late = cluster::service("late", 1, "sleep 1");
    late["spec"]["dependsOn"] = json!(["early"]);
    cluster.create::<Service>(late).await;
    cluster.wait::<Service>("late", "its patience", has_reason("WaitingForDependencies")).await;
    cluster.create::<Service>(cluster::service("early", 1, "sleep 1")).await;
    cluster.wait::<Service>("late", "its turn", is_settled(1)).await;
    manager.stop().await;
}

/// Not a timing test: a plan that were quadratic would not come to an end within any patience.
#[tokio::test(flavor = "multi_thread")]
async fn two_thousand_tasks_are_made() {
    let cluster = Cluster::start().await;
    let manager = cluster.manager(service::parts).await;
    let started = std::time::Instant::now();
    cluster.create::<Service>(cluster::service("many", 2000, "sleep 1")).await;
    let has_all = |service: Option<&Service>| {
        service.and_then(|service| service.status.as_ref()).is_some_and(|status| status.replicas == 2000)
    };
    cluster.wait::<Service>("many", "2,000 tasks", has_all).await;
    eprintln!("2,000 tasks made in {:?}", started.elapsed());
    assert_eq!(names(&cluster.tasks().await).len(), 2000);
    manager.stop().await;
}
