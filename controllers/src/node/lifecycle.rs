//! Looks at a node, its Lease and its tasks, and does what the [plan](super::plan) says.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use berth_types::names::{FINALIZER_AGENT, NODE_LEASE_NAMESPACE};
use berth_types::{Node, Task, TaskPhase, condition};
use futures::FutureExt;
use futures::future::BoxFuture;
use futures::stream::{self, StreamExt, TryStreamExt};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, MicroTime};
use k8s_openapi::jiff::Timestamp;
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::MANAGER;
use super::plan::{self, Contact, Heard, NODE_UNREACHABLE, Patience, TaskStep};
use crate::driver::kind::BY_NODE;
use crate::driver::{Context, Error, Key, Next, Reconciler, Watch};
use crate::events::EventType;

/// Tasks of one node that are written at a time when it goes silent.
const TASK_WRITES_MAX: usize = 16;

#[derive(Debug)]
pub(super) struct Nodes {
    patience: Patience,
    heard: Mutex<HashMap<String, Heard>>,
    /// Since when nodes are gone that tasks are bound to.
    gone: Mutex<HashMap<String, Timestamp>>,
}

impl Nodes {
    pub(super) fn new(patience: Patience) -> Self {
        Self { patience, heard: Mutex::default(), gone: Mutex::default() }
    }
}

impl Reconciler for Nodes {
    fn name(&self) -> &'static str {
        MANAGER
    }

    fn watches(&self) -> Vec<Watch> {
        let lease = |lease: &Lease, _: &Context| {
            let is_nodes = lease.metadata.namespace.as_deref() == Some(NODE_LEASE_NAMESPACE);
            let name = lease.metadata.name.clone().filter(|_| is_nodes);
            name.map(Key::cluster).into_iter().collect()
        };
        let task = |task: &Task, _: &Context| task.spec.node_name.clone().map(Key::cluster).into_iter().collect();
        vec![Watch::itself::<Node>(), Watch::map::<Lease>(lease), Watch::map::<Task>(task)]
    }

    fn reconcile<'a>(&'a self, key: &'a Key, ctx: &'a Context) -> BoxFuture<'a, Result<Next, Error>> {
        self.reconcile(key, ctx).boxed()
    }
}

impl Nodes {
    async fn reconcile(&self, key: &Key, ctx: &Context) -> Result<Next, Error> {
        let node = ctx.store::<Node>().get(key);
        let Some(node) = node else {
            self.heard.lock().remove(&key.name);
            return self.let_go(key, ctx).await;
        };
        self.gone.lock().remove(&key.name);
        let contact = self.contact(&node, ctx);
        match contact {
            Contact::Heard { recheck } => {
                self.write_taints(&node, contact, ctx).await?;
                if let Some(ready) = plan::heard_ready(&node, &ctx.now_time()) {
                    write_ready(key, &ready, ctx).await?;
                }
                restore_tasks(key, ctx).await?;
                Ok(Next::After(recheck))
            }
            Contact::Silent { since } => {
                self.write_taints(&node, contact, ctx).await?;
                if let Some(ready) = plan::silent_ready(&node, &ctx.now_time()) {
                    tracing::warn!(node = key.name, "node is unreachable");
                    ctx.event(&*node, EventType::Warning, "NodeNotReady", ready.message.clone());
                    write_ready(key, &ready, ctx).await?;
                }
                let tasks = ctx.store::<Task>().by(BY_NODE, &key.name);
                self.tell_tasks(&tasks, since, ctx).await?;
                Ok(plan::recheck(since, &tasks, &self.patience).map_or(Next::Changed, Next::After))
            }
        }
    }

    /// What was heard of the node; notes when its Lease changed.
    fn contact(&self, node: &Node, ctx: &Context) -> Contact {
        let name = node.metadata.name.clone().unwrap_or_default();
        let lease = ctx.store::<Lease>().get(&Key::new(NODE_LEASE_NAMESPACE, &name));
        let Some(lease) = lease else {
            // No agent keeps this node, or its Lease was taken away: silent when none comes in time.
            return self.judge(&name, None, self.patience.lease, ctx);
        };
        let spec = lease.spec.clone().unwrap_or_default();
        let lasts = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
        let lasts = lasts.filter(|seconds| *seconds > 0).map_or(self.patience.lease, Duration::from_secs);
        self.judge(&name, Some(spec.renew_time), lasts, ctx)
    }

