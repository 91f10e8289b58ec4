//! The one core of all engines: live keys, bounded history, leases and watches in memory.
//!
//! The writer thread [`stage`]s a batch of commands against this state, hands the outcome to
//! its persistence, and applies it here only when it is durable. Readers hold the read lock
//! for the time of one lookup and never touch a disk.

mod history;
mod leases;
mod stage;
mod watchers;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

pub use history::HistoryLimits;
pub(crate) use leases::LeaseEdit;
pub(crate) use stage::{Outcome, Stage};
pub(crate) use watchers::{MvccWatch, Watchers};

use crate::error::StoreError;
use crate::kv::{Change, Key, KeyRange, Kv, LeaseId, Revision};
use crate::request::{RangeRequest, RangeResponse};
use history::History;
use leases::Leases;

/// A new store begins here, as etcd does, so that 0 stays "never".
pub(crate) const FIRST_REVISION: Revision = 1;

#[derive(Debug)]
pub(crate) struct Mvcc {
    revision: Revision,
    live: BTreeMap<Key, Kv>,
    history: History,
    leases: Leases,
    pub(crate) watchers: Watchers,
    value_bytes: u64,
}

/// What a persistence found on opening.
#[derive(Debug, Default)]
pub(crate) struct Loaded {
    /// 0 for a new store.
    pub(crate) revision: Revision,
    pub(crate) kvs: Vec<Kv>,
    pub(crate) leases: Vec<LoadedLease>,
    pub(crate) last_lease_id: LeaseId,
}

#[derive(Debug)]
pub(crate) struct LoadedLease {
    pub(crate) id: LeaseId,
    pub(crate) ttl: Duration,
    /// What is left of it.
    pub(crate) left: Duration,
}

impl Mvcc {
    /// History is not kept over a restart: everything up to the loaded revision is compacted.
    pub(crate) fn new(loaded: Loaded, limits: HistoryLimits, now: Instant) -> Self {
        let Loaded { revision, kvs, leases, last_lease_id } = loaded;
        let revision = revision.max(FIRST_REVISION);
        let value_bytes = kvs.iter().map(|kv| kv.value.len() as u64).sum();
        let mut leases = Leases::new(leases, last_lease_id, now);
        kvs.iter().for_each(|kv| leases.attach(kv));
        Self {
            revision,
            live: kvs.into_iter().map(|kv| (Key::clone(&kv.key), kv)).collect(),
            history: History::new(revision, limits),
            leases,
            watchers: Watchers::default(),
            value_bytes,
        }
    }

    pub(crate) fn revision(&self) -> Revision {
        self.revision
    }

    /// The oldest revision that can be read.
    pub(crate) fn compacted(&self) -> Revision {
        self.history.compacted()
    }

    pub(crate) fn keys_count(&self) -> usize {
        self.live.len()
    }

    pub(crate) fn history_count(&self) -> usize {
        self.history.len()
    }

    pub(crate) fn leases(&self) -> &Leases {
        &self.leases
    }

    pub(crate) fn value_bytes(&self) -> u64 {
        self.value_bytes
    }

    pub(crate) fn live(&self, key: &str) -> Option<&Kv> {
        self.live.get(key)
    }

    pub(crate) fn live_range<'a>(&'a self, range: &'a KeyRange) -> impl Iterator<Item = (&'a Key, &'a Kv)> + use<'a> {
        let bounds = (!range.is_empty()).then(|| bounds(range));
        bounds.into_iter().flat_map(|bounds| self.live.range::<str, _>(bounds))
    }

    /// Changes from a revision on; the caller has checked that they are still there.
    pub(crate) fn changes_from(&self, from: Revision) -> impl Iterator<Item = &Change> {
        self.history.changes_from(from)
    }

    pub(crate) fn get(&self, key: &str, at: Option<Revision>) -> Result<Option<Kv>, StoreError> {
        let live = self.live.get(key);
        let Some(at) = self.check_readable(at)? else { return Ok(live.cloned()) };
        Ok(self.history.at(key, live, at))
    }

