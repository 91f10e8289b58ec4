//! Follows policies as they are written, and tells in their status what the check of types found.

use std::sync::Arc;
use std::time::Duration;

use berth_store::Txn;
use berth_store::cache::{Entry, EventType, Filter};
use serde_json::{Value, json};

use super::typecheck::warnings;
use crate::inner::Inner;
use crate::registry::Storage;
use crate::write::encode::Encoded;

const GROUP: &str = "admissionregistration.k8s.io";
const PLURAL: &str = "validatingadmissionpolicies";
/// How long to wait before trying again what the store refused.
const RETRY: Duration = Duration::from_millis(500);
/// How often a status is written anew when others write the policy at the same time: they will be heard of again.
const ATTEMPTS_MAX: usize = 3;

/// Runs until the server stops.
pub(crate) async fn follow(inner: Arc<Inner>) {
    let rows = inner.registry.snapshot();
    let Some(row) = rows.any_version(GROUP, PLURAL) else { return };
    let storage = Arc::clone(&row.storage);
    drop(rows);
    let stop = inner.stop.clone();
    while !stop.is_cancelled() {
        let Ok((snapshot, mut watcher)) = storage.cache.snapshot_and_watch(Filter::default()) else {
            tokio::time::sleep(RETRY).await;
            continue;
        };
        for entry in snapshot.iter() {
            settle(&inner, &storage, entry).await;
        }
        loop {
            let batch = tokio::select! {
                () = stop.cancelled() => return,
                batch = watcher.next_batch() => batch,
            };
            let Ok(items) = batch else { break };
            for item in items.iter().filter(|item| item.kind != EventType::Deleted) {
                settle(&inner, &storage, item.entry()).await;
            }
        }
    }
}

/// Checks a policy of which the status does not speak yet.
async fn settle(inner: &Inner, storage: &Storage, entry: &Entry) {
    let (mut value, mut revision) = (entry.kv().value.clone(), entry.kv().mod_revision);
    for _ in 0..ATTEMPTS_MAX {
        let Ok(mut policy) = serde_json::from_slice::<Value>(&value) else { return };
        let generation = policy["metadata"]["generation"].clone();
        if policy["status"]["observedGeneration"] == generation || !policy["metadata"]["deletionTimestamp"].is_null() {
            return;
        }
        let found = warnings(&inner.registry.snapshot(), &policy);
        policy["status"]["observedGeneration"] = generation;
        policy["status"]["typeChecking"] =
            if found.is_empty() { json!({}) } else { json!({"expressionWarnings": found}) };
        let key = format!("{}{}", storage.prefix, entry.name());
        let txn = Txn::update(key.as_str(), Encoded::new(&policy).stored(), revision);
        match inner.store.txn(txn).await {
            Ok(done) if done.succeeded => return,
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(policy = entry.name(), %error, "could not write the status of a policy");
                tokio::time::sleep(RETRY).await;
            }
        }
        match inner.store.get(&key, None).await {
            Ok(found) => match found.kv {
                Some(kv) => (value, revision) = (kv.value.clone(), kv.mod_revision),
                None => return,
            },
            Err(_) => return,
        }
    }
}