    fn judge(&self, name: &str, renewed: Option<Option<MicroTime>>, lasts: Duration, ctx: &Context) -> Contact {
        let now = ctx.now();
        let mut all = self.heard.lock();
        let heard = all.entry(name.to_owned()).or_insert_with(|| Heard::first(renewed.clone().flatten(), now));
        heard.judge(renewed, lasts, now)
    }

    async fn write_taints(&self, node: &Node, contact: Contact, ctx: &Context) -> Result<(), Error> {
        let Some(taints) = plan::taints(node, contact, &self.patience, &ctx.now_time()) else { return Ok(()) };
        let is_back = matches!(contact, Contact::Heard { .. });
        if is_back {
            tracing::info!(node = node.metadata.name, "node is heard of again");
            ctx.event(node, EventType::Normal, "NodeReachable", "the node's agent renews its Lease again");
        }
        let patch = json!({
            "metadata": { "resourceVersion": node.metadata.resource_version },
            "spec": { "taints": taints },
        });
        ctx.patch::<Node>(&Key::of(&node.metadata), &patch).await.map(drop)
    }

    /// The node is gone for good: no agent will take its finalizer off its tasks, so we do, and delete them.
    async fn let_go(&self, key: &Key, ctx: &Context) -> Result<Next, Error> {
        let tasks = ctx.store::<Task>().by(BY_NODE, &key.name);
        if tasks.is_empty() {
            self.gone.lock().remove(&key.name);
            return Ok(Next::Changed);
        }
        // The store may be behind a node that was made a moment ago: ask before anything is taken away.
        if ctx.get::<Node>(key).await?.is_some() {
            return Ok(Next::Changed);
        }
        let since = *self.gone.lock().entry(key.name.clone()).or_insert_with(|| ctx.now());
        let passed = Duration::try_from(ctx.now().duration_since(since)).unwrap_or_default();
        let wait = self.patience.gone.checked_sub(passed).filter(|wait| !wait.is_zero());
        // What is being deleted has nobody to wait for.
        let due = tasks.into_iter().filter(|task| wait.is_none() || task.metadata.deletion_timestamp.is_some());
        let due: Vec<_> = due.collect();
        stream::iter(due)
            .map(|task| async move {
                if task.metadata.deletion_timestamp.is_none() {
                    let message = format!("its node {} is gone", key.name);
                    ctx.event(&*task, EventType::Warning, "NodeGone", message);
                    ctx.delete(&*task).await?;
                }
                release(&Key::of(&task.metadata), task.metadata.uid.as_deref(), ctx).await
            })
            .buffer_unordered(TASK_WRITES_MAX)
            .try_collect::<()>()
            .await?;
        Ok(wait.map_or(Next::Changed, Next::After))
    }

    async fn tell_tasks(&self, tasks: &[Arc<Task>], since: Duration, ctx: &Context) -> Result<(), Error> {
        let steps = tasks.iter().filter_map(|task| Some((task, plan::of_silent_node(task, since, &self.patience)?)));
        let steps: Vec<_> = steps.map(|(task, step)| (task.clone(), step)).collect();
        stream::iter(steps)
            .map(|(task, step)| async move {
                match step {
                    TaskStep::TellUnknown => tell_unknown(&task, ctx).await,
                    TaskStep::Evict => evict(&task, ctx).await,
                }
            })
            .buffer_unordered(TASK_WRITES_MAX)
            .try_collect::<()>()
            .await
    }
}

