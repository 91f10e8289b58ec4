//! Short words for the cases.

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;

use crate::kv::{Change, Kv, Revision};
use crate::request::{RangeRequest, Txn, TxnResponse};
use crate::store::Store;
use crate::watch::{WatchRequest, WatchStream};

pub(super) use std::sync::Arc;

/// What does not happen in this time does not happen: far above any machine's hiccup.
const SOON: Duration = Duration::from_secs(20);

pub(super) async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(SOON, future).await.expect("it happens soon")
}

pub(super) async fn txn(store: &Arc<dyn Store>, txn: Txn) -> TxnResponse {
    soon(store.txn(txn)).await.unwrap()
}

/// Writes and returns the revision.
pub(super) async fn put(store: &Arc<dyn Store>, key: &str, value: impl Into<Bytes>) -> Revision {
    txn(store, Txn::put(key, value)).await.revision
}

/// Deletes whatever is there.
pub(super) async fn delete(store: &Arc<dyn Store>, key: &str) -> Revision {
    txn(store, Txn::new().then(crate::Op::delete(key))).await.revision
}

pub(super) async fn get(store: &Arc<dyn Store>, key: &str) -> Option<Kv> {
    store.get(key, None).await.unwrap().kv
}

pub(super) async fn value(store: &Arc<dyn Store>, key: &str) -> Option<String> {
    get(store, key).await.map(|kv| text(&kv))
}

pub(super) async fn value_at(store: &Arc<dyn Store>, key: &str, at: Revision) -> Option<String> {
    store.get(key, Some(at)).await.unwrap().kv.map(|kv| text(&kv))
}

pub(super) fn text(kv: &Kv) -> String {
    String::from_utf8_lossy(&kv.value).into_owned()
}

pub(super) async fn keys(store: &Arc<dyn Store>, prefix: &str) -> Vec<String> {
    list(store, RangeRequest::prefix(prefix)).await.into_iter().map(|(key, _)| key).collect()
}

pub(super) async fn list(store: &Arc<dyn Store>, request: RangeRequest) -> Vec<(String, String)> {
    let kvs = store.range(request).await.unwrap().kvs;
    kvs.iter().map(|kv| (kv.key.to_string(), text(kv))).collect()
}

pub(super) async fn now(store: &Arc<dyn Store>) -> Revision {
    store.current_revision().await.unwrap()
}

pub(super) async fn watch(store: &Arc<dyn Store>, prefix: &str, from: Revision) -> WatchStream {
    store.watch(WatchRequest::prefix(prefix, from)).await.unwrap()
}

/// The next so many changes, over as many batches as it takes, and none beyond.
pub(super) async fn next(stream: &mut WatchStream, count: usize) -> Vec<Change> {
    let mut changes = Vec::new();
    while changes.len() < count {
        changes.extend(soon(stream.next()).await.unwrap().unwrap().changes);
    }
    assert_eq!(changes.len(), count, "more than was expected: {changes:?}");
    changes
}

/// A change in short: `put k=v @5` or `delete k @6`.
pub(super) fn brief(change: &Change) -> String {
    match &change.kv {
        Some(kv) => format!("put {}={} @{}", kv.key, text(kv), change.revision),
        None => format!("delete {} @{}", change.key(), change.revision),
    }
}
