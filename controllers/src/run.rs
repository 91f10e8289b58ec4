//! The manager: starts informers and controllers, leads or waits, and stops cleanly.

use std::fmt;
use std::sync::Arc;

use berth_identity::csr::Authority;
use kube::Client;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::driver::context::Shared;
use crate::driver::store::Stores;
use crate::driver::{Clock, Context, Error, Part, SystemClock, controller, informer};
use crate::events::Recorder;
use crate::leader::{self, Leadership};
use crate::metrics::Metrics;

/// The manager's own name, for the requests of its background parts.
const MANAGER: &str = "berth-controllers";

/// How the manager is to run.
#[derive(Clone)]
pub struct Options {
    /// Who this manager is: host name and data directory, so that a restarted one takes its own Lease back.
    pub identity: String,
    /// Act only as the holder of the Lease. Off when there can be no other manager.
    pub leader_election: bool,
    /// Cancel it to stop the manager.
    pub shutdown: CancellationToken,
    /// Signs certificates for those whose requests were approved; without it that is another manager's work.
    pub authority: Option<Arc<Authority>>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// What is run; each call makes them anew.
    pub parts: fn() -> Vec<Part>,
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("identity", &self.identity)
            .field("leader_election", &self.leader_election)
            .finish_non_exhaustive()
    }
}

impl Options {
    /// All controllers, by the machine's clock, without leader election.
    pub fn new(identity: impl Into<String>, shutdown: CancellationToken) -> Self {
        Self {
            identity: identity.into(),
            leader_election: false,
            authority: None,
            shutdown,
            clock: Arc::new(SystemClock),
            parts: all_parts,
        }
    }
}

/// Every controller that Berth brings.
pub fn all_parts() -> Vec<Part> {
    [
        crate::service::parts(),
        crate::job::parts(),
        crate::job_run::parts(),
        crate::placement::parts(),
        crate::node::parts(),
        crate::role::parts(),
        crate::quota::parts(),
        crate::cluster_role::parts(),
        crate::garbage::parts(),
        crate::namespace::parts(),
        crate::baseline::parts(),
        crate::certificates::parts(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// A running manager.
pub struct Handle {
    metrics: Metrics,
    ready: watch::Receiver<bool>,
    leading: watch::Receiver<bool>,
    manager: JoinHandle<()>,
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").field("ready", &self.ready()).field("leading", &self.leading()).finish_non_exhaustive()
    }
}

impl Handle {
    /// Whether all kinds have been listed once. A manager that waits to lead is ready too.
    pub fn ready(&self) -> bool {
        *self.ready.borrow()
    }

    /// Waits for [`ready`](Self::ready).
    pub async fn wait_ready(&self) {
        // The sender is gone only when the manager has stopped: then there is nothing to wait for.
        let _ = self.ready.clone().wait_for(|ready| *ready).await;
    }

    /// Whether this manager acts.
    pub fn leading(&self) -> bool {
        *self.leading.borrow()
    }

    /// Waits for [`leading`](Self::leading).
    pub async fn wait_leading(&self) {
        let _ = self.leading.clone().wait_for(|leading| *leading).await;
    }

    /// The manager's metrics in Prometheus' text format.
    pub fn metrics_text(&self) -> String {
        self.metrics.text()
    }

    /// The manager's counters.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Waits until the manager has stopped, after its token was cancelled.
    pub async fn stopped(self) {
        let _ = self.manager.await;
    }
}

/// Starts the manager in the background.
///
/// Never fails for want of an API server: it tries until there is one.
pub async fn run(client: Client, options: Options) -> Result<Handle, Error> {
    let metrics = Metrics::default();
    let events = Recorder::start(client.clone(), options.clock.clone(), metrics.clone(), options.shutdown.clone());
    let shared = Arc::new(Shared {
        client,
        stores: Stores::default(),
        clock: options.clock.clone(),
        events,
        metrics: metrics.clone(),
        identity: options.identity.clone(),
        authority: options.authority.clone(),
    });
    let (ready_sender, ready) = watch::channel(false);
    let (leading_sender, leading) = watch::channel(false);
    let manager = tokio::spawn(manage(shared, options, ready_sender, leading_sender));
    Ok(Handle { metrics, ready, leading, manager })
}

async fn manage(shared: Arc<Shared>, options: Options, ready: watch::Sender<bool>, leading: watch::Sender<bool>) {
    let stop = options.shutdown.clone();
    let mut background = JoinSet::new();
    let ctx = Context { shared: shared.clone(), controller: MANAGER };
    for part in (options.parts)() {
        let watches = match &part {
            Part::Reconciler(reconciler) => reconciler.watches(),
            Part::Background(_, watches, _) => watches.clone(),
        };
        for watch in watches {
            (watch.open)(&shared.stores);
        }
    }
    for store in shared.stores.all() {
        background.spawn(informer::run(shared.client.clone(), store, shared.metrics.clone(), stop.clone()));
    }
    let stores = shared.stores.all();
    background.spawn(async move {
        for store in stores {
            let _ = store.synced().wait_for(|synced| *synced).await;
        }
        ready.send_replace(true);
        // Kept until the end, so that whoever waits is not told of a stop that is none.
        ready.closed().await;
    });
    while !stop.is_cancelled() {
        let Some((lost, leadership)) = lead(&ctx, &options).await else { break };
        tracing::info!(identity = options.identity, "leading");
        shared.metrics.led(true);
        leading.send_replace(true);
        act(&shared, (options.parts)(), &lost).await;
        shared.metrics.led(false);
        leading.send_replace(false);
        shared.stores.all().iter().for_each(|store| store.forget_listeners());
        if let Some(leadership) = leadership {
            leadership.release().await;
        }
    }
    background.shutdown().await;
}

/// Waits to become the leader; the token is cancelled when that ends, and the leadership, if there was an election,
/// is to be given back once all work has stopped. `None` when the manager is to stop.
async fn lead(ctx: &Context, options: &Options) -> Option<(CancellationToken, Option<Leadership>)> {
    let stop = &options.shutdown;
    if !options.leader_election {
        return Some((stop.child_token(), None));
    }
    let won = tokio::select! {
        won = leader::acquire(ctx.client(), &options.identity, options.clock.clone(), stop.clone()) => won,
        () = stop.cancelled() => return None,
    };
    match won {
        Ok(leadership) => Some((leadership.lost.clone(), Some(leadership))),
        Err(error) => {
            tracing::error!(error = informer::chain(&error), "could not run for leadership");
            None
        }
    }
}

/// Runs all parts until the token is cancelled, and waits for them to end.
async fn act(shared: &Arc<Shared>, parts: Vec<Part>, lost: &CancellationToken) {
    let mut running = JoinSet::new();
    for part in parts {
        let lost = lost.clone();
        match part {
            Part::Reconciler(reconciler) => {
                let ctx = Context { shared: shared.clone(), controller: reconciler.name() };
                running.spawn(controller::run(reconciler, ctx, lost));
            }
            Part::Background(name, watches, body) => {
                let ctx = Context { shared: shared.clone(), controller: name };
                running.spawn(async move {
                    tokio::select! {
                        () = controller::synced(&watches, &ctx) => {}
                        () = lost.cancelled() => return,
                    }
                    body(ctx, lost).await;
                });
            }
        }
    }
    lost.cancelled().await;
    while let Some(ended) = running.join_next().await {
        if let Err(error) = ended {
            tracing::error!(%error, "a part of the manager panicked");
        }
    }
}
