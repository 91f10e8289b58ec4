//! The task that keeps a cache up to date: list, then watch; list anew when the watch breaks.

use std::sync::Arc;
use std::time::Duration;

use super::state::Shared;
use crate::error::StoreError;
use crate::request::RangeRequest;
use crate::store::Store;
use crate::watch::{WatchRequest, WatchStream};

/// Pauses between attempts to list anew while the store cannot be read.
const RETRY_MIN: Duration = Duration::from_millis(50);
const RETRY_MAX: Duration = Duration::from_secs(5);

pub(super) struct Feeder {
    store: Arc<dyn Store>,
    prefix: String,
    shared: Arc<Shared>,
    stream: WatchStream,
}

impl Feeder {
    pub(super) async fn start(store: Arc<dyn Store>, prefix: &str, shared: Arc<Shared>) -> Result<Self, StoreError> {
        let stream = list(&*store, prefix, &shared).await?;
        Ok(Self { store, prefix: prefix.to_owned(), shared, stream })
    }

    pub(super) async fn run(mut self) {
        while let Some(batch) = self.stream.next().await {
            match batch {
                Ok(batch) => self.shared.apply(batch),
                Err(StoreError::Closed) => break,
                Err(error) => {
                    tracing::warn!(prefix = %self.prefix, error = %error, "watch cache lists anew");
                    match relist(&*self.store, &self.prefix, &self.shared).await {
                        Some(stream) => self.stream = stream,
                        None => break,
                    }
                }
            }
        }
        self.shared.close();
    }
}

/// `None` when the store is closed for good.
async fn relist(store: &dyn Store, prefix: &str, shared: &Shared) -> Option<WatchStream> {
    let mut pause = RETRY_MIN;
    loop {
        match list(store, prefix, shared).await {
            Ok(stream) => return Some(stream),
            Err(StoreError::Closed) => return None,
            Err(error) => {
                tracing::warn!(prefix, error = %error, "watch cache cannot list");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(RETRY_MAX);
            }
        }
    }
}

/// The list is in the cache when this returns, and the stream begins right after it.
async fn list(store: &dyn Store, prefix: &str, shared: &Shared) -> Result<WatchStream, StoreError> {
    let listed = store.range(RangeRequest::prefix(prefix)).await?;
    let stream = store.watch(WatchRequest::prefix(prefix, listed.revision + 1)).await?;
    shared.reset(listed.revision, &listed.kvs, stream.progress());
    Ok(stream)
}
