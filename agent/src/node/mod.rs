//! The Node object: made when it is missing, its status kept true, and a Lease renewed as the heartbeat.
//!
//! `spec` is the users' and the node controller's: the agent never writes it after the object was made. A settled
//! node costs one renewal of the Lease in [`lease::RENEW`] and one status in [`STATUS_EVERY`].

pub mod facts;
pub mod lease;

use std::collections::BTreeMap;
use std::time::Duration;

use berth_client::k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use berth_client::kube::api::{Patch, PatchParams, PostParams};
use berth_client::kube::runtime::watcher;
use berth_client::kube::{Api, Client, Error};
use berth_types::condition::{condition, is_true, set_condition};
use berth_types::names::LABEL_HOSTNAME;
use berth_types::{Node, NodeSpec, NodeStatus};
use futures::StreamExt;
use jiff::Timestamp;
use serde_json::json;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::events::COMPONENT;

/// The status is written at least so often, changed or not.
pub const STATUS_EVERY: Duration = Duration::from_secs(300);
/// First pause after a failed write; it doubles.
const RETRY_MIN: Duration = Duration::from_millis(100);
/// Longest pause between tries.
const RETRY_MAX: Duration = Duration::from_secs(5);

/// A server that answers nothing for so long is taken for gone: a dead connection must not outlast the lease.
const ANSWER_MAX: Duration = Duration::from_secs(10);

async fn answered(request: impl Future<Output = Result<(), Error>>) -> Result<(), String> {
    match tokio::time::timeout(ANSWER_MAX, request).await {
        Ok(result) => result.map_err(|e| e.to_string()),
        Err(_) => Err(format!("no answer within {} seconds", ANSWER_MAX.as_secs())),
    }
}

/// What is written of the node.
#[derive(Clone, Debug)]
pub struct Registration {
    /// Name of the object.
    pub name: String,
    /// Labels of the configuration.
    pub labels: BTreeMap<String, String>,
    /// All but the conditions.
    pub status: NodeStatus,
    /// Whose file system counts for `DiskPressure`.
    pub data_dir: std::path::PathBuf,
}

impl Registration {
    /// Registers the node and keeps it, until told to stop. `ready` turns true after the first status was accepted.
    pub async fn keep(mut self, client: Client, ready: watch::Sender<bool>, stop: CancellationToken) {
        let watch = watcher::watch_object(Api::<Node>::all(client.clone()), &self.name);
        let mut watch = std::pin::pin!(watch);
        let mut tick = tokio::time::interval(lease::RENEW);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut written: Option<(NodeStatus, Instant)> = None;
        let mut exists = false;
        let mut pause = RETRY_MIN;
        let mut watch_after = Instant::now();
        loop {
            let result = answered(self.write(&client, &mut exists, &mut written)).await;
            match result {
                Ok(()) => {
                    pause = RETRY_MIN;
                    if !*ready.borrow() {
                        tracing::info!(node = self.name, "node registered");
                        ready.send_replace(true);
                    }
                }
                Err(error) => {
                    tracing::warn!(node = self.name, %error, "node could not be written, trying again");
                    // What the server holds is not known now: after an outage all is written again.
                    written = None;
                    exists = false;
                    tokio::select! {
                        () = stop.cancelled() => return,
                        () = tokio::time::sleep(pause) => {}
                    }
                    pause = (pause * 2).min(RETRY_MAX);
                    continue;
                }
            }
            loop {
                tokio::select! {
                    () = stop.cancelled() => return,
                    _ = tick.tick() => match answered(lease::renew(&client, &self.name)).await {
                        Ok(()) => break,
                        Err(error) => {
                            tracing::warn!(node = self.name, %error, "the node's lease could not be renewed");
                            written = None;
                        }
                    },
                    seen = watch.next(), if Instant::now() >= watch_after => match seen {
                        // Somebody (the node controller, after a long silence) wrote over us, or the object is gone.
                        Some(Ok(Some(node))) if self.is_ours(&node) => {}
                        Some(Ok(seen)) => {
                            exists = seen.is_some();
                            written = None;
                            break;
                        }
                        // The next tick looks again: a watch that fails at once must not spin.
                        Some(Err(_)) | None => watch_after = Instant::now() + lease::RENEW,
                    },
                }
            }
        }
    }

    /// Whether the object says what we last wrote about readiness.
    fn is_ours(&self, node: &Node) -> bool {
        node.status
            .as_ref()
            .is_some_and(|s| is_true(&s.conditions, "Ready") && s.agent_endpoint == self.status.agent_endpoint)
    }

    async fn write(
        &mut self,
        client: &Client,
        exists: &mut bool,
        written: &mut Option<(NodeStatus, Instant)>,
    ) -> Result<(), Error> {
        let api: Api<Node> = Api::all(client.clone());
        if !*exists {
            self.ensure(&api).await?;
            *exists = true;
            // The first renewal belongs to the registration: without it the node controller sees a silent node.
            lease::renew(client, &self.name).await?;
        }
        self.judge_pressure();
        let fresh = written.as_ref().is_some_and(|(status, at)| *status == self.status && at.elapsed() < STATUS_EVERY);
        if fresh {
            return Ok(());
        }
        let body = json!({
            "apiVersion": berth_types::API_VERSION, "kind": "Node",
            "metadata": {"name": self.name}, "status": self.status,
        });
        api.patch_status(&self.name, &PatchParams::apply(COMPONENT).force(), &Patch::Apply(body)).await?;
        *written = Some((self.status.clone(), Instant::now()));
        Ok(())
    }

    /// Makes the object, or adds our labels to it. Its spec is left alone.
    async fn ensure(&self, api: &Api<Node>) -> Result<(), Error> {
        let mut labels = self.labels.clone();
        labels.insert(LABEL_HOSTNAME.to_owned(), self.name.clone());
        let Some(found) = api.get_opt(&self.name).await? else {
            let mut node = Node::new(&self.name, NodeSpec::default());
            node.metadata.labels = Some(labels);
            return match api
                .create(&PostParams { field_manager: Some(COMPONENT.to_owned()), ..PostParams::default() }, &node)
                .await
            {
                Err(Error::Api(status)) if status.code == 409 => Ok(()),
                other => other.map(drop),
            };
        };
        let have = found.metadata.labels.unwrap_or_default();
        if labels.iter().any(|(key, value)| have.get(key) != Some(value)) {
            let body = json!({"metadata": {"labels": labels}});
            let params = PatchParams { field_manager: Some(COMPONENT.to_owned()), ..PatchParams::default() };
            api.patch(&self.name, &params, &Patch::Merge(body)).await?;
        }
        Ok(())
    }

    fn judge_pressure(&mut self) {
        let now = Time(Timestamp::now());
        let all: &mut Vec<Condition> = &mut self.status.conditions;
        set_condition(all, condition("Ready", Some(true), "AgentReady", "the agent runs tasks", None, &now));
        let memory = facts::memory_is_short();
        let (reason, message) =
            if memory { ("MemoryShort", "less than 5 % of the memory is available") } else { ("MemorySufficient", "") };
        set_condition(all, condition("MemoryPressure", Some(memory), reason, message, None, &now));
        let disk = facts::disk_is_short(&self.data_dir);
        let (reason, message) = if disk {
            ("DiskShort", "less than 5 % of the data directory's file system is free")
        } else {
            ("DiskSufficient", "")
        };
        set_condition(all, condition("DiskPressure", Some(disk), reason, message, None, &now));
    }
}
