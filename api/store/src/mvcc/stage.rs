//! A batch in the making: commands run against the state plus what the batch did so far.
//! Nothing of it is visible until its outcome is durable and applied.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use bytes::Bytes;

use super::{LeaseEdit, Mvcc, Page, bounds};
use crate::error::StoreError;
use crate::kv::{Change, Key, KeyRange, KeyValue, Kv, LeaseId, Revision};
use crate::request::{Op, OpResponse, RangeRequest, Txn, TxnResponse};
use crate::store::Lease;

pub(crate) struct Stage<'a> {
    base: &'a Mvcc,
    revision: Revision,
    overlay: BTreeMap<Key, Option<Kv>>,
    changes: Vec<Change>,
    lease_edits: Vec<LeaseEdit>,
    /// What the batch did to leases: `None` is ended.
    leases: HashMap<LeaseId, Option<Duration>>,
    last_lease_id: LeaseId,
}

/// What a batch comes to.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The first revision of the batch (when there are changes).
    pub(crate) first_revision: Revision,
    pub(crate) revision: Revision,
    /// Every change, for watches and history.
    pub(crate) changes: Vec<Change>,
    /// The last word on every key that was touched, for the disk.
    pub(crate) last: BTreeMap<Key, Option<Kv>>,
    pub(crate) lease_edits: Vec<LeaseEdit>,
    pub(crate) last_lease_id: LeaseId,
}

impl Outcome {
    pub(crate) fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.lease_edits.is_empty()
    }
}

impl<'a> Stage<'a> {
    pub(crate) fn new(base: &'a Mvcc, last_lease_id: LeaseId) -> Self {
        Self {
            base,
            revision: base.revision(),
            overlay: BTreeMap::new(),
            changes: Vec::new(),
            lease_edits: Vec::new(),
            leases: HashMap::new(),
            last_lease_id: last_lease_id.max(base.leases().last_id()),
        }
    }

    pub(crate) fn finish(self) -> Outcome {
        Outcome {
            first_revision: self.base.revision() + 1,
            revision: self.revision,
            changes: self.changes,
            last: self.overlay,
            lease_edits: self.lease_edits,
            last_lease_id: self.last_lease_id,
        }
    }

    pub(crate) fn txn(&mut self, txn: Txn) -> Result<TxnResponse, StoreError> {
        let Txn { compares, success, failure } = txn;
        let succeeded = compares.iter().all(|compare| compare.holds(self.get(&compare.key)));
        let ops = if succeeded { success } else { failure };
        // The only thing that can fail is checked before anything is done.
        for op in &ops {
            if let Op::Put { lease: Some(id), .. } = op {
                self.lease_ttl(*id)?;
            }
        }
        let revision = self.revision + 1;
        let changes_before = self.changes.len();
        let responses = ops.into_iter().map(|op| self.op(op, revision)).collect();
        if self.changes.len() > changes_before {
            self.revision = revision;
        }
        Ok(TxnResponse { revision: self.revision, succeeded, responses })
    }

    pub(crate) fn lease_grant(&mut self, ttl: Duration) -> Lease {
        self.last_lease_id += 1;
        let id = self.last_lease_id;
        self.leases.insert(id, Some(ttl));
        self.lease_edits.push(LeaseEdit::Grant { id, ttl });
        Lease { id, ttl }
    }

    pub(crate) fn lease_keep_alive(&mut self, id: LeaseId) -> Result<Lease, StoreError> {
        let ttl = self.lease_ttl(id)?;
        self.lease_edits.push(LeaseEdit::KeepAlive { id, ttl });
        Ok(Lease { id, ttl })
    }

    /// Deletes the lease's keys in one revision.
    pub(crate) fn lease_end(&mut self, id: LeaseId) -> Result<(), StoreError> {
        self.lease_ttl(id)?;
        let revision = self.revision + 1;
        let mut keys = self.base.leases().keys(id);
        keys.extend(self.overlay.keys().cloned());
        keys.sort();
        keys.dedup();
        for key in keys {
            if self.get(&key).is_some_and(|kv| kv.lease == Some(id)) {
                self.delete(&key, revision);
                self.revision = revision;
            }
        }
        self.leases.insert(id, None);
        self.lease_edits.push(LeaseEdit::End { id });
        Ok(())
    }

    fn op(&mut self, op: Op, revision: Revision) -> OpResponse {
        match op {
            Op::Put { key, value, lease } => self.put(key, &value, lease, revision),
            Op::Delete { key } => OpResponse::Delete { deleted: self.delete(&key, revision).into_iter().collect() },
            Op::DeleteRange { range } => {
                let keys: Vec<Key> = self.visible(&range).into_iter().map(|kv| Key::clone(&kv.key)).collect();
                OpResponse::Delete { deleted: keys.iter().filter_map(|key| self.delete(key, revision)).collect() }
            }
            Op::Get { key } => OpResponse::Get(self.get(&key).cloned()),
            Op::Range(request) => self.range(&request),
        }
    }

    fn put(&mut self, key: Key, value: &[u8], lease: Option<LeaseId>, revision: Revision) -> OpResponse {
        let prev = self.get(&key).cloned();
        let (key, create_revision, version) = match &prev {
            // The key of the version before is shared.
            Some(prev) => (Key::clone(&prev.key), prev.create_revision, prev.version + 1),
            None => (key, revision, 1),
        };
        // Copied to exactly its size: what was handed in may be a small part of a large buffer.
        let value = Bytes::from(Box::<[u8]>::from(value));
        let kv = Kv::new(KeyValue { key, value, create_revision, mod_revision: revision, version, lease });
        self.overlay.insert(Key::clone(&kv.key), Some(Kv::clone(&kv)));
        self.changes.push(Change { revision, kv: Some(Kv::clone(&kv)), prev: prev.clone() });
        OpResponse::Put { kv, prev }
    }

    fn delete(&mut self, key: &Key, revision: Revision) -> Option<Kv> {
        let prev = self.get(key).cloned()?;
        self.overlay.insert(Key::clone(&prev.key), None);
        self.changes.push(Change { revision, kv: None, prev: Some(Kv::clone(&prev)) });
        Some(prev)
    }

    fn get(&self, key: &str) -> Option<&Kv> {
        match self.overlay.get(key) {
            Some(staged) => staged.as_ref(),
            None => self.base.live(key),
        }
    }

    fn range(&self, request: &RangeRequest) -> OpResponse {
        let mut page = Page::new(request, self.revision);
        self.visible(&request.range).iter().for_each(|kv| page.push(kv));
        OpResponse::Range(page.response)
    }

    fn visible(&self, range: &KeyRange) -> Vec<Kv> {
        if range.is_empty() {
            return Vec::new();
        }
        let live = self.base.live_range(range).filter(|(key, _)| !self.overlay.contains_key(*key));
        let staged = self.overlay.range::<str, _>(bounds(range));
        let live = live.map(|(key, kv)| (key, Some(kv)));
        let staged = staged.map(|(key, kv)| (key, kv.as_ref()));
        super::merge_by_key(live, staged).filter_map(|(_, kv)| kv.cloned()).collect()
    }

    fn lease_ttl(&self, id: LeaseId) -> Result<Duration, StoreError> {
        let ttl = match self.leases.get(&id) {
            Some(staged) => *staged,
            None => self.base.leases().ttl(id),
        };
        ttl.ok_or(StoreError::LeaseNotFound { id })
    }
}
