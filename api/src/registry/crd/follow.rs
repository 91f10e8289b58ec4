//! From stored definitions to served rows: follows them in the store, settles their names, says so in their
//! status, and clears up after one that goes.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use berth_store::cache::{Filter, WatchItem};
use berth_store::{StoreError, Txn};
use serde_json::{Value, json};

use super::FINALIZER_CLEANUP;
use super::rules::conditions;
use crate::api::open_storage;
use crate::inner::Inner;
use crate::registry::builtin;
use crate::registry::form::Form;
use crate::registry::{Resource, Rows, Storage};
use crate::write::encode::Encoded;
use crate::write::meta;

/// How long to wait before trying again what the store refused.
const RETRY: Duration = Duration::from_millis(500);

const GROUP: &str = "apiextensions.k8s.io";
const PLURAL: &str = "customresourcedefinitions";

/// Serves what is stored already, and follows changes from then on until the server stops.
pub(crate) async fn start(inner: &Arc<Inner>) -> Result<(), StoreError> {
    let mut follower = Follower { inner: Arc::clone(inner), served: HashMap::new() };
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
        if gone {
            // A name may have become free.
            self.settle_refused().await;
        }
    }

    /// Tries definitions again whose names were taken.
    async fn settle_refused(&mut self) {
        let rows = self.inner.registry.snapshot();
        let Some(row) = rows.find(GROUP, "v1", PLURAL) else { return };
        let snapshot = row.storage.cache.snapshot();
        for entry in snapshot.iter() {
            if self.served.contains_key(entry.name()) {
                continue;
            }
            self.settle(entry.name(), Some(&entry.kv().value), entry.kv().mod_revision).await;
        }
    }

    /// Makes what is served agree with one stored definition (none: it is gone).
    async fn settle(&mut self, name: &str, value: Option<&[u8]>, revision: u64) {
        let crd: Option<Value> = value.and_then(|bytes| serde_json::from_slice(bytes).ok());
        let Some(crd) = crd else {
            if let Some(served) = self.served.remove(name) {
                tracing::info!(definition = name, "a definition is gone; its kind is no longer served");
                self.inner.registry.replace(&served.group, &served.plural, Vec::new());
                drop(served.form.replace());
            }
            return;
        };
        if let Some(conflict) = self.name_conflict(name, &crd) {
            let status = refused_status(&crd, &conflict);
            self.write_status(name, crd, revision, status).await;
            return;
        }
        let served = match self.serve(name, &crd, revision).await {
            Ok(served) => served,
            Err(error) => {
                tracing::error!(definition = name, %error, "a definition cannot be served");
                return;
            }
        };
        if meta::is_terminating(&crd) {
            self.clear_up(name, &served).await;
            return;
        }
        let status = accepted_status(&crd);
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

    /// Why a definition's names cannot be accepted: (reason, message).
    fn name_conflict(&self, name: &str, crd: &Value) -> Option<(&'static str, String)> {
        let names = &crd["spec"]["names"];
        let group = crd["spec"]["group"].as_str().unwrap_or_default();
        let plural = names["plural"].as_str().unwrap_or_default();
        let rows: Arc<Rows> = self.inner.registry.snapshot();
        let mine =
            |row: &Resource| self.served.get(name).is_some_and(|s| s.group == row.group && s.plural == row.plural);
        for row in rows.ordered.iter().filter(|row| row.group == group && !mine(row)) {
            let is = |field: &str, taken: &str| names[field] == taken;
            let found = if row.plural == plural {
                Some(("PluralConflict", plural.to_owned()))
            } else if is("kind", &row.kind) {
                Some(("KindConflict", row.kind.clone()))
            } else if is("listKind", &row.list_kind) {
                Some(("ListKindConflict", row.list_kind.clone()))
            } else if is("singular", &row.singular) {
                Some(("SingularConflict", row.singular.clone()))
            } else {
                let short = names["shortNames"].as_array().into_iter().flatten().filter_map(Value::as_str);
                let taken = |short: &&str| row.short_names.iter().any(|s| s == short);
                short.into_iter().find(taken).map(|s| ("ShortNamesConflict", s.to_owned()))
            };
            if let Some((reason, word)) = found {
                return Some((reason, format!("\"{word}\" is already in use")));
            }
        }
        None
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
    async fn clear_up(&self, name: &str, rows: &[Arc<Resource>]) {
        let Some(row) = rows.first() else {
            remove_finalizer(Arc::clone(&self.inner), name.to_owned()).await;
            return;
        };
        let (inner, row, name) = (Arc::clone(&self.inner), Arc::clone(row), name.to_owned());
        tokio::spawn(async move {
            let stop = inner.stop.clone();
            tokio::select! {
                () = stop.cancelled() => {}
                () = empty(&inner, &row) => remove_finalizer(inner, name).await,
            }
        });
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

/// Takes the clean-up finalizer off a definition, which removes it.
async fn remove_finalizer(inner: Arc<Inner>, name: String) {
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

fn accepted_status(crd: &Value) -> Value {
    let mut status = crd["status"].clone();
    if !status.is_object() {
        status = json!({});
    }
    status["acceptedNames"] = crd["spec"]["names"].clone();
    if status["storedVersions"].as_array().is_none_or(Vec::is_empty) {
        status["storedVersions"] = json!(builtin::storage_version(crd).into_iter().collect::<Vec<_>>());
    }
    let list = vec![
        condition(crd, "NamesAccepted", "True", "NoConflicts", "no conflicts found"),
        condition(crd, "Established", "True", "InitialNamesAccepted", "the initial names have been accepted"),
    ];
    status["conditions"] = with_others(crd, list);
    status
}

fn refused_status(crd: &Value, (reason, message): &(&'static str, String)) -> Value {
    let mut status = crd["status"].clone();
    if !status.is_object() {
        status = json!({});
    }
    let list = vec![
        condition(crd, "NamesAccepted", "False", reason, message),
        condition(crd, "Established", "False", "NotAccepted", "not all names are accepted"),
    ];
    status["conditions"] = with_others(crd, list);
    status
}

fn with_others(crd: &Value, mut list: Vec<Value>) -> Value {
    let others = conditions(crd).filter(|c| c["type"] != "NamesAccepted" && c["type"] != "Established");
    list.extend(others.cloned());
    Value::Array(list)
}

/// A condition whose time moves only when its status does.
fn condition(crd: &Value, kind: &str, status: &str, reason: &str, message: &str) -> Value {
    let before = conditions(crd).find(|c| c["type"] == kind && c["status"] == status);
    let since = before.and_then(|c| c["lastTransitionTime"].as_str()).map(str::to_owned);
    let since = since.unwrap_or_else(|| meta::timestamp(jiff::Timestamp::now()));
    json!({"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": since})
}
