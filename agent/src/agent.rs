//! Puts the agent together: runtime, recovery, tasks, node, and the HTTPS server.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use berth_client::kube::runtime::utils::Backoff;
use berth_client::kube::runtime::{WatchStreamExt, watcher};
use berth_client::kube::{Api, Client};
use berth_types::node::{NodeAddress, NodeEndpoint};
use berth_types::{NodeStatus, Task};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::events::Recorder;
use crate::http::{self, Server};
use crate::metrics::Metrics;
use crate::node::{Registration, facts};
use crate::runtime::Runtime;
use crate::runtime::native::Native;
use crate::task::hooks::NodeFacts;
use crate::task::hooks::launch::Settings;
use crate::task::hooks::sources::ApiSource;
use crate::task::manager::{Manager, Registry};
use crate::task::worker::Context;
use crate::writer::ApiStatus;

/// First pause after a failed watch; it doubles.
const WATCH_RETRY_MIN: Duration = Duration::from_millis(100);
/// Longest such pause: how late a returning API server may be noticed.
const WATCH_RETRY_MAX: Duration = Duration::from_secs(5);
/// How long the parts may take to stop; all of them stop at their next await.
const SHUTDOWN_MAX: Duration = Duration::from_secs(5);

/// Why an agent did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A directory cannot be used.
    #[error("could not use {path}", path = .path.display())]
    Directory { path: PathBuf, source: io::Error },
    /// The port is taken, or not ours to take.
    #[error("could not listen on {address}: is another agent running?")]
    Listen { address: SocketAddr, source: io::Error },
    /// The runtime says why.
    #[error("the native containerizer does not work here")]
    Runtime(#[from] berth_container::Error),
    /// Two agents on one data directory would start everything twice.
    #[error("{path} is used by another agent", path = .path.display())]
    Locked { path: PathBuf },
}

/// The node's agent.
#[derive(Debug)]
pub struct Agent;

impl Agent {
    /// Starts an agent with the native containerizer. It runs until [`AgentHandle::shutdown`] or drop.
    ///
    /// # Errors
    /// When a directory, the port or the containerizer cannot be used. An API server that is away is no error.
    pub async fn start(client: Client, config: Config) -> Result<AgentHandle, StartError> {
        let native = berth_container::Config {
            run_dir: config.run_dir.join("containers"),
            cgroup_parent: config.cgroup_parent.clone(),
            shim: berth_container::Shim { exe: config.shim_exe.clone(), args: config.shim_args.clone() },
        };
        directory(&config.run_dir)?;
        let opened = tokio::task::spawn_blocking(move || Native::open(native)).await;
        let runtime = opened
            .map_err(|e| StartError::Directory { path: config.run_dir.clone(), source: io::Error::other(e) })??;
        Self::start_with(client, config, Arc::new(runtime)).await
    }

    /// The same with another runtime.
    ///
    /// # Errors
    /// As [`Agent::start`].
    pub async fn start_with(
        client: Client,
        config: Config,
        runtime: Arc<dyn Runtime>,
    ) -> Result<AgentHandle, StartError> {
        directory(&config.data_dir)?;
        directory(&config.run_dir)?;
        let lock = lock(&config)?;
        let listener =
            http::bind(config.listen).map_err(|source| StartError::Listen { address: config.listen, source })?;
        let address = listener.local_addr().map_err(|source| StartError::Listen { address: config.listen, source })?;
        let metrics = Metrics::new();
        let (ctx, registration) = prepare(&client, &config, runtime.clone(), address, &metrics);
        let registry = Registry::default();
        let (synced, tasks_known) = watch::channel(false);
        let manager = Manager::new(ctx.clone(), registry.clone(), synced)
            .map_err(|source| StartError::Directory { path: ctx.ledger_dir.clone(), source })?;
        let stop = CancellationToken::new();
        let mut parts = JoinSet::new();
        let selector = format!("spec.nodeName={}", config.node_name);
        let events = watcher(Api::<Task>::all(client.clone()), watcher::Config::default().fields(&selector))
            .backoff(Retry::default());
        parts.spawn(manager.run(events, stop.clone()));
        let (registered, node_known) = watch::channel(false);
        parts.spawn(register(registration, client, tasks_known.clone(), registered, stop.clone()));
        let server = Server {
            registry: registry.clone(),
            runtime,
            metrics: metrics.clone(),
            data_dir: config.data_dir.clone(),
            ready: node_known.clone(),
        };
        let (tls, stop_serving) = (config.tls.clone(), stop.clone());
        parts.spawn(async move {
            if let Err(error) = http::serve(server, listener, tls, stop_serving).await {
                tracing::error!(%error, "the agent's HTTPS server ended");
            }
        });
        tracing::info!(node = config.node_name, %address, "agent started");
        Ok(AgentHandle { parts, stop, ready: node_known, metrics, registry, address, _lock: lock })
    }
}

/// A running agent. Dropping it stops the agent at once; its tasks run on either way.
#[derive(Debug)]
pub struct AgentHandle {
    parts: JoinSet<()>,
    stop: CancellationToken,
    ready: watch::Receiver<bool>,
    metrics: Metrics,
    registry: Registry,
    address: SocketAddr,
    _lock: std::fs::File,
}

