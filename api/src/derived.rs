//! Values that are computed from stored objects (who may do what, which webhooks there are) and kept until one of
//! those objects changes.

use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwapOption;
use berth_store::cache::Snapshot;
use parking_lot::Mutex;

use crate::registry::{Rows, Storage};

/// The kinds that a value is computed from: group and plural of kinds that ship with the binary.
pub(crate) type Sources = &'static [(&'static str, &'static str)];

/// A value that follows stored objects. Reading it costs a few atomic loads while nothing has changed; the first
/// reader after a change computes it anew from what the caches hold.
pub(crate) struct Derived<T> {
    sources: Sources,
    /// The storage of each source: looked up once, for a kind that ships with the binary keeps its own.
    storages: OnceLock<Vec<Arc<Storage>>>,
    compute: fn(&[Snapshot]) -> T,
    kept: ArcSwapOption<Kept<T>>,
    /// One reader computes, the others wait for it.
    computing: Mutex<()>,
}

struct Kept<T> {
    /// The sum of what the caches' counters showed before the value was computed. Counters only grow, so the sum
    /// changes whenever one of them does.
    stamp: u64,
    value: Arc<T>,
}

impl<T> std::fmt::Debug for Derived<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Derived({:?})", self.sources)
    }
}

impl<T> Derived<T> {
    /// `compute` gets one snapshot for each source, in order; a kind that is not served gives an empty one.
    pub(crate) fn new(sources: Sources, compute: fn(&[Snapshot]) -> T) -> Self {
        Self { sources, storages: OnceLock::new(), compute, kept: ArcSwapOption::empty(), computing: Mutex::new(()) }
    }

    /// The value for what the caches hold now.
    pub(crate) fn get(&self, rows: &Rows) -> Arc<T> {
        let storages = self.storages.get_or_init(|| {
            let storage = |(group, plural): &(&str, &str)| {
                let row = rows.any_version(group, plural);
                Arc::clone(
                    &row.expect("the kinds of sources ship with the binary, and rows come before requests").storage,
                )
            };
            self.sources.iter().map(storage).collect()
        });
        if let Some(value) = self.fresh(stamp(storages)) {
            return value;
        }
        let _one_at_a_time = self.computing.lock();
        // Read anew: another may have computed it, and the counters must be older than the snapshots.
        let stamp = stamp(storages);
        if let Some(value) = self.fresh(stamp) {
            return value;
        }
        let snapshots: Vec<Snapshot> = storages.iter().map(|storage| storage.cache.snapshot()).collect();
        let value = Arc::new((self.compute)(&snapshots));
        self.kept.store(Some(Arc::new(Kept { stamp, value: Arc::clone(&value) })));
        value
    }

    fn fresh(&self, stamp: u64) -> Option<Arc<T>> {
        self.kept.load().as_ref().filter(|kept| kept.stamp == stamp).map(|kept| Arc::clone(&kept.value))
    }
}

fn stamp(storages: &[Arc<Storage>]) -> u64 {
    storages.iter().fold(0, |sum, storage| sum.wrapping_add(storage.cache.changes()))
}
