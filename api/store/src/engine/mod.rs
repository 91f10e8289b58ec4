//! Engines: the MVCC core, one writer thread that commits in groups, and a persistence.
//!
//! ```text
//! clients -> queue (bounded) -> writer thread: stage a batch against the state
//!                                              -> persistence: one commit, one fsync
//!                                              -> apply to the state, wake watches
//!                                              -> answer every client of the batch
//! ```

mod embedded;
mod memory;
mod queue;
mod writer;

use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use futures::future::{BoxFuture, FutureExt, ready};
use parking_lot::{Mutex, RwLock};

pub use crate::mvcc::HistoryLimits;
pub use embedded::{EmbeddedConfig, EmbeddedStore};
pub use memory::MemoryStore;

use crate::error::StoreError;
use crate::kv::{Key, Kv, LeaseId, Revision};
use crate::mvcc::{LeaseEdit, Loaded, Mvcc, MvccWatch};
use crate::request::{GetResponse, RangeRequest, RangeResponse, Txn, TxnResponse};
use crate::store::{Lease, Store, StoreStatus};
use crate::watch::{WatchRequest, WatchStream};
use queue::{Command, Queue, Reply};

/// Leases live at most so long (100 years in etcd's words: "for ever" is no lease).
const LEASE_TTL_MAX: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// What a batch leaves on disk.
#[derive(Debug)]
pub(crate) struct Durable<'a> {
    pub(crate) revision: Revision,
    /// The last word on each key: `None` is gone.
    pub(crate) keys: &'a [(&'a Key, Option<&'a Kv>)],
    pub(crate) leases: &'a [LeaseEdit],
}

/// Where batches are made durable.
pub(crate) trait Persistence: Send {
    /// Returns when the batch is durable. After an error nothing of it is, or (only with
    /// [`StoreError::Unavailable`]) it is not known; the same keys are then written again.
    fn commit(&mut self, durable: &Durable<'_>) -> Result<(), StoreError>;

    fn disk_bytes(&self) -> u64;
}

/// The engine's name and place, for status.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(crate) engine: &'static str,
    pub(crate) path: Option<PathBuf>,
}

/// State that clients, watches and the writer share.
#[derive(Debug)]
pub(crate) struct Shared {
    mvcc: Arc<RwLock<Mvcc>>,
    queue: Queue,
    health: Mutex<Health>,
}

#[derive(Debug, Default)]
struct Health {
    write_error: Option<StoreError>,
    disk_bytes: u64,
}

/// A running engine; dropping it ends the writer thread after what is queued.
#[derive(Debug)]
pub(crate) struct Engine {
    shared: Arc<Shared>,
    identity: Identity,
    writer: Option<JoinHandle<()>>,
}

impl Engine {
    pub(crate) fn start(
        identity: Identity,
        loaded: Loaded,
        limits: HistoryLimits,
        persistence: impl Persistence + 'static,
    ) -> Result<Self, StoreError> {
        let mvcc = Arc::new(RwLock::new(Mvcc::new(loaded, limits, Instant::now())));
        let health = Health { write_error: None, disk_bytes: persistence.disk_bytes() };
        let shared = Arc::new(Shared { mvcc, queue: Queue::default(), health: Mutex::new(health) });
        let writer = writer::Writer::new(Arc::clone(&shared), persistence);
        let writer = std::thread::Builder::new().name("store-writer".to_owned()).spawn(move || writer.run()).map_err(
            |source| StoreError::io("start the writer thread for", identity.path.clone().unwrap_or_default(), source),
        )?;
        Ok(Self { shared, identity, writer: Some(writer) })
    }

    async fn ask(&self, command: Command) -> Result<Reply, StoreError> {
        self.shared.queue.ask(command).await
    }

    async fn ask_lease(&self, command: Command) -> Result<Lease, StoreError> {
        match self.ask(command).await? {
            Reply::Lease(lease) => Ok(lease),
            Reply::Txn(_) | Reply::Done => Err(StoreError::Closed),
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.shared.queue.close();
        if let Some(writer) = self.writer.take() {
            // A panic of the writer has been logged by the panic hook; nothing to add here.
            let _ = writer.join();
        }
    }
}

impl Store for Engine {
    fn get<'a>(&'a self, key: &'a str, at: Option<Revision>) -> BoxFuture<'a, Result<GetResponse, StoreError>> {
        let state = self.shared.mvcc.read();
        let result = state.get(key, at).map(|kv| GetResponse { revision: state.revision(), kv });
        ready(result).boxed()
    }

    fn range(&self, request: RangeRequest) -> BoxFuture<'_, Result<RangeResponse, StoreError>> {
        ready(self.shared.mvcc.read().range(&request)).boxed()
    }

