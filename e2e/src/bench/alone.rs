//! `berth apiserver` alone, with an empty store: what the API costs without anybody who works with it.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use berth_e2e::Cluster;
use bytes::Bytes;
use serde_json::Value;

use crate::load::{Connection, Target};

/// A start that takes longer has failed.
const START_MAX: Duration = Duration::from_secs(30);
/// Between two looks whether the server is ready: a small part of what is measured.
const LOOK: Duration = Duration::from_millis(2);

/// A server; killed when dropped.
pub(crate) struct Alone {
    child: Child,
    /// Directories and a port: nothing else of it runs.
    cluster: Cluster,
    /// The admin's way in.
    pub(crate) admin: Target,
    /// From its start until `/readyz` said so.
    pub(crate) start: Duration,
}

impl Drop for Alone {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Alone {
    /// Starts a server and waits until it is ready. `more` makes arguments of the directory for its files.
    pub(crate) async fn start(more: impl FnOnce(&Cluster) -> Vec<String>) -> anyhow::Result<Self> {
        let cluster = Cluster::prepare();
        let more = more(&cluster);
        let begin = Instant::now();
        let child = Command::new(berth_e2e::berth_bin())
            .arg("apiserver")
            .arg("--data-dir")
            .arg(cluster.data_dir())
            .args(["--log-level", "warn", "--listen", &cluster.api_address()])
            .args(more)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(cluster.path("up.log"))?)
            .spawn()?;
        let admin = Target { address: cluster.api_address(), token: String::new() };
        let mut alone = Self { child, cluster, admin, start: Duration::ZERO };
        while !alone.is_ready().await {
            anyhow::ensure!(begin.elapsed() < START_MAX, "the server is not ready: {}", alone.cluster.log());
            tokio::time::sleep(LOOK).await;
        }
        alone.start = begin.elapsed();
        // The file for its admin may come a little later.
        while !alone.cluster.kubeconfig().exists() {
            anyhow::ensure!(begin.elapsed() < START_MAX, "the server wrote no kubeconfig: {}", alone.cluster.log());
            tokio::time::sleep(LOOK).await;
        }
        alone.admin.token = crate::api::target(&alone.cluster)?.token;
        Ok(alone)
    }

    /// Nobody needs a token to ask that.
    async fn is_ready(&self) -> bool {
        let Ok(mut connection) = Connection::open(&self.admin).await else { return false };
        connection.send_as(None, "GET", "/readyz", Bytes::new()).await.is_ok()
    }

    /// Process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A file among the server's.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.cluster.path(name)
    }

    /// The directories and addresses.
    pub(crate) fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// Posts an object as the admin.
    pub(crate) async fn post(&self, path: &str, object: &Value) -> anyhow::Result<Value> {
        let mut connection = Connection::open(&self.admin).await?;
        let answer = connection.send("POST", path, "application/json", object.to_string().into()).await?;
        serde_json::from_slice(&answer).context("an answer in JSON")
    }

    /// What is there, as the admin sees it.
    pub(crate) async fn get(&self, path: &str) -> anyhow::Result<Value> {
        let mut connection = Connection::open(&self.admin).await?;
        let answer = connection.send("GET", path, "application/json", Bytes::new()).await?;
        serde_json::from_slice(&answer).context("an answer in JSON")
    }
}
