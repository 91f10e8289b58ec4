//! Placement and agent in one, without processes: tasks run because it says so.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use berth_types::names::FINALIZER_AGENT;
use berth_types::{Task, TaskPhase};
use futures::TryStreamExt;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::api::{Api, ListParams, Patch, PatchParams};
use kube::runtime::{WatchStreamExt, watcher};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::cluster::{Cluster, NAMESPACE};

/// What becomes of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It runs and is ready.
    Runs,
    /// It ends with this reason, long enough ago that a retry is due.
    Fails(&'static str),
    /// It fails just now.
    FailsNow(&'static str),
    /// It ends well.
    Succeeds,
    /// It cannot be placed.
    Waits,
}

pub(crate) struct Agent {
    most: Arc<AtomicUsize>,
    worker: JoinHandle<()>,
}

impl Agent {
    pub(crate) fn start(cluster: &Cluster, fate: impl Fn(&Task) -> Fate + Send + 'static) -> Self {
        let most = Arc::new(AtomicUsize::new(0));
        let tasks: Api<Task> = Api::namespaced(cluster.admin.clone(), NAMESPACE);
        let worker = tokio::spawn(work(tasks, fate, most.clone()));
        Self { most, worker }
    }

    /// The most tasks that ran at a time.
    pub(crate) fn most(&self) -> usize {
        self.most.load(Ordering::SeqCst)
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.worker.abort();
    }
}

async fn work(tasks: Api<Task>, fate: impl Fn(&Task) -> Fate, most: Arc<AtomicUsize>) {
    let stream = watcher(tasks.clone(), watcher::Config::default()).applied_objects();
    let mut stream = std::pin::pin!(stream);
    while let Ok(Some(task)) = stream.try_next().await {
        let name = task.metadata.name.clone().unwrap_or_default();
        let phase = task.status.as_ref().map_or(TaskPhase::Pending, |status| status.phase);
        if task.metadata.deletion_timestamp.is_some() {
            let patch = json!({ "metadata": { "finalizers": null } });
            // It may be gone already.
            let _ = tasks.patch(&name, &PatchParams::default(), &Patch::Merge(patch)).await;
            continue;
        }
        if task.status.as_ref().is_some_and(|status| status.reason.is_some()) || phase != TaskPhase::Pending {
            continue;
        }
        let fate = fate(&task);
        if fate != Fate::Waits && task.spec.node_name.is_none() {
            let patch = json!({ "metadata": { "finalizers": [FINALIZER_AGENT] }, "spec": { "nodeName": "here" } });
            if tasks.patch(&name, &PatchParams::default(), &Patch::Merge(patch)).await.is_err() {
                continue;
            }
        }
        let patch = Patch::Merge(json!({ "status": status(fate) }));
        let _ = tasks.patch_status(&name, &PatchParams::default(), &patch).await;
        let all = tasks.list(&ListParams::default()).await.map(|list| list.items).unwrap_or_default();
        let running = all.iter().filter(|t| t.status.as_ref().is_some_and(|s| s.phase == TaskPhase::Running)).count();
        most.fetch_max(running, Ordering::SeqCst);
    }
}

fn status(fate: Fate) -> Value {
    let now = Timestamp::now();
    let ended = |phase: &str, code: i32, reason: &str, ago: i64| {
        let at = (now - SignedDuration::from_secs(ago)).to_string();
        json!({
            "phase": phase, "reason": reason, "startTime": at, "finishTime": at,
            "containers": [{ "name": "main", "ready": false, "state": { "terminated": {
                "exitCode": code, "reason": reason, "message": "so it is written" } } }],
        })
    };
    match fate {
        Fate::Runs => json!({
            "phase": "Running", "startTime": now.to_string(),
            "conditions": [{ "type": "Ready", "status": "True", "reason": "Ready", "message": "",
                "lastTransitionTime": now.to_string() }],
        }),
        Fate::Fails(reason) => ended("Failed", 127, reason, 3600),
        Fate::FailsNow(reason) => ended("Failed", 127, reason, 0),
        Fate::Succeeds => ended("Succeeded", 0, "Completed", 0),
        Fate::Waits => json!({
            "phase": "Pending", "reason": "Unschedulable",
            "conditions": [{ "type": "Scheduled", "status": "False", "reason": "Unschedulable",
                "message": "0 of 1 nodes fit: 1: cpu short by 500m", "lastTransitionTime": now.to_string() }],
        }),
    }
}
