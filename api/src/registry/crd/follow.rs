//! From stored definitions to served rows: follows them in the store, settles their names, says so in their
//! status, and clears up after one that goes.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use berth_store::cache::{Filter, WatchItem};
use berth_store::{StoreError, Txn};
use serde_json::Value;

use super::conditions::{is_established, settled_status, terminating_status};
use super::names::{self, Settled};
use super::{FINALIZER_CLEANUP, GROUP, PLURAL, clear};
use crate::api::open_storage;
use crate::inner::Inner;
use crate::registry::builtin;
use crate::registry::form::Form;
use crate::registry::{Resource, Storage};
use crate::write::encode::Encoded;
use crate::write::meta;

/// Serves what is stored already, and follows changes from then on until the server stops.
pub(crate) async fn start(inner: &Arc<Inner>) -> Result<(), StoreError> {
    let mut follower = Follower {
        inner: Arc::clone(inner),
        served: HashMap::new(),
        clearing: HashSet::new(),
        refused: HashSet::new(),
    };
    let rows = inner.registry.snapshot();
    let Some(row) = rows.find(GROUP, "v1", PLURAL) else { return Ok(()) };
    let storage = Arc::clone(&row.storage);
    let from = follower.catch_up(&storage).await;
    tokio::spawn(async move { follower.run(&storage, from).await });
    Ok(())
}

/// The definitions that are served, by name.
struct Follower {
    inner: Arc<Inner>,
    served: HashMap<String, Served>,
    /// Deleted ones that are being cleared up after.
    clearing: HashSet<String>,
    /// Those that did not get all their names.
    refused: HashSet<String>,
}

/// What is kept of a served definition.
struct Served {
    group: String,
    plural: String,
    storage: Arc<Storage>,
    indexed: Vec<String>,
    /// The specification that the rows were made of, and whether the definition was being deleted.
    spec: (Value, bool),
    form: Form,
}

impl Follower {
    /// Settles every stored definition; returns the revision that was seen.
    async fn catch_up(&mut self, storage: &Storage) -> u64 {
        let snapshot = storage.cache.snapshot();
        for entry in snapshot.iter() {
            self.settle(entry.name(), Some(&entry.kv().value), entry.kv().mod_revision).await;
        }
        let gone: Vec<String> = self.served.keys().filter(|name| snapshot.get("", name).is_none()).cloned().collect();
        for name in gone {
            self.settle(&name, None, 0).await;
        }
        snapshot.revision()
    }

    async fn run(mut self, storage: &Storage, mut from: u64) {
        let stop = self.inner.stop.clone();
        loop {
            let Ok(mut watcher) = storage.cache.watch(from, Filter::default()) else {
                from = self.catch_up(storage).await;
                continue;
            };
            loop {
                let batch = tokio::select! {
                    () = stop.cancelled() => return,
                    batch = watcher.next_batch() => batch,
                };
                let Ok(items) = batch else { break };
                for item in items {
                    self.on_item(&item).await;
                }
            }
            from = self.catch_up(storage).await;
        }
    }

    async fn on_item(&mut self, item: &WatchItem) {
        let entry = item.entry();
        let gone = item.kind == berth_store::cache::EventType::Deleted;
        let value = (!gone).then(|| entry.kv().value.clone());
        self.settle(entry.name(), value.as_deref(), entry.kv().mod_revision).await;
        // A name may have become free.
        self.settle_refused(entry.name()).await;
    }

    /// Tries definitions again whose names were taken, but for the one that was just tried.
    async fn settle_refused(&mut self, but: &str) {
        let refused: Vec<String> = self.refused.iter().filter(|name| *name != but).cloned().collect();
        if refused.is_empty() {
            return;
        }
        let rows = self.inner.registry.snapshot();
        let Some(row) = rows.find(GROUP, "v1", PLURAL) else { return };
        let snapshot = row.storage.cache.snapshot();
        for name in refused {
            if let Some(entry) = snapshot.get("", &name) {
                self.settle(&name, Some(&entry.kv().value), entry.kv().mod_revision).await;
            }
        }
    }

    /// Makes what is served agree with one stored definition (none: it is gone).
    async fn settle(&mut self, name: &str, value: Option<&[u8]>, revision: u64) {
        let crd: Option<Value> = value.and_then(|bytes| serde_json::from_slice(bytes).ok());
        let Some(crd) = crd else {
            self.clearing.remove(name);
            self.refused.remove(name);
            if let Some(served) = self.served.remove(name) {
                tracing::info!(definition = name, "a definition is gone; its kind is no longer served");
                self.inner.registry.replace(&served.group, &served.plural, Vec::new());
                drop(served.form.replace());
            }
            return;
        };
        let settled = self.settle_names(name, &crd);
        let terminating = meta::is_terminating(&crd);
        if settled.conflict.is_some() {
            self.refused.insert(name.to_owned());
        } else {
            self.refused.remove(name);
        }
        if settled.conflict.is_some() && !is_established(&crd) {
            if terminating {
                self.clear_up(name, &crd, None);
            } else {
                let status = settled_status(&crd, &settled);
                self.write_status(name, crd, revision, status).await;
            }
            return;
        }
        // Under the names that were accepted: new ones may be somebody else's.
        let mut shown = crd.clone();
        shown["spec"]["names"] = settled.accepted.clone();
        let served = match self.serve(name, &shown, revision).await {
            Ok(served) => served,
            Err(error) => {
                tracing::error!(definition = name, %error, "a definition cannot be served");
                return;
            }
        };
        let status = if terminating {
            self.clear_up(name, &crd, served.first().cloned());
            if !meta::finalizers(&crd).contains(&FINALIZER_CLEANUP) {
                return;
            }
            let message = "CustomResource deletion is in progress";
            terminating_status(&crd, "True", "InstanceDeletionInProgress", message)
        } else {
            settled_status(&crd, &settled)
        };
        self.write_status(name, crd, revision, status).await;
    }

