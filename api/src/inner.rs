//! What all requests of a server share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use berth_store::{Store, TtlLeases};
use tokio_util::sync::CancellationToken;

use crate::http::{Documents, Streams};
use crate::metrics::Metrics;
use crate::registry::Registry;
use crate::write::settled::Settled;
use crate::write::turns::Turns;

/// The server's shared state.
#[derive(Debug)]
pub(crate) struct Inner {
    pub store: Arc<dyn Store>,
    pub leases: TtlLeases,
    pub registry: Registry,
    /// Who somebody is.
    pub identity: crate::authn::Identity,
    /// Who may do what.
    pub access: crate::authz::Access,
    pub metrics: Metrics,
    pub documents: Documents,
    /// Whose requests wait for whose.
    pub flow: crate::fairness::Flow,
    /// How much memory the bodies of requests take.
    pub bodies: crate::fairness::bodies::Bodies,
    /// Who did what; `None` when nobody wants to know.
    pub audit: Option<Arc<crate::audit::Audit>>,
    pub streams: Streams,
    pub turns: Turns,
    pub settled: Settled,
    /// What rules are asked about writes.
    pub admission: crate::admission::State,
    /// Parts of the API that other servers serve.
    pub aggregate: crate::aggregate::State,
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
        identity: crate::authn::Identity,
        agent_tls: Option<Arc<rustls::ClientConfig>>,
    ) -> Self {
        Self {
            leases: TtlLeases::new(Arc::clone(&store)),
            store,
            registry,
            identity,
            access: crate::authz::Access::default(),
            metrics: Metrics::new(),
            documents: Documents::default(),
            flow: crate::fairness::Flow::new(None),
            bodies: crate::fairness::bodies::Bodies::default(),
            audit: None,
            streams: Streams::default(),
            turns: Turns::default(),
            settled: Settled::default(),
            admission: crate::admission::State::default(),
            aggregate: crate::aggregate::State::default(),
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
