//! Clearing up after a definition that is deleted: its objects go first, then its finalizer, and with that itself.

use std::sync::Arc;
use std::time::Duration;

use berth_store::cache::Filter;
use berth_store::{StoreError, Txn};
use serde_json::Value;

use super::conditions::terminating_status;
use super::{FINALIZER_CLEANUP, GROUP, PLURAL};
use crate::inner::Inner;
use crate::registry::Resource;
use crate::write::encode::Encoded;
use crate::write::meta;

/// How long to wait before trying again what the store refused.
const RETRY: Duration = Duration::from_millis(500);

/// Deletes every object of a kind and waits until the last one has gone, then lets the definition go. Without a row
/// the kind was never served.
pub(super) fn begin(inner: &Arc<Inner>, row: Option<Arc<Resource>>, name: String) {
    let inner = Arc::clone(inner);
    tokio::spawn(async move {
        let stop = inner.stop.clone();
        let last = async {
            let (reason, message) = match &row {
                Some(row) => {
                    empty(&inner, row).await;
                    ("InstanceDeletionCompleted", "removed all instances")
                }
                None => ("NeverEstablished", "resource was never established"),
            };
            remove_finalizer(&inner, &name, reason, message).await;
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = last => {}
        }
    });
}

/// Deletes every object of a kind, and waits until the last one has gone.
async fn empty(inner: &Arc<Inner>, row: &Arc<Resource>) {
    loop {
        let Ok((snapshot, mut watcher)) = row.storage.cache.snapshot_and_watch(Filter::default()) else {
            tokio::time::sleep(RETRY).await;
            continue;
        };
        if snapshot.is_empty() {
            return;
        }
        for entry in snapshot.iter() {
            crate::api::delete_as_server(inner, row, entry.namespace(), entry.name()).await;
        }
        // Finalizers may hold objects: look again when something changes.
        let _ = watcher.next_batch().await;
    }
}

/// Takes the clean-up finalizer off a definition, which removes it unless others hold it.
async fn remove_finalizer(inner: &Arc<Inner>, name: &str, reason: &str, message: &str) {
    let key: Arc<str> = format!("{}{name}", crate::registry::resource::storage_prefix(GROUP, PLURAL)).into();
    loop {
        let kv = match inner.store.get(&key, None).await {
            Ok(found) => found.kv,
            Err(StoreError::Closed) => return,
            Err(_) => {
                tokio::time::sleep(RETRY).await;
                continue;
            }
        };
        let Some(kv) = kv else { return };
        let Ok(mut crd) = serde_json::from_slice::<Value>(&kv.value) else { return };
        if let Some(finalizers) = crd["metadata"]["finalizers"].as_array_mut() {
            finalizers.retain(|f| f != FINALIZER_CLEANUP);
        }
        let txn = if meta::finalizers(&crd).is_empty() {
            Txn::delete(Arc::clone(&key), kv.mod_revision)
        } else {
            crd["status"] = terminating_status(&crd, "False", reason, message);
            Txn::update(Arc::clone(&key), Encoded::new(&crd).stored(), kv.mod_revision)
        };
        match inner.store.txn(txn).await {
            Ok(done) if done.succeeded => return,
            Ok(_) => {}
            Err(StoreError::Closed) => return,
            Err(_) => tokio::time::sleep(RETRY).await,
        }
    }
}