    pub(crate) fn range(&self, request: &RangeRequest) -> Result<RangeResponse, StoreError> {
        let at = self.check_readable(request.at)?;
        let mut page = Page::new(request, self.revision);
        match at {
            None => self.live_range(&request.range).for_each(|(_, kv)| page.push(kv)),
            Some(at) => {
                // Keys that were deleted since are no longer among the live ones.
                let deleted = self.history.deleted_in(&request.range).map(|key| (key, None));
                let live = self.live_range(&request.range).map(|(key, kv)| (key, Some(kv)));
                for (key, kv) in merge_by_key(live, deleted) {
                    if let Some(kv) = self.history.at(key, kv, at) {
                        page.push(&kv);
                    }
                }
            }
        }
        Ok(page.response)
    }

    /// `None` when the present is as good as `at`.
    fn check_readable(&self, at: Option<Revision>) -> Result<Option<Revision>, StoreError> {
        let Some(requested) = at.filter(|&at| at != 0) else { return Ok(None) };
        if requested > self.revision {
            return Err(StoreError::FutureRevision { requested, current: self.revision });
        }
        if requested < self.compacted() {
            return Err(StoreError::Compacted { requested, compact_revision: self.compacted() });
        }
        Ok((requested < self.revision).then_some(requested))
    }

    /// Makes a durable outcome visible. The wakers must be called after the lock is gone.
    pub(crate) fn apply(&mut self, outcome: Outcome, now: Instant) -> Vec<std::task::Waker> {
        let Outcome { first_revision, revision, changes, lease_edits, .. } = outcome;
        // Grants before the keys that use them, ends after the deletions they cause.
        let (grants, rest): (Vec<_>, Vec<_>) =
            lease_edits.into_iter().partition(|edit| matches!(edit, LeaseEdit::Grant { .. }));
        grants.into_iter().for_each(|edit| self.leases.edit(edit, now));
        for change in &changes {
            self.apply_change(change);
        }
        rest.into_iter().for_each(|edit| self.leases.edit(edit, now));
        if revision == self.revision {
            return Vec::new();
        }
        self.revision = revision;
        let wakers = self.watchers.announce(&changes, first_revision, revision);
        self.history.push(changes, now);
        self.history.trim(now);
        wakers
    }

    fn apply_change(&mut self, change: &Change) {
        if let Some(prev) = &change.prev {
            self.leases.detach(prev);
            self.value_bytes -= prev.value.len() as u64;
        }
        match &change.kv {
            Some(kv) => {
                self.leases.attach(kv);
                self.value_bytes += kv.value.len() as u64;
                self.live.insert(Key::clone(&kv.key), Kv::clone(kv));
            }
            None => {
                self.live.remove(change.key());
            }
        }
    }

    pub(crate) fn compact(&mut self, requested: Revision) -> Result<(), StoreError> {
        if requested > self.revision {
            return Err(StoreError::FutureRevision { requested, current: self.revision });
        }
        if requested < self.compacted() {
            return Err(StoreError::Compacted { requested, compact_revision: self.compacted() });
        }
        self.history.compact(requested);
        Ok(())
    }
}

fn bounds(range: &KeyRange) -> (std::ops::Bound<&str>, std::ops::Bound<&str>) {
    use std::ops::Bound::{Excluded, Included, Unbounded};
    (Included(range.start.as_str()), range.end.as_deref().map_or(Unbounded, Excluded))
}

/// Two ordered, disjoint sequences as one.
fn merge_by_key<'a, V>(
    left: impl Iterator<Item = (&'a Key, V)>,
    right: impl Iterator<Item = (&'a Key, V)>,
) -> impl Iterator<Item = (&'a Key, V)> {
    let (mut left, mut right) = (left.peekable(), right.peekable());
    std::iter::from_fn(move || match (left.peek(), right.peek()) {
        (Some((l, _)), Some((r, _))) if r < l => right.next(),
        (Some(_), _) => left.next(),
        (None, _) => right.next(),
    })
}

/// Fills a range answer up to its limit and counts the rest.
struct Page {
    response: RangeResponse,
    limit: usize,
    count_only: bool,
}

impl Page {
    fn new(request: &RangeRequest, revision: Revision) -> Self {
        let limit = if request.limit == 0 { usize::MAX } else { request.limit };
        let response = RangeResponse { revision, ..RangeResponse::default() };
        Self { response, limit, count_only: request.count_only }
    }

    fn push(&mut self, kv: &Kv) {
        self.response.count += 1;
        if self.count_only {
            return;
        }
        if self.response.kvs.len() < self.limit {
            self.response.kvs.push(Kv::clone(kv));
        } else {
            self.response.more = true;
        }
    }
}
