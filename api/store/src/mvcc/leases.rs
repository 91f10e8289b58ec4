//! Leases: which keys end with them, and when.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::{Duration, Instant};

use super::LoadedLease;
use crate::kv::{Key, KeyValue, LeaseId};

/// A change of the set of leases, made by the writer together with changes of keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LeaseEdit {
    Grant { id: LeaseId, ttl: Duration },
    KeepAlive { id: LeaseId, ttl: Duration },
    End { id: LeaseId },
}

#[derive(Debug, Default)]
pub(crate) struct Leases {
    /// The highest id that was ever given out.
    last_id: LeaseId,
    by_id: BTreeMap<LeaseId, LeaseState>,
    /// Deadlines in order: the writer sleeps until the first.
    by_deadline: BTreeSet<(Instant, LeaseId)>,
    /// Keys of leases that are not (or no longer) known are not kept: they live on, as in etcd.
    keys: HashMap<LeaseId, HashSet<Key>>,
}

#[derive(Debug)]
struct LeaseState {
    ttl: Duration,
    deadline: Instant,
}

impl Leases {
    pub(crate) fn new(loaded: Vec<LoadedLease>, last_id: LeaseId, now: Instant) -> Self {
        let mut leases = Self { last_id, ..Self::default() };
        for LoadedLease { id, ttl, left } in loaded {
            leases.set(id, ttl, now + left);
        }
        leases
    }

    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(crate) fn ttl(&self, id: LeaseId) -> Option<Duration> {
        self.by_id.get(&id).map(|lease| lease.ttl)
    }

    /// Ids go up and are not used again.
    pub(crate) fn last_id(&self) -> LeaseId {
        self.last_id
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.by_deadline.first().map(|&(deadline, _)| deadline)
    }

    pub(crate) fn expired(&self, now: Instant, max: usize) -> Vec<LeaseId> {
        self.by_deadline.iter().take_while(|&&(deadline, _)| deadline <= now).take(max).map(|&(_, id)| id).collect()
    }

    pub(crate) fn keys(&self, id: LeaseId) -> Vec<Key> {
        self.keys.get(&id).into_iter().flatten().cloned().collect()
    }

    pub(crate) fn attach(&mut self, kv: &KeyValue) {
        let Some(id) = kv.lease else { return };
        if self.by_id.contains_key(&id) {
            self.keys.entry(id).or_default().insert(Key::clone(&kv.key));
        }
    }

    pub(crate) fn detach(&mut self, kv: &KeyValue) {
        let Some(keys) = kv.lease.and_then(|id| self.keys.get_mut(&id)) else { return };
        keys.remove(&kv.key);
    }

    pub(crate) fn edit(&mut self, edit: LeaseEdit, now: Instant) {
        match edit {
            LeaseEdit::Grant { id, ttl } | LeaseEdit::KeepAlive { id, ttl } => self.set(id, ttl, now + ttl),
            LeaseEdit::End { id } => {
                self.keys.remove(&id);
                if let Some(lease) = self.by_id.remove(&id) {
                    self.by_deadline.remove(&(lease.deadline, id));
                }
            }
        }
    }

    fn set(&mut self, id: LeaseId, ttl: Duration, deadline: Instant) {
        self.last_id = self.last_id.max(id);
        if let Some(before) = self.by_id.insert(id, LeaseState { ttl, deadline }) {
            self.by_deadline.remove(&(before.deadline, id));
        }
        self.by_deadline.insert((deadline, id));
    }
}
