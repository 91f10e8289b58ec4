//! Watches as cursors over history: no queues, so a slow reader costs nothing, and finds
//! out that it was too slow when the history it still needs is gone.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use parking_lot::{Mutex, RwLock};

use super::Mvcc;
use crate::error::StoreError;
use crate::kv::{Change, KeyRange, Revision};
use crate::watch::{WatchBatch, WatchProgress, WatchRequest, WatchSource};

/// Changes in one batch, before it is cut at the next revision: bounds the time of the read lock.
const BATCH_CHANGES_MAX: usize = 1_024;

/// All running watches of a store.
#[derive(Debug, Default)]
pub(crate) struct Watchers {
    all: Vec<Arc<Watcher>>,
    is_closed: bool,
}

#[derive(Debug)]
struct Watcher {
    range: KeyRange,
    cursor: Mutex<Cursor>,
}

#[derive(Debug, Default)]
struct Cursor {
    /// Everything before has been delivered, or is not in the range.
    from: Revision,
    /// There is something to read at `from` or after.
    is_pending: bool,
    /// A batch is with the reader: what was handled before it is this.
    handled_before: Option<Revision>,
    /// Someone wants to hear when this revision is reached.
    wanted: Option<Revision>,
    is_closed: bool,
    waker: Option<Waker>,
}

impl Watchers {
    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    /// Tells the watches of a batch; those that it does not concern move past it.
    pub(crate) fn announce(&self, changes: &[Change], first: Revision, last: Revision) -> Vec<Waker> {
        let mut wakers = Vec::new();
        for watcher in &self.all {
            let mut cursor = watcher.cursor.lock();
            if cursor.is_pending || cursor.from > last {
                continue;
            }
            let from = cursor.from;
            let is_concerned =
                changes.iter().any(|change| change.revision >= from && watcher.range.contains(change.key()));
            if is_concerned {
                cursor.is_pending = true;
                cursor.from = from.max(first);
            } else {
                cursor.from = last + 1;
            }
            if is_concerned || cursor.wanted.is_some_and(|wanted| wanted <= last) {
                wakers.extend(cursor.waker.take());
            }
        }
        wakers
    }

    pub(crate) fn close(&mut self) -> Vec<Waker> {
        self.is_closed = true;
        let close = |watcher: Arc<Watcher>| {
            let mut cursor = watcher.cursor.lock();
            cursor.is_closed = true;
            cursor.waker.take()
        };
        self.all.drain(..).filter_map(close).collect()
    }
}

/// One running watch.
pub(crate) struct MvccWatch {
    mvcc: Arc<RwLock<Mvcc>>,
    watcher: Arc<Watcher>,
}

impl MvccWatch {
    pub(crate) fn start(mvcc: &Arc<RwLock<Mvcc>>, request: WatchRequest) -> Result<Self, StoreError> {
        let WatchRequest { range, from: requested } = request;
        let mut state = mvcc.write();
        if state.watchers.is_closed {
            return Err(StoreError::Closed);
        }
        let next = state.revision() + 1;
        let from = if requested == 0 { next } else { requested };
        if from <= state.compacted() {
            return Err(StoreError::Compacted { requested: from, compact_revision: state.compacted() });
        }
        let cursor = Mutex::new(Cursor { from, is_pending: from < next, ..Cursor::default() });
        let watcher = Arc::new(Watcher { range, cursor });
        state.watchers.all.push(Arc::clone(&watcher));
        Ok(Self { mvcc: Arc::clone(mvcc), watcher })
    }
}

impl WatchSource for MvccWatch {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<WatchBatch, StoreError>> {
        // In this order everywhere: state, then cursor.
        let state = self.mvcc.read();
        let mut cursor = self.watcher.cursor.lock();
        cursor.handled_before = None;
        if cursor.is_closed {
            return Poll::Ready(Err(StoreError::Closed));
        }
        if cursor.is_pending {
            return Poll::Ready(read_batch(&state, &self.watcher.range, &mut cursor));
        }
        let revision = cursor.from - 1;
        if cursor.wanted.is_some_and(|wanted| wanted <= revision) {
            cursor.wanted = None;
            cursor.handled_before = Some(revision);
            return Poll::Ready(Ok(WatchBatch { revision, changes: Vec::new() }));
        }
        cursor.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    fn progress(&self) -> Arc<dyn WatchProgress> {
        Arc::clone(&self.watcher) as Arc<dyn WatchProgress>
    }
}

fn read_batch(state: &Mvcc, range: &KeyRange, cursor: &mut Cursor) -> Result<WatchBatch, StoreError> {
    if cursor.from <= state.compacted() {
        let compact_revision = state.compacted();
        return Err(StoreError::Compacted { requested: cursor.from, compact_revision });
    }
    let mut batch = WatchBatch { revision: state.revision(), changes: Vec::new() };
    let mut is_cut = false;
    for change in state.changes_from(cursor.from).filter(|change| range.contains(change.key())) {
        let last = batch.changes.last().map_or(0, |last: &Change| last.revision);
        if batch.changes.len() >= BATCH_CHANGES_MAX && change.revision != last {
            batch.revision = last;
            is_cut = true;
            break;
        }
        batch.changes.push(change.clone());
    }
    cursor.handled_before = Some(cursor.from - 1);
    cursor.from = batch.revision + 1;
    cursor.is_pending = is_cut;
    cursor.wanted = cursor.wanted.filter(|&wanted| wanted > batch.revision);
    Ok(batch)
}

impl WatchProgress for Watcher {
    fn handled(&self) -> Revision {
        let cursor = self.cursor.lock();
        cursor.handled_before.unwrap_or(cursor.from - 1)
    }

    fn request(&self, revision: Revision) {
        let mut cursor = self.cursor.lock();
        cursor.wanted = Some(cursor.wanted.map_or(revision, |wanted| wanted.min(revision)));
        let is_there = revision < cursor.from;
        let waker = if is_there { cursor.waker.take() } else { None };
        drop(cursor);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Drop for MvccWatch {
    fn drop(&mut self) {
        self.mvcc.write().watchers.all.retain(|other| !Arc::ptr_eq(other, &self.watcher));
    }
}

impl fmt::Debug for MvccWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MvccWatch").field("watcher", &self.watcher).finish_non_exhaustive()
    }
}
