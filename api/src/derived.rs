//! Values that are computed from stored objects (who may do what, which webhooks there are) and kept until one of
//! those objects changes.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use berth_store::cache::Snapshot;
use parking_lot::Mutex;

use crate::registry::Rows;

/// The kinds that a value is computed from: group and plural. Any served version will do, for a kind's versions
/// share their storage.
pub(crate) type Sources = &'static [(&'static str, &'static str)];

/// A value that follows stored objects. Reading it costs a few atomic loads while nothing has changed; the first
/// reader after a change computes it anew from what the caches hold.
pub(crate) struct Derived<T> {
    sources: Sources,
    compute: fn(&[Snapshot]) -> T,
    kept: ArcSwapOption<Kept<T>>,
    /// One reader computes, the others wait for it.
    computing: Mutex<()>,
}

struct Kept<T> {
    stamp: Stamp,
    value: Arc<T>,
}

/// What the caches' counters showed before the value was computed.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    generation: u64,
    changes: u64,
}

impl<T> std::fmt::Debug for Derived<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Derived({:?})", self.sources)
    }
}

impl<T> Derived<T> {
    /// `compute` gets one snapshot for each source, in order; a kind that is not served gives an empty one.
    pub(crate) fn new(sources: Sources, compute: fn(&[Snapshot]) -> T) -> Self {
        Self { sources, compute, kept: ArcSwapOption::empty(), computing: Mutex::new(()) }
    }

    /// The value for what the caches hold now.
    pub(crate) fn get(&self, rows: &Rows) -> Arc<T> {
        let stamp = self.stamp(rows);
        if let Some(kept) = &*self.kept.load()
            && kept.stamp == stamp
        {
            return Arc::clone(&kept.value);
        }
        let _one_at_a_time = self.computing.lock();
        // Read anew: another may have computed it, and the counters must be older than the snapshots.
        let stamp = self.stamp(rows);
        if let Some(kept) = &*self.kept.load()
            && kept.stamp == stamp
        {
            return Arc::clone(&kept.value);
        }
        let snapshots: Vec<Snapshot> = self
            .sources
            .iter()
            .map(|(group, plural)| {
                rows.any_version(group, plural).map(|row| row.storage.cache.snapshot()).unwrap_or_default()
            })
            .collect();
        let value = Arc::new((self.compute)(&snapshots));
        self.kept.store(Some(Arc::new(Kept { stamp, value: Arc::clone(&value) })));
        value
    }

    fn stamp(&self, rows: &Rows) -> Stamp {
        // Counters only grow, so their sum changes whenever one of them does. Which rows there are counts only where
        // a source is missing: a definition that comes must not compute everything anew.
        let mut stamp = Stamp { generation: 0, changes: 0 };
        for (group, plural) in self.sources {
            match rows.any_version(group, plural) {
                Some(row) => stamp.changes = stamp.changes.wrapping_add(row.storage.cache.changes()),
                None => stamp.generation = rows.generation,
            }
        }
        stamp
    }
}
