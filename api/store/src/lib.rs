//! Where the truth lives: a revisioned key-value store, and the watch cache over it.
//!
//! - [`Store`] is the contract (etcd's semantics: one global revision, linearizable
//!   transactions, reads at a revision, watches, leases, compaction).
//! - [`MemoryStore`] and [`EmbeddedStore`] are two persistences under one MVCC core.
//! - [`cache`] keeps one resource in memory, with its recent events, for lists and watches.
//! - [`conformance`] is the one suite that every implementation passes.
//!
//! Nothing in here knows what an API object is beyond "JSON with a `metadata` object".

pub mod cache;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
mod engine;
mod error;
mod kv;
mod mvcc;
mod request;
mod store;
mod ttl;
mod watch;

pub use engine::{EmbeddedConfig, EmbeddedStore, HistoryLimits, MemoryStore};
pub use error::StoreError;
pub use kv::{Change, Key, KeyRange, KeyValue, Kv, LeaseId, Revision};
pub use request::{
    Compare, CompareOp, CompareTarget, GetResponse, KEY_BYTES_MAX, Op, OpResponse, RangeRequest, RangeResponse,
    TXN_BYTES_MAX, TXN_OPS_MAX, Txn, TxnResponse,
};
pub use store::{Lease, Store, StoreStatus};
pub use ttl::TtlLeases;
pub use watch::{WatchBatch, WatchProgress, WatchRequest, WatchSource, WatchStream};
