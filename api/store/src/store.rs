//! The contract of a store. etcd's semantics are the meaning of every method.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use futures::future::BoxFuture;

use crate::error::StoreError;
use crate::kv::{LeaseId, Revision};
use crate::request::{GetResponse, RangeRequest, RangeResponse, Txn, TxnResponse};
use crate::watch::{WatchRequest, WatchStream};

/// A revisioned key-value store, used as `Arc<dyn Store>`.
///
/// One revision counter for all keys. Reads without a revision, and transactions, are
/// linearizable: they see every write that was acknowledged before they began. An
/// acknowledged write is durable (as far as the engine is durable at all).
pub trait Store: fmt::Debug + Send + Sync + 'static {
    /// One key, now or at a revision.
    fn get<'a>(&'a self, key: &'a str, at: Option<Revision>) -> BoxFuture<'a, Result<GetResponse, StoreError>>;

    /// Many keys, in order, now or at a revision.
    fn range(&self, request: RangeRequest) -> BoxFuture<'_, Result<RangeResponse, StoreError>>;

    /// Compare and write, all or nothing; one revision when anything was written.
    /// A key is written at most once in a transaction.
    fn txn(&self, txn: Txn) -> BoxFuture<'_, Result<TxnResponse, StoreError>>;

    /// Every change of a range from a revision on, exactly once, in order.
    fn watch(&self, request: WatchRequest) -> BoxFuture<'_, Result<WatchStream, StoreError>>;

    /// A revision that is not older than any acknowledged write.
    fn current_revision(&self) -> BoxFuture<'_, Result<Revision, StoreError>>;

    /// A new lease. Keys put with it are deleted when it ends.
    /// After a restart of the store a lease lives on for what was left of it.
    fn lease_grant(&self, ttl: Duration) -> BoxFuture<'_, Result<Lease, StoreError>>;

    /// Ends a lease now, and deletes its keys.
    fn lease_revoke(&self, id: LeaseId) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Starts the lease's time anew.
    fn lease_keep_alive(&self, id: LeaseId) -> BoxFuture<'_, Result<Lease, StoreError>>;

    /// Forgets history: reads before `revision`, and watches from it or before, are refused then.
    fn compact(&self, revision: Revision) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Sizes and state, for metrics and readiness.
    fn status(&self) -> BoxFuture<'_, Result<StoreStatus, StoreError>>;

    /// `Ok` when writes are possible, as far as is known without writing.
    fn health(&self) -> BoxFuture<'_, Result<(), StoreError>>;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    pub id: LeaseId,
    pub ttl: Duration,
}

#[derive(Clone, Debug)]
pub struct StoreStatus {
    /// "memory", "embedded".
    pub engine: &'static str,
    pub revision: Revision,
    /// Reads before this one are refused.
    pub compact_revision: Revision,
    pub keys_count: usize,
    pub leases_count: usize,
    pub watches_count: usize,
    /// Changes that can still be watched or read back.
    pub history_count: usize,
    /// Bytes of live values.
    pub value_bytes: u64,
    /// Bytes of the file; 0 without one.
    pub disk_bytes: u64,
    pub path: Option<PathBuf>,
    /// Why writes are refused at the moment, if they are.
    pub write_error: Option<StoreError>,
}
