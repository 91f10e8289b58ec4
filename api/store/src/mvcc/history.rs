//! The changes of the recent past: what watches replay and what reads at a revision undo.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use crate::kv::{Change, Key, KeyRange, Kv, Revision};

/// How much of the past is kept. The first bound that is met wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistoryLimits {
    /// Older changes are forgotten at the next write. etcd under Kubernetes: 5 minutes.
    pub age_max: Duration,
    /// Changes kept.
    pub changes_max: usize,
    /// Bytes of values that only history holds.
    pub bytes_max: usize,
}

impl Default for HistoryLimits {
    fn default() -> Self {
        Self { age_max: Duration::from_secs(300), changes_max: 100_000, bytes_max: 16 << 20 }
    }
}

/// Changes forgotten in one go by [`History::trim`], so that no single write pays for all.
const TRIM_CHUNK: usize = 5_000;

/// How exactly the age of a change is known.
const MARK_EVERY: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) struct History {
    compacted: Revision,
    limits: HistoryLimits,
    records: VecDeque<Record>,
    /// Values that were replaced: history is the last to hold them.
    superseded_bytes: usize,
    /// The last change of keys that are gone but in history.
    tombstones: BTreeMap<Key, Revision>,
    /// "At this time the store was at this revision", about one a second.
    marks: VecDeque<(Instant, Revision)>,
}

#[derive(Debug)]
struct Record {
    change: Change,
    /// The change of the same key before this one; 0 when it is not in history.
    before: Revision,
}

impl History {
    pub(crate) fn new(compacted: Revision, limits: HistoryLimits) -> Self {
        Self {
            compacted,
            limits,
            records: VecDeque::new(),
            superseded_bytes: 0,
            tombstones: BTreeMap::new(),
            marks: VecDeque::new(),
        }
    }

    pub(crate) fn compacted(&self) -> Revision {
        self.compacted
    }

    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }

    pub(crate) fn changes_from(&self, from: Revision) -> impl Iterator<Item = &Change> {
        self.records.range(self.index_of(from)..).map(|record| &record.change)
    }

    /// What `key`, now `live`, was at a revision that is not compacted.
    pub(crate) fn at(&self, key: &str, live: Option<&Kv>, at: Revision) -> Option<Kv> {
        let last = match live {
            Some(kv) => kv.mod_revision,
            None => *self.tombstones.get(key)?,
        };
        if last <= at {
            return live.cloned();
        }
        let mut revision = last;
        loop {
            let record = self.find(revision, key)?;
            if record.before <= at {
                return record.change.prev.clone();
            }
            revision = record.before;
        }
    }

    pub(crate) fn deleted_in<'a>(&'a self, range: &'a KeyRange) -> impl Iterator<Item = &'a Key> + use<'a> {
        let bounds = (!range.is_empty()).then(|| super::bounds(range));
        bounds.into_iter().flat_map(|bounds| self.tombstones.range::<str, _>(bounds)).map(|(key, _)| key)
    }

    pub(crate) fn push(&mut self, changes: Vec<Change>, now: Instant) {
        for change in changes {
            let before = match &change.prev {
                Some(prev) => prev.mod_revision,
                None => self.tombstones.get(change.key()).copied().unwrap_or(0),
            };
            if change.kv.is_some() {
                if before != 0 {
                    self.tombstones.remove(change.key());
                }
            } else {
                self.tombstones.insert(Key::clone(change.key()), change.revision);
            }
            self.superseded_bytes += superseded_bytes(&change);
            if self.marks.back().is_none_or(|&(at, _)| now.duration_since(at) >= MARK_EVERY) {
                self.marks.push_back((now, change.revision));
            }
            self.records.push_back(Record { change, before });
        }
    }

    /// Forgets what is beyond the limits, at most a chunk at a time.
    pub(crate) fn trim(&mut self, now: Instant) {
        let mut target = self.compacted;
        while let Some(&(at, revision)) = self.marks.front() {
            if now.duration_since(at) <= self.limits.age_max {
                break;
            }
            target = revision;
            self.marks.pop_front();
        }
        let mut budget = TRIM_CHUNK;
        while let Some(front) = self.records.front() {
            let revision = front.change.revision;
            let is_over = self.records.len() > self.limits.changes_max || self.superseded_bytes > self.limits.bytes_max;
            if budget == 0 || (revision > target && !is_over) {
                break;
            }
            budget -= self.forget(revision).min(budget);
        }
        // Not reached in this chunk: come back to it at the next write.
        if target > self.compacted {
            self.marks.push_front((now.checked_sub(self.limits.age_max.saturating_mul(2)).unwrap_or(now), target));
        }
    }

    /// Everything up to and with `revision` is forgotten.
    pub(crate) fn compact(&mut self, revision: Revision) {
        while let Some(front) = self.records.front() {
            let front = front.change.revision;
            if front > revision {
                break;
            }
            self.forget(front);
        }
        self.compacted = self.compacted.max(revision);
    }

    /// Drops the oldest revision, which is `revision`, whole: half of it would be a lie.
    fn forget(&mut self, revision: Revision) -> usize {
        let mut count = 0;
        while let Some(record) = self.records.pop_front_if(|record| record.change.revision == revision) {
            count += 1;
            self.superseded_bytes -= superseded_bytes(&record.change);
            if record.change.is_delete() && self.tombstones.get(record.change.key()) == Some(&revision) {
                self.tombstones.remove(record.change.key());
            }
        }
        self.compacted = revision;
        count
    }

    fn find(&self, revision: Revision, key: &str) -> Option<&Record> {
        let from = self.index_of(revision);
        self.records
            .range(from..)
            .take_while(|record| record.change.revision == revision)
            .find(|record| &**record.change.key() == key)
    }

    fn index_of(&self, revision: Revision) -> usize {
        self.records.partition_point(|record| record.change.revision < revision)
    }
}

fn superseded_bytes(change: &Change) -> usize {
    change.prev.as_ref().map_or(0, |prev| prev.value.len())
}
