//! The way to the writer: a bounded queue that is taken whole, so that what waited together
//! is committed together.

use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use tokio::sync::{Semaphore, oneshot};

use crate::error::StoreError;
use crate::kv::LeaseId;
use crate::request::{Txn, TxnResponse};
use crate::store::Lease;

/// Commands that wait: more than one commit takes, so that the writer never idles under load,
/// few enough that the last waits well under a second.
const QUEUE_COMMANDS_MAX: usize = 2_048;

/// Commands in one commit: bounds the time of a commit and the memory of a batch.
const BATCH_COMMANDS_MAX: usize = 512;

/// Value bytes after which a batch is closed, for the same reason.
const BATCH_BYTES_MAX: usize = 8 << 20;

#[derive(Debug)]
pub(crate) enum Command {
    Txn(Txn),
    LeaseGrant(Duration),
    LeaseKeepAlive(LeaseId),
    LeaseRevoke(LeaseId),
}

#[derive(Debug)]
pub(crate) enum Reply {
    Txn(TxnResponse),
    Lease(Lease),
    Done,
}

#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) command: Command,
    pub(crate) reply: oneshot::Sender<Result<Reply, StoreError>>,
}

#[derive(Debug)]
pub(crate) struct Queue {
    waiting: Mutex<Waiting>,
    changed: Condvar,
    /// One permit for each place in the queue.
    places: Semaphore,
}

#[derive(Debug, Default)]
struct Waiting {
    requests: std::collections::VecDeque<Request>,
    is_closed: bool,
}

impl Default for Queue {
    fn default() -> Self {
        Self { waiting: Mutex::default(), changed: Condvar::new(), places: Semaphore::new(QUEUE_COMMANDS_MAX) }
    }
}

impl Queue {
    /// Waits for a place, then for the answer. A command that has its place is done even when
    /// nobody waits for the answer any more.
    pub(crate) async fn ask(&self, command: Command) -> Result<Reply, StoreError> {
        let place = self.places.acquire().await.map_err(|_| StoreError::Closed)?;
        let (reply, answer) = oneshot::channel();
        {
            let mut waiting = self.waiting.lock();
            if waiting.is_closed {
                return Err(StoreError::Closed);
            }
            waiting.requests.push_back(Request { command, reply });
        }
        // Given back by the writer when it takes the command.
        place.forget();
        self.changed.notify_one();
        answer.await.unwrap_or(Err(StoreError::Closed))
    }

    /// What waits, or an empty batch at the deadline; `None` when closed and empty.
    pub(crate) fn take(&self, deadline: Option<Instant>) -> Option<Vec<Request>> {
        let mut waiting = self.waiting.lock();
        while waiting.requests.is_empty() {
            if waiting.is_closed {
                return None;
            }
            match deadline {
                None => self.changed.wait(&mut waiting),
                Some(deadline) => {
                    if self.changed.wait_until(&mut waiting, deadline).timed_out() {
                        break;
                    }
                }
            }
        }
        let count = batch_count(&waiting.requests);
        let batch: Vec<Request> = waiting.requests.drain(..count).collect();
        drop(waiting);
        self.places.add_permits(batch.len());
        Some(batch)
    }

    /// Refuses new commands; those that wait are still done.
    pub(crate) fn close(&self) {
        self.waiting.lock().is_closed = true;
        self.changed.notify_all();
        self.places.close();
    }
}

fn batch_count(requests: &std::collections::VecDeque<Request>) -> usize {
    let mut bytes = 0;
    for (count, request) in requests.iter().enumerate() {
        if count == BATCH_COMMANDS_MAX || bytes > BATCH_BYTES_MAX {
            return count;
        }
        bytes += match &request.command {
            Command::Txn(txn) => txn.success.iter().map(op_bytes).sum(),
            Command::LeaseGrant(_) | Command::LeaseKeepAlive(_) | Command::LeaseRevoke(_) => 0,
        };
    }
    requests.len()
}

fn op_bytes(op: &crate::request::Op) -> usize {
    match op {
        crate::request::Op::Put { value, .. } => value.len(),
        _ => 0,
    }
}