    fn txn(&self, txn: Txn) -> BoxFuture<'_, Result<TxnResponse, StoreError>> {
        async move {
            txn.check()?;
            match self.ask(Command::Txn(txn)).await? {
                Reply::Txn(response) => Ok(response),
                Reply::Lease(_) | Reply::Done => Err(StoreError::Closed),
            }
        }
        .boxed()
    }

    fn watch(&self, request: WatchRequest) -> BoxFuture<'_, Result<WatchStream, StoreError>> {
        ready(MvccWatch::start(&self.shared.mvcc, request).map(WatchStream::new)).boxed()
    }

    fn current_revision(&self) -> BoxFuture<'_, Result<Revision, StoreError>> {
        ready(Ok(self.shared.mvcc.read().revision())).boxed()
    }

    fn lease_grant(&self, ttl: Duration) -> BoxFuture<'_, Result<Lease, StoreError>> {
        async move {
            if ttl.is_zero() || ttl > LEASE_TTL_MAX {
                return Err(StoreError::invalid(format!(
                    "a lease of {ttl:?}: it must be above 0 and at most 10 years"
                )));
            }
            self.ask_lease(Command::LeaseGrant(ttl)).await
        }
        .boxed()
    }

    fn lease_revoke(&self, id: LeaseId) -> BoxFuture<'_, Result<(), StoreError>> {
        async move { self.ask(Command::LeaseRevoke(id)).await.map(drop) }.boxed()
    }

    fn lease_keep_alive(&self, id: LeaseId) -> BoxFuture<'_, Result<Lease, StoreError>> {
        self.ask_lease(Command::LeaseKeepAlive(id)).boxed()
    }

    fn compact(&self, revision: Revision) -> BoxFuture<'_, Result<(), StoreError>> {
        ready(self.shared.mvcc.write().compact(revision)).boxed()
    }

    fn status(&self) -> BoxFuture<'_, Result<StoreStatus, StoreError>> {
        let (write_error, disk_bytes) = {
            let health = self.shared.health.lock();
            (health.write_error.clone(), health.disk_bytes)
        };
        let state = self.shared.mvcc.read();
        let Identity { engine, path } = self.identity.clone();
        let status = StoreStatus {
            engine,
            revision: state.revision(),
            compact_revision: state.compacted(),
            keys_count: state.keys_count(),
            leases_count: state.leases().len(),
            watches_count: state.watchers.len(),
            history_count: state.history_count(),
            value_bytes: state.value_bytes(),
            disk_bytes,
            path,
            write_error,
        };
        ready(Ok(status)).boxed()
    }

    fn health(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        let error = self.shared.health.lock().write_error.clone();
        ready(error.map_or(Ok(()), Err)).boxed()
    }
}

/// Both public stores are an [`Engine`] and say so once.
macro_rules! store_is_engine {
    ($store:ty) => {
        impl crate::store::Store for $store {
            fn get<'a>(
                &'a self,
                key: &'a str,
                at: Option<crate::Revision>,
            ) -> futures::future::BoxFuture<'a, Result<crate::GetResponse, crate::StoreError>> {
                self.engine.get(key, at)
            }
            fn range(
                &self,
                request: crate::RangeRequest,
            ) -> futures::future::BoxFuture<'_, Result<crate::RangeResponse, crate::StoreError>> {
                self.engine.range(request)
            }
            fn txn(
                &self,
                txn: crate::Txn,
            ) -> futures::future::BoxFuture<'_, Result<crate::TxnResponse, crate::StoreError>> {
                self.engine.txn(txn)
            }
            fn watch(
                &self,
                request: crate::WatchRequest,
            ) -> futures::future::BoxFuture<'_, Result<crate::WatchStream, crate::StoreError>> {
                self.engine.watch(request)
            }
            fn current_revision(&self) -> futures::future::BoxFuture<'_, Result<crate::Revision, crate::StoreError>> {
                self.engine.current_revision()
            }
            fn lease_grant(
                &self,
                ttl: std::time::Duration,
            ) -> futures::future::BoxFuture<'_, Result<crate::Lease, crate::StoreError>> {
                self.engine.lease_grant(ttl)
            }
            fn lease_revoke(
                &self,
                id: crate::LeaseId,
            ) -> futures::future::BoxFuture<'_, Result<(), crate::StoreError>> {
                self.engine.lease_revoke(id)
            }
            fn lease_keep_alive(
                &self,
                id: crate::LeaseId,
            ) -> futures::future::BoxFuture<'_, Result<crate::Lease, crate::StoreError>> {
                self.engine.lease_keep_alive(id)
            }
            fn compact(
                &self,
                revision: crate::Revision,
            ) -> futures::future::BoxFuture<'_, Result<(), crate::StoreError>> {
                self.engine.compact(revision)
            }
            fn status(&self) -> futures::future::BoxFuture<'_, Result<crate::StoreStatus, crate::StoreError>> {
                self.engine.status()
            }
            fn health(&self) -> futures::future::BoxFuture<'_, Result<(), crate::StoreError>> {
                self.engine.health()
            }
        }
    };
}
pub(crate) use store_is_engine;