/// Tasks that were said to be unknown are again what they last were. Nothing is looked at twice: a task says itself
/// that it was said to be unknown.
async fn restore_tasks(node: &Key, ctx: &Context) -> Result<(), Error> {
    let tasks = ctx.store::<Task>().by(BY_NODE, &node.name).into_iter();
    let lost: Vec<_> = tasks.filter_map(|task| plan::heard_task(&task).map(|was| (task, was))).collect();
    stream::iter(lost)
        .map(|(task, (phase, is_ready))| async move {
            let ready = condition::condition(
                "Ready",
                Some(is_ready),
                "NodeReachable",
                "",
                task.metadata.generation,
                &ctx.now_time(),
            );
            let mut conditions = task.status.as_ref().map(|status| status.conditions.clone()).unwrap_or_default();
            condition::set_condition(&mut conditions, ready);
            let status = json!({
                "phase": phase, "summary": phase, "reason": null, "message": null, "conditions": conditions,
            });
            let patch = json!({ "metadata": { "resourceVersion": task.metadata.resource_version }, "status": status });
            match ctx.patch_status::<Task>(&Key::of(&task.metadata), &patch).await {
                // Its agent was faster, or it is gone.
                Err(error) if error.is_conflict() || error.is_not_found() => Ok(()),
                other => other.map(drop),
            }
        })
        .buffer_unordered(TASK_WRITES_MAX)
        .try_collect()
        .await
}

/// Takes the agent's finalizer off this very task.
async fn release(key: &Key, uid: Option<&str>, ctx: &Context) -> Result<(), Error> {
    let Some(task) = ctx.get::<Task>(key).await? else { return Ok(()) };
    if task.metadata.uid.as_deref() != uid || !plan::is_held_by_agent(&task) {
        return Ok(());
    }
    let others = task.metadata.finalizers.iter().flatten().filter(|finalizer| *finalizer != FINALIZER_AGENT);
    let patch = json!({ "metadata": {
        "resourceVersion": task.metadata.resource_version,
        "finalizers": others.collect::<Vec<_>>(),
    }});
    match ctx.patch::<Task>(key, &patch).await {
        Err(error) if error.is_not_found() => Ok(()),
        other => other.map(drop),
    }
}

async fn evict(task: &Task, ctx: &Context) -> Result<(), Error> {
    let node = task.spec.node_name.as_deref().unwrap_or_default();
    tracing::info!(task = %Key::of(&task.metadata), node, "task evicted from an unreachable node");
    ctx.event(task, EventType::Warning, "Evicted", format!("its node {node} was unreachable for too long"));
    ctx.delete(task).await
}

/// Says that nobody knows whether the task runs. A plain patch of these fields: when the agent is back, its next
/// status takes all of them over.
async fn tell_unknown(task: &Task, ctx: &Context) -> Result<(), Error> {
    let node = task.spec.node_name.as_deref().unwrap_or_default();
    let message = format!("node {node} is not heard of; the task may still run there");
    let mut conditions = task.status.as_ref().map(|status| status.conditions.clone()).unwrap_or_default();
    let ready = condition::condition(
        "Ready",
        Some(false),
        NODE_UNREACHABLE,
        &message,
        task.metadata.generation,
        &ctx.now_time(),
    );
    condition::set_condition(&mut conditions, ready);
    let status = json!({
        "phase": TaskPhase::Unknown,
        "summary": "Unknown",
        "reason": NODE_UNREACHABLE,
        "message": message,
        "conditions": conditions,
    });
    let patch = json!({ "metadata": { "resourceVersion": task.metadata.resource_version }, "status": status });
    match ctx.patch_status::<Task>(&Key::of(&task.metadata), &patch).await {
        Ok(_) => ctx.event(task, EventType::Warning, NODE_UNREACHABLE, message),
        Err(error) if error.is_not_found() => {}
        Err(error) => return Err(error),
    }
    Ok(())
}

/// Sets the node's Ready condition, guarded by its version: an agent that speaks up meanwhile wins. The store has
/// our own writes of a moment ago.
async fn write_ready(key: &Key, ready: &Condition, ctx: &Context) -> Result<(), Error> {
    let Some(node) = ctx.store::<Node>().get(key) else { return Ok(()) };
    let mut conditions = node.status.as_ref().map(|status| status.conditions.clone()).unwrap_or_default();
    condition::set_condition(&mut conditions, ready.clone());
    let patch: Value = json!({
        "metadata": { "resourceVersion": node.metadata.resource_version },
        "status": { "conditions": conditions },
    });
    ctx.patch_status::<Node>(key, &patch).await.map(drop)
}