    /// Puts the rows of a definition in place.
    async fn serve(&mut self, name: &str, crd: &Value, revision: u64) -> Result<Vec<Arc<Resource>>, StoreError> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (group, plural) = (text(&crd["spec"]["group"]), text(&crd["spec"]["names"]["plural"]));
        let version = builtin::storage_version(crd).unwrap_or("v1").to_owned();
        let indexed = builtin::indexed_fields(crd);
        let api_version = crate::registry::resource::api_version(&group, &version);
        let kept = self.served.get(name).filter(|s| s.storage.api_version == api_version && s.indexed == indexed);
        let storage = match kept {
            Some(served) => Arc::clone(&served.storage),
            None => open_storage(&self.inner.store, &group, &plural, &version, indexed.clone()).await?,
        };
        let spec = (crd["spec"].clone(), meta::is_terminating(crd));
        // Whoever watches must come back when objects look different, and only then.
        if self.served.get(name).is_none_or(|served| served.spec != spec) {
            let before = self.served.get(name);
            let form = match before {
                Some(served) if served.spec.0 == spec.0 => served.form.clone(),
                Some(_) => Form::in_place_of_another(),
                None => Form::since_revision(revision),
            };
            self.inner.registry.replace(&group, &plural, builtin::rows_of(crd, &storage, false, &form));
            if let Some(before) = before.filter(|served| served.spec.0 != spec.0) {
                let left = before.form.replace();
                let (inner, name, form) = (Arc::clone(&self.inner), name.to_owned(), form.clone());
                tokio::spawn(async move {
                    left.await;
                    settle_form(&inner, &name, &form).await;
                });
            }
            let (group, plural) = (group.clone(), plural.clone());
            self.served.insert(name.to_owned(), Served { group, plural, storage, indexed, spec, form });
        }
        let rows = self.inner.registry.snapshot();
        Ok(rows.ordered.iter().filter(|row| row.group == group && row.plural == plural).cloned().collect())
    }

    /// Compares the names of a definition with those of all other kinds of its group.
    fn settle_names(&self, name: &str, crd: &Value) -> Settled {
        let group = crd["spec"]["group"].as_str().unwrap_or_default();
        let rows = self.inner.registry.snapshot();
        let mine =
            |row: &Resource| self.served.get(name).is_some_and(|s| s.group == row.group && s.plural == row.plural);
        names::settle(crd, rows.ordered.iter().filter(|row| row.group == group && !mine(row)).map(|row| &**row))
    }

    /// Writes a status if it says something new. Losing against another writer is fine: its event comes next.
    async fn write_status(&self, name: &str, mut crd: Value, revision: u64, status: Value) {
        if crd["status"] == status {
            return;
        }
        crd["status"] = status;
        self.commit(name, &crd, revision).await;
    }

    async fn commit(&self, name: &str, crd: &Value, revision: u64) {
        let key = format!("{}{name}", crate::registry::resource::storage_prefix(GROUP, PLURAL));
        let txn = Txn::update(key, Encoded::new(crd).stored(), revision);
        if let Err(error) = self.inner.store.txn(txn).await {
            tracing::warn!(definition = name, %error, "could not write the status of a definition");
        }
    }

    /// Deletes the objects of a definition that is being deleted; when none is left the definition goes, too.
    fn clear_up(&mut self, name: &str, crd: &Value, row: Option<Arc<Resource>>) {
        if meta::finalizers(crd).contains(&FINALIZER_CLEANUP) && self.clearing.insert(name.to_owned()) {
            clear::begin(&self.inner, row, name.to_owned());
        }
    }
}

/// All writes of a definition's former form have ended. Says so in the definition's status: after a restart its
/// revision is what tells old objects from new ones, and must be above the last write in the former form.
async fn settle_form(inner: &Inner, name: &str, form: &Form) {
    let key: Arc<str> = format!("{}{name}", crate::registry::resource::storage_prefix(GROUP, PLURAL)).into();
    loop {
        let Ok(found) = inner.store.get(&key, None).await else { return };
        let Some(kv) = found.kv else { return };
        let Ok(mut crd) = serde_json::from_slice::<Value>(&kv.value) else { return };
        let generation = crd["metadata"]["generation"].clone();
        if !crd["status"].is_object() || crd["status"]["observedGeneration"] == generation {
            break;
        }
        crd["status"]["observedGeneration"] = generation;
        match inner.store.txn(Txn::update(Arc::clone(&key), Encoded::new(&crd).stored(), kv.mod_revision)).await {
            Ok(done) if done.succeeded => break,
            // Somebody else wrote it: look again.
            Ok(_) => {}
            // Reads stay slower, and right.
            Err(_) => return,
        }
    }
    if let Ok(revision) = inner.store.current_revision().await {
        form.settle(revision);
    }
}
