//! What a cache holds, and how a batch of changes is worked into it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::RwLock;
use tokio::sync::Notify;

use super::chunks::Chunks;
use super::entry::Entry;
use super::event::Event;
use super::extract::Extractor;
use super::ring::Ring;
use super::slots::Slots;
use super::snapshot::Snapshot;
use super::{CacheConfig, CacheStats};
use crate::kv::{Change, Kv, Revision};
use crate::watch::{WatchBatch, WatchProgress};

/// Snapshots kept for further pages, at most; older ones are made again from the ring.
const KEPT_MAX: usize = 4;

/// A kept snapshot holds on to old values, so not for ever. Kubernetes keeps 75 s.
const KEPT_AGE_MAX: Duration = Duration::from_secs(75);

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) extractor: Extractor,
    pub(super) state: RwLock<State>,
    /// A batch (maybe without events) has been worked in.
    applied: Notify,
    /// There are events for watchers without an indexed interest.
    pub(super) events: Arc<Notify>,
    /// Counts up with each batch that changed an object.
    changes: AtomicU64,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) entries: Chunks,
    pub(super) ring: Ring,
    pub(super) slots: Slots,
    /// Watchers of another epoch are [`Gone`](super::Gone): a relist lies between.
    pub(super) epoch: u64,
    pub(super) watchers_count: usize,
    applied: Revision,
    progress: Option<Arc<dyn WatchProgress>>,
    kept: VecDeque<(Instant, Snapshot)>,
    relists_count: u64,
}

impl Shared {
    pub(super) fn new(extractor: Extractor, config: &CacheConfig) -> Self {
        let state = State {
            entries: Chunks::default(),
            ring: Ring::new(0, config.ring_events_max, config.ring_bytes_max),
            slots: Slots::default(),
            epoch: 0,
            watchers_count: 0,
            applied: 0,
            progress: None,
            kept: VecDeque::new(),
            relists_count: 0,
        };
        Self {
            extractor,
            state: RwLock::new(state),
            applied: Notify::new(),
            events: Arc::default(),
            changes: AtomicU64::new(1),
        }
    }

    /// Replaces everything by a fresh list. Watchers cannot go on over this.
    pub(super) fn reset(&self, revision: Revision, kvs: &[Kv], progress: Arc<dyn WatchProgress>) {
        let entries = Chunks::from_entries(kvs.iter().map(|kv| self.extractor.entry(kv)).collect());
        let signals = {
            let mut state = self.state.write();
            if state.progress.is_some() {
                state.epoch += 1;
                state.relists_count += 1;
            }
            state.entries = entries;
            state.applied = state.applied.max(revision);
            state.progress = Some(progress);
            state.kept.clear();
            state.ring.clear(revision);
            state.slots.clear()
        };
        self.wake(signals, true);
    }

    /// Works in what the store's watch has delivered.
    pub(super) fn apply(&self, batch: WatchBatch) {
        let WatchBatch { revision, changes } = batch;
        // Parsed before the lock is taken.
        let parsed: Vec<(Change, Option<Entry>)> = changes
            .into_iter()
            .map(|change| {
                let entry = change.kv.as_ref().map(|kv| self.extractor.entry(kv));
                (change, entry)
            })
            .collect();
        let has_events = !parsed.is_empty();
        let fields = self.extractor.fields_count();
        let signals = {
            let mut state = self.state.write();
            let mut woken = Vec::new();
            for (change, entry) in parsed {
                if let Some(event) = state.apply(&change, entry, &self.extractor) {
                    let number = state.ring.push(Arc::clone(&event));
                    state.slots.push(number, &event, fields, &mut woken);
                }
            }
            while let Some((number, event)) = state.ring.evict() {
                state.slots.evict(number, &event, fields);
            }
            state.applied = revision;
            woken
        };
        self.wake(signals, has_events);
    }

    /// Ends all watchers.
    pub(super) fn close(&self) {
        let signals = {
            let mut state = self.state.write();
            state.epoch += 1;
            state.progress = None;
            state.slots.clear()
        };
        self.wake(signals, true);
    }

    /// Returns when the cache is at the revision.
    pub(super) async fn reach(&self, revision: Revision) -> Revision {
        loop {
            let applied = self.applied.notified();
            tokio::pin!(applied);
            applied.as_mut().enable();
            {
                let state = self.state.read();
                let current = state.revision();
                if current >= revision {
                    return current;
                }
                // Changes of other resources wake nobody here, so the watch is asked to tell.
                if let Some(progress) = &state.progress {
                    progress.request(revision);
                }
            }
            applied.await;
        }
    }

    pub(super) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    fn wake(&self, signals: Vec<Arc<Notify>>, has_events: bool) {
        if has_events {
            self.changes.fetch_add(1, Ordering::Release);
            self.events.notify_waiters();
        }
        signals.iter().for_each(|signal| signal.notify_waiters());
        self.applied.notify_waiters();
    }
}

impl State {
    /// Everything up to this revision is here: what was applied, or, when nothing is on its
    /// way, whatever the store has reached since.
    pub(super) fn revision(&self) -> Revision {
        let handled = self.progress.as_ref().map_or(0, |progress| progress.handled());
        self.applied.max(handled)
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        Snapshot { revision: self.revision(), entries: self.entries.clone() }
    }

    pub(super) fn keep(&mut self, snapshot: Snapshot) {
        let now = Instant::now();
        self.kept.retain(|(at, kept)| now.duration_since(*at) < KEPT_AGE_MAX && kept.revision != snapshot.revision);
        if self.kept.len() == KEPT_MAX {
            self.kept.pop_front();
        }
        self.kept.push_back((now, snapshot));
    }

    pub(super) fn kept(&self, revision: Revision) -> Option<Snapshot> {
        self.kept.iter().find(|(_, kept)| kept.revision == revision).map(|(_, kept)| kept.clone())
    }

    pub(super) fn stats(&self) -> CacheStats {
        CacheStats {
            entries_count: self.entries.len(),
            events_count: self.ring.len(),
            ring_bytes: self.ring.bytes(),
            watchers_count: self.watchers_count,
            relists_count: self.relists_count,
        }
    }

    fn apply(&mut self, change: &Change, entry: Option<Entry>, extractor: &Extractor) -> Option<Arc<Event>> {
        debug_assert!(self.ring.last_revision().is_none_or(|last| last <= change.revision), "events come in order");
        let event = match entry {
            Some(entry) => {
                let prev = self.entries.insert(entry.clone());
                Event::put(entry, prev)
            }
            None => {
                let kv = change.prev.as_ref()?;
                let parsed = extractor.entry(kv);
                // The one that is here shares its texts; it is the same state.
                let last = self.entries.remove(parsed.namespace(), parsed.name()).unwrap_or(parsed);
                Event::deleted(&last, change.revision)
            }
        };
        Some(Arc::new(event))
    }
}
