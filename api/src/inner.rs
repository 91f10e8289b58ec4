//! What all requests of a server share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use berth_store::{Store, TtlLeases};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::authn::Tokens;
use crate::http::{Documents, Streams};
use crate::metrics::Metrics;
use crate::registry::Registry;
use crate::write::turns::Turns;

/// Requests that are worked on at the same time, streams not counted: upstream's 400 reads and 200 writes.
const IN_FLIGHT_MAX: usize = 600;

/// The server's shared state.
#[derive(Debug)]
pub(crate) struct Inner {
    pub store: Arc<dyn Store>,
    pub leases: TtlLeases,
    pub registry: Registry,
    pub tokens: Tokens,
    pub metrics: Metrics,
    pub documents: Documents,
    pub in_flight: Semaphore,
    pub streams: Streams,
    pub turns: Turns,
    /// What rules are asked about writes.
    pub admission: crate::admission::State,
    /// The client for servers that extend this one.
    pub webhooks: crate::webhook::Webhooks,
    /// Namespaces that were marked as deleted here: what the cache says of them may be older than that.
    pub ending_namespaces: parking_lot::RwLock<std::collections::HashSet<String>>,
    /// Ends watches and background tasks.
    pub stop: CancellationToken,
    /// How the server proves itself to agents; without it logs and exec are unavailable.
    pub agent_tls: Option<Arc<rustls::ClientConfig>>,
    draining: AtomicBool,
    bootstrapped: AtomicBool,
}

impl Inner {
    pub(crate) fn new(
        store: Arc<dyn Store>,
        registry: Registry,
        tokens: Tokens,
        agent_tls: Option<Arc<rustls::ClientConfig>>,
    ) -> Self {
        Self {
            leases: TtlLeases::new(Arc::clone(&store)),
            store,
            registry,
            tokens,
            metrics: Metrics::new(),
            documents: Documents::default(),
            in_flight: Semaphore::new(IN_FLIGHT_MAX),
            streams: Streams::default(),
            turns: Turns::default(),
            admission: crate::admission::State::default(),
            webhooks: crate::webhook::Webhooks::default(),
            ending_namespaces: parking_lot::RwLock::default(),
            stop: CancellationToken::new(),
            agent_tls,
            draining: AtomicBool::new(false),
            bootstrapped: AtomicBool::new(false),
        }
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// From now on the server says that it is not ready.
    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_bootstrapped(&self) -> bool {
        self.bootstrapped.load(Ordering::Relaxed)
    }

    pub(crate) fn set_bootstrapped(&self) {
        self.bootstrapped.store(true, Ordering::Relaxed);
    }
}
