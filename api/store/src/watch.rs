//! Watching a store: the request, the stream of batches, and how far it has come.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::Stream;

use crate::error::StoreError;
use crate::kv::{Change, KeyRange, Revision};

#[derive(Clone, Debug)]
pub struct WatchRequest {
    pub range: KeyRange,
    /// The first revision that is wanted; 0 is "what comes after now".
    pub from: Revision,
}

impl WatchRequest {
    pub fn prefix(prefix: &str, from: Revision) -> Self {
        Self { range: KeyRange::prefix(prefix), from }
    }
}

/// Changes in order. All changes of one revision are in one batch.
#[derive(Clone, Debug)]
pub struct WatchBatch {
    /// Everything of this watch up to and with this revision has now been delivered.
    pub revision: Revision,
    /// May be empty: progress only.
    pub changes: Vec<Change>,
}

/// What an engine implements behind a [`WatchStream`].
pub trait WatchSource: Send {
    /// The next batch. An error is the end: [`StoreError::Compacted`] when the reader was too
    /// slow (the history it has not read is gone), [`StoreError::Closed`] when the store ends.
    /// Asking for the next batch says that the one before has been dealt with.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<WatchBatch, StoreError>>;

    fn progress(&self) -> Arc<dyn WatchProgress>;
}

/// How far a watch has come, for others than its reader.
pub trait WatchProgress: fmt::Debug + Send + Sync {
    /// Everything up to this revision has been delivered *and dealt with*.
    fn handled(&self) -> Revision;

    /// Asks for a batch (an empty one if need be) as soon as `revision` is reached.
    fn request(&self, revision: Revision);
}

/// A running watch; dropping it ends it.
pub struct WatchStream {
    source: Box<dyn WatchSource>,
    is_done: bool,
}

impl WatchStream {
    pub fn new(source: impl WatchSource + 'static) -> Self {
        Self { source: Box::new(source), is_done: false }
    }

    /// The next batch; `None` after an error.
    pub async fn next(&mut self) -> Option<Result<WatchBatch, StoreError>> {
        poll_fn(|cx| self.poll(cx)).await
    }

    pub fn progress(&self) -> Arc<dyn WatchProgress> {
        self.source.progress()
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<WatchBatch, StoreError>>> {
        if self.is_done {
            return Poll::Ready(None);
        }
        let next = std::task::ready!(self.source.poll_next(cx));
        self.is_done = next.is_err();
        Poll::Ready(Some(next))
    }
}

impl Stream for WatchStream {
    type Item = Result<WatchBatch, StoreError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll(cx)
    }
}

impl fmt::Debug for WatchStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WatchStream").field("progress", &self.source.progress()).finish()
    }
}
