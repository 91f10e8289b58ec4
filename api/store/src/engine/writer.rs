//! The writer thread: the only one who changes the state.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::oneshot;

use super::queue::{Command, Reply, Request};
use super::{Durable, Persistence, Shared};
use crate::error::StoreError;
use crate::kv::{Key, LeaseId};
use crate::mvcc::{LeaseEdit, Mvcc, Outcome, Stage};

/// Leases that end in one batch; the rest follow in the next one.
const EXPIRE_CHUNK: usize = 64;

/// Expiry is tried again so soon after a failed commit, without a client's write.
const EXPIRE_RETRY: std::time::Duration = std::time::Duration::from_secs(1);

pub(super) struct Writer<P> {
    shared: Arc<Shared>,
    persistence: P,
    last_lease_id: LeaseId,
    /// Keys of failed commits: the disk may hold what nobody was told, so they are written
    /// again, as they are, with the next commit.
    doubtful_keys: BTreeSet<Key>,
    doubtful_leases: BTreeSet<LeaseId>,
    /// Do not expire before: set by a failed commit.
    expire_not_before: Option<Instant>,
}

type Answer = (oneshot::Sender<Result<Reply, StoreError>>, Result<Reply, StoreError>);

impl<P: Persistence> Writer<P> {
    pub(super) fn new(shared: Arc<Shared>, persistence: P) -> Self {
        Self {
            shared,
            persistence,
            last_lease_id: 0,
            doubtful_keys: BTreeSet::new(),
            doubtful_leases: BTreeSet::new(),
            expire_not_before: None,
        }
    }

    pub(super) fn run(mut self) {
        while let Some(requests) = self.shared.queue.take(self.next_expiry()) {
            self.commit(requests);
        }
        let wakers = self.shared.mvcc.write().watchers.close();
        wakers.into_iter().for_each(std::task::Waker::wake);
    }

    fn next_expiry(&self) -> Option<Instant> {
        let deadline = self.shared.mvcc.read().leases().next_deadline()?;
        Some(self.expire_not_before.map_or(deadline, |not_before| deadline.max(not_before)))
    }

    fn commit(&mut self, requests: Vec<Request>) {
        let now = Instant::now();
        let (outcome, answers) = {
            let state = self.shared.mvcc.read();
            let mut stage = Stage::new(&state, self.last_lease_id);
            if self.expire_not_before.is_none_or(|not_before| now >= not_before) {
                for id in state.leases().expired(now, EXPIRE_CHUNK) {
                    // It is there: the list came from the same state.
                    let _ = stage.lease_end(id);
                }
            }
            let answers: Vec<Answer> = requests.into_iter().map(|request| run(&mut stage, request)).collect();
            (stage.finish(), answers)
        };
        self.last_lease_id = outcome.last_lease_id;
        match self.persist(&outcome) {
            Ok(()) => {
                let wakers = self.shared.mvcc.write().apply(outcome, now);
                wakers.into_iter().for_each(std::task::Waker::wake);
                for (reply, answer) in answers {
                    // A caller that went away does not want its answer.
                    let _ = reply.send(answer);
                }
            }
            Err(error) => {
                self.doubt(&outcome, now);
                for (reply, _) in answers {
                    // Also those that only read: they may have seen what did not happen.
                    let _ = reply.send(Err(error.clone()));
                }
            }
        }
    }

    fn persist(&mut self, outcome: &Outcome) -> Result<(), StoreError> {
        if outcome.is_empty() {
            return Ok(());
        }
        let result = {
            let state = self.shared.mvcc.read();
            let mut keys: Vec<_> = outcome.last.iter().map(|(key, kv)| (key, kv.as_ref())).collect();
            let mut leases = doubtful_lease_edits(&state, &self.doubtful_leases);
            leases.extend(outcome.lease_edits.iter().cloned());
            let doubtful = self.doubtful_keys.iter().filter(|key| !outcome.last.contains_key(*key));
            keys.extend(doubtful.map(|key| (key, state.live(key))));
            self.persistence.commit(&Durable { revision: outcome.revision, keys: &keys, leases: &leases })
        };
        let mut health = self.shared.health.lock();
        if health.write_error.is_some() != result.is_err() {
            match &result {
                Ok(()) => tracing::info!("the store accepts writes again"),
                Err(error) => tracing::error!(error = %error, "the store refuses writes"),
            }
        }
        health.write_error = result.as_ref().err().cloned();
        health.disk_bytes = self.persistence.disk_bytes();
        if result.is_ok() {
            self.doubtful_keys.clear();
            self.doubtful_leases.clear();
            self.expire_not_before = None;
        }
        result
    }

    fn doubt(&mut self, outcome: &Outcome, now: Instant) {
        self.doubtful_keys.extend(outcome.last.keys().cloned());
        self.doubtful_leases.extend(outcome.lease_edits.iter().map(lease_id));
        self.expire_not_before = Some(now + EXPIRE_RETRY);
    }
}

fn run(stage: &mut Stage<'_>, request: Request) -> Answer {
    let Request { command, reply } = request;
    let answer = match command {
        Command::Txn(txn) => stage.txn(txn).map(Reply::Txn),
        Command::LeaseGrant(ttl) => Ok(Reply::Lease(stage.lease_grant(ttl))),
        Command::LeaseKeepAlive(id) => stage.lease_keep_alive(id).map(Reply::Lease),
        Command::LeaseRevoke(id) => stage.lease_end(id).map(|()| Reply::Done),
    };
    (reply, answer)
}

fn lease_id(edit: &LeaseEdit) -> LeaseId {
    match edit {
        LeaseEdit::Grant { id, .. } | LeaseEdit::KeepAlive { id, .. } | LeaseEdit::End { id } => *id,
    }
}

fn doubtful_lease_edits(state: &Mvcc, doubtful: &BTreeSet<LeaseId>) -> Vec<LeaseEdit> {
    let edit = |&id| match state.leases().ttl(id) {
        Some(ttl) => LeaseEdit::KeepAlive { id, ttl },
        None => LeaseEdit::End { id },
    };
    doubtful.iter().map(edit).collect()
}
