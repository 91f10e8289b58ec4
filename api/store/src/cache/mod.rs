//! The watch cache: one resource in memory, with its recent events.
//!
//! ```text
//! store watch -> feeder task -> entries (chunked, copy on write) -> snapshots, lists, gets
//!                           \-> ring of events -> watchers: cursors, woken by index
//! ```
//!
//! Every entry shares the store's bytes; the resource version is spliced in on the way out.
//! A watcher owns no queue: one that is too slow, or that outlives a relist, gets [`Gone`].
//! Nothing in here runs while nothing changes.

mod chunks;
mod entry;
mod event;
mod extract;
mod feeder;
mod filter;
mod ring;
mod slots;
mod snapshot;
mod state;
#[cfg(test)]
mod tests;
mod texts;
mod watcher;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
pub use entry::Entry;
pub use event::{Event, EventType, WatchItem};
pub use filter::{Filter, Predicate};
pub use snapshot::{Snapshot, SnapshotError};
pub use watcher::{Gone, Watcher};

use crate::error::StoreError;
use crate::kv::{Kv, Revision};
use crate::store::Store;
use extract::Extractor;
use feeder::Feeder;
use state::Shared;

#[derive(Clone, Debug)]
pub struct CacheConfig {
    /// Dotted paths (`spec.nodeName`) whose string, number or boolean is kept with each entry:
    /// what field selectors may ask for, and what watchers can be woken by.
    pub indexed_fields: Vec<String>,
    /// Events kept for watchers and old snapshots.
    pub ring_events_max: usize,
    /// Bytes that only the ring holds: replaced and deleted values.
    pub ring_bytes_max: usize,
}

impl Default for CacheConfig {
    fn default() -> Self {
        Self { indexed_fields: Vec::new(), ring_events_max: 16_384, ring_bytes_max: 8 << 20 }
    }
}

/// The cache of one resource. Dropping it ends its feeder, and its watchers with [`Gone`].
#[derive(Debug)]
pub struct Cache {
    shared: Arc<Shared>,
    feeder: tokio::task::AbortHandle,
}

/// The cache has not reached a revision in time (or nobody has: it is in the future).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too large resource version: {requested}, current: {current}")]
pub struct TooNew {
    pub requested: Revision,
    pub current: Revision,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheStats {
    pub entries_count: usize,
    pub events_count: usize,
    pub ring_bytes: usize,
    pub watchers_count: usize,
    /// How often all watchers had to be ended to list anew.
    pub relists_count: u64,
}

impl Cache {
    /// Lists `prefix` and follows it; when this returns the list is there.
    ///
    /// Keys are `prefix` + `[namespace/]name`. Must be called within a tokio runtime.
    pub async fn start(store: Arc<dyn Store>, prefix: &str, config: CacheConfig) -> Result<Arc<Self>, StoreError> {
        let extractor = Extractor::new(prefix, &config.indexed_fields);
        let shared = Arc::new(Shared::new(extractor, &config));
        let feeder = Feeder::start(store, prefix, Arc::clone(&shared)).await?;
        let feeder = tokio::spawn(feeder.run()).abort_handle();
        Ok(Arc::new(Self { shared, feeder }))
    }

    /// Every change up to this revision is in the cache.
    pub fn revision(&self) -> Revision {
        self.shared.state.read().revision()
    }

    /// Counts up with each change of an object: what is computed from a [`snapshot`](Self::snapshot) is fresh as long
    /// as this stays what it was before the snapshot was taken. Never takes a lock.
    pub fn changes(&self) -> u64 {
        self.shared.changes()
    }

    /// Waits until [`revision`](Self::revision) is at least this.
    pub async fn wait_until(&self, revision: Revision, timeout: Duration) -> Result<Revision, TooNew> {
        let current = self.revision();
        if current >= revision {
            return Ok(current);
        }
        let reached = tokio::time::timeout(timeout, self.shared.reach(revision)).await;
        reached.map_err(|_| TooNew { requested: revision, current: self.revision() })
    }

    /// One object; the namespace of a cluster-scoped one is empty.
    pub fn get(&self, namespace: &str, name: &str) -> Option<Entry> {
        self.shared.state.read().entries.get(namespace, name).cloned()
    }

    /// An entry of what was just read from, or written to, the store directly.
    pub fn entry_of(&self, kv: &Kv) -> Entry {
        self.shared.extractor.entry(kv)
    }

    /// The JSON, as a client sees it, of what was just read from the store directly.
    pub fn json_of(&self, kv: &Kv) -> Bytes {
        entry::early_json(kv).unwrap_or_else(|| self.entry_of(kv).json())
    }

    /// All objects as they are now. Costs nothing but a reference.
    pub fn snapshot(&self) -> Snapshot {
        self.shared.state.read().snapshot()
    }

    /// All objects as they were at a revision, while the ring reaches back to it; 0 is now.
    pub fn snapshot_at(&self, revision: Revision) -> Result<Snapshot, SnapshotError> {
        snapshot::at(&self.shared, revision)
    }

    /// Keeps a snapshot for a while, so that further pages of it are cheap.
    pub fn keep(&self, snapshot: &Snapshot) {
        self.shared.state.write().keep(snapshot.clone());
    }

    /// Events after `from` that the filter lets through; 0 is "after now".
    pub fn watch(&self, from: Revision, filter: Filter) -> Result<Watcher, Gone> {
        let mut state = self.shared.state.write();
        let from = if from == 0 { state.revision() } else { from };
        Watcher::start(&self.shared, &mut state, from, filter)
    }

    /// What is there now, and every event after it: nothing is missed, nothing comes twice.
    pub fn snapshot_and_watch(&self, filter: Filter) -> Result<(Snapshot, Watcher), Gone> {
        let mut state = self.shared.state.write();
        let snapshot = state.snapshot();
        let watcher = Watcher::start(&self.shared, &mut state, snapshot.revision(), filter)?;
        Ok((snapshot, watcher))
    }

    pub fn stats(&self) -> CacheStats {
        self.shared.state.read().stats()
    }
}

impl Drop for Cache {
    fn drop(&mut self) {
        self.feeder.abort();
        self.shared.close();
    }
}