impl AgentHandle {
    /// True when the node is registered and its tasks are known.
    pub fn ready(&self) -> watch::Receiver<bool> {
        self.ready.clone()
    }

    /// Waits until the node is registered and its tasks are known.
    pub async fn wait_ready(&self) {
        // The sender lives as long as the agent.
        let _ = self.ready.clone().wait_for(|ready| *ready).await;
    }

    /// Where the agent's own API listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// The agent's metrics in Prometheus' text format, without the containers'.
    pub fn metrics_text(&self) -> String {
        self.metrics.text()
    }

    /// The tasks on this node.
    pub fn registry(&self) -> Registry {
        self.registry.clone()
    }

    /// Stops the agent, never the tasks.
    pub async fn shutdown(mut self) {
        self.stop.cancel();
        let ended = async { while self.parts.join_next().await.is_some() {} };
        if tokio::time::timeout(SHUTDOWN_MAX, ended).await.is_err() {
            tracing::warn!("a part of the agent did not stop in time");
        }
    }
}

fn prepare(
    client: &Client,
    config: &Config,
    runtime: Arc<dyn Runtime>,
    address: SocketAddr,
    metrics: &Metrics,
) -> (Arc<Context>, Registration) {
    let abilities = runtime.abilities();
    let ip = config
        .advertise
        .unwrap_or_else(|| if address.ip().is_unspecified() { facts::address() } else { address.ip() })
        .to_string();
    let (capacity, allocatable) = facts::resources(&config.data_dir, &config.resources);
    let amount = |name: &str, read: fn(&berth_types::Quantity) -> Result<i64, berth_types::quantity::QuantityError>| {
        allocatable.get(name).and_then(|q| read(q).ok()).unwrap_or(0)
    };
    let node = NodeFacts {
        name: config.node_name.clone(),
        address: ip.clone(),
        agent_port: address.port(),
        machine_id: facts::machine_id(),
        cpu_milli: amount("cpu", berth_types::Quantity::milli),
        memory_bytes: amount("memory", berth_types::Quantity::units),
    };
    let mut masked_paths = config.masked_paths.clone();
    masked_paths.extend([config.data_dir.clone(), config.run_dir.clone()]);
    let status = NodeStatus {
        capacity,
        allocatable: allocatable.clone(),
        port_ranges: config.port_ranges.clone(),
        attributes: config.attributes.clone(),
        addresses: vec![
            NodeAddress { type_: "InternalIP".to_owned(), address: ip.clone() },
            NodeAddress { type_: "Hostname".to_owned(), address: config.node_name.clone() },
        ],
        agent_endpoint: Some(NodeEndpoint { address: ip, port: i32::from(address.port()) }),
        node_info: Some(facts::node_info(&config.version, &abilities)),
        limitations: abilities.limitations,
        conditions: Vec::new(),
    };
    let registration = Registration {
        name: config.node_name.clone(),
        labels: config.labels.clone(),
        status,
        data_dir: config.data_dir.clone(),
    };
    let ctx = Context {
        runtime,
        source: Arc::new(ApiSource(client.clone())),
        status: Arc::new(ApiStatus(client.clone())),
        settings: Settings {
            log_max_bytes: config.log_max_bytes,
            log_max_files: config.log_max_files,
            masked_paths,
            allocatable: allocatable.clone(),
            is_root: rustix::process::geteuid().is_root(),
            node,
        },
        data_dir: config.data_dir.clone(),
        run_dir: config.run_dir.clone(),
        ledger_dir: config.data_dir.join("tasks"),
        events: Recorder::start(client.clone(), config.node_name.clone(), metrics.clone()),
        metrics: metrics.clone(),
        boot_id: facts::boot_id(),
    };
    (Arc::new(ctx), registration)
}

/// The node is offered only after what runs on it is known: its free resources would be a guess before.
async fn register(
    registration: Registration,
    client: Client,
    mut tasks_known: watch::Receiver<bool>,
    registered: watch::Sender<bool>,
    stop: CancellationToken,
) {
    tokio::select! {
        () = stop.cancelled() => return,
        known = tasks_known.wait_for(|known| *known) => if known.is_err() { return },
    }
    registration.keep(client, registered, stop).await;
}

fn directory(path: &std::path::Path) -> Result<(), StartError> {
    std::fs::create_dir_all(path).map_err(|source| StartError::Directory { path: path.to_owned(), source })
}

/// Held for the agent's life; the kernel lets it go when the process ends, however it does.
fn lock(config: &Config) -> Result<std::fs::File, StartError> {
    let path = config.data_dir.join("agent.lock");
    let failed = |source| StartError::Directory { path: path.clone(), source };
    let file = std::fs::OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(StartError::Locked { path: config.data_dir.clone() }),
        Err(std::fs::TryLockError::Error(source)) => Err(failed(source)),
    }
}

/// Doubling pauses between the tries of a watch.
#[derive(Clone, Copy, Debug)]
struct Retry(Duration);

impl Default for Retry {
    fn default() -> Self {
        Self(WATCH_RETRY_MIN)
    }
}

impl Iterator for Retry {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let pause = self.0;
        self.0 = (pause * 2).min(WATCH_RETRY_MAX);
        Some(pause)
    }
}

impl Backoff for Retry {
    fn reset(&mut self) {
        *self = Self::default();
    }
}
