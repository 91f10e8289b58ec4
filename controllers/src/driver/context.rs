//! What a reconciler has in hand: local stores to read, the API server to write to, the time, events.

use std::fmt;
use std::sync::Arc;

use berth_identity::csr::Authority;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{OwnerReference, Time};
use k8s_openapi::jiff::Timestamp;
use kube::Client;
use serde::Serialize;
use serde_json::{Value, json};

use super::store::{Entry, RawStore, Stores, revision_of};
use super::{Clock, Error, Key, Kind, Row, Store, api};
use crate::events::{EventType, Recorder};
use crate::metrics::Metrics;

/// Parts that all controllers of a manager share.
pub(crate) struct Shared {
    pub(crate) client: Client,
    pub(crate) stores: Stores,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) events: Recorder,
    pub(crate) metrics: Metrics,
    pub(crate) identity: String,
    pub(crate) authority: Option<Arc<Authority>>,
}

/// What a reconciler has in hand. Cheap to clone.
#[derive(Clone)]
pub struct Context {
    pub(crate) shared: Arc<Shared>,
    pub(crate) controller: &'static str,
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("controller", &self.controller).finish_non_exhaustive()
    }
}

/// How a create ended.
#[derive(Debug)]
pub enum Created<K> {
    /// It is new.
    New(Arc<K>),
    /// An object of this name was there before; this is it. Look at its owner before you call it yours.
    Exists(Arc<K>),
}

impl Context {
    /// The client, for what the context has no method for. Writes that go around the context are seen in the
    /// stores only when the watch tells of them.
    pub fn client(&self) -> &Client {
        &self.shared.client
    }

    /// The time.
    pub fn now(&self) -> Timestamp {
        self.shared.clock.now()
    }

    /// The time as objects carry it: whole seconds.
    pub fn now_time(&self) -> Time {
        Time(whole_seconds(self.now()))
    }

    /// The clock.
    pub fn clock(&self) -> Arc<dyn Clock> {
        self.shared.clock.clone()
    }

    /// Who this manager is, as its Lease says.
    pub fn identity(&self) -> &str {
        &self.shared.identity
    }

    /// The cluster's certificate authority, when this manager was given it.
    pub fn authority(&self) -> Option<&Authority> {
        self.shared.authority.as_deref()
    }

    /// Counters and gauges of the whole manager.
    pub fn metrics(&self) -> &Metrics {
        &self.shared.metrics
    }

    /// The local objects of a kind that the controller declared in `watches`.
    ///
    /// # Panics
    /// When no controller declared the kind: an empty answer would be a lie.
    pub fn store<K: Kind>(&self) -> Store<K> {
        self.shared.stores.typed().expect("a reconciler declares in `watches` each kind that it reads")
    }

    fn raw<K: Kind>(&self) -> Arc<RawStore> {
        self.shared.stores.open::<K>()
    }

    /// Makes an object. A name that is taken is no error: the answer tells.
    pub async fn create<K: Kind>(&self, object: &K) -> Result<Created<K>, Error> {
        let key = Key::of(object.meta());
        let body = body(&K::ROW, object)?;
        let created = api::create(&self.shared.client, &K::ROW, &key, body, self.controller).await;
        self.count("create", &K::ROW, created.is_ok());
        match created {
            Ok(text) => self.keep(&text).map(Created::New),
            Err(error) if error.is_conflict() => match self.get(&key).await? {
                Some(there) => Ok(Created::Exists(there)),
                None => Err(error),
            },
            Err(error) => Err(error),
        }
    }

    /// Reads an object from the API server, past the local store.
    pub async fn get<K: Kind>(&self, key: &Key) -> Result<Option<Arc<K>>, Error> {
        match api::get(&self.shared.client, &K::ROW, key).await {
            Ok(text) => self.keep(&text).map(Some),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Deletes this very object (by uid), its dependents in the background. That it is gone already, or replaced
    /// by another of its name, is no error.
    pub async fn delete<K: Kind>(&self, object: &K) -> Result<(), Error> {
        let meta = object.meta();
        let key = Key::of(meta);
        let uid = meta.uid.clone().unwrap_or_default();
        let deleted = api::delete(&self.shared.client, &K::ROW, &key, &uid).await;
        self.count("delete", &K::ROW, deleted.is_ok());
        let raw = self.raw::<K>();
        match deleted {
            // With finalizers the object stays for a while; the answer shows it with its deletionTimestamp.
            Ok(text) => match raw.read(&text) {
                Ok(entry) if entry.uid == uid && is_deleting::<K>(&entry) && revision(&entry) => {
                    raw.wrote(entry);
                }
                _ => raw.wrote_end(&key, &uid),
            },
            Err(error) if error.is_not_found() => raw.wrote_end(&key, &uid),
            // The name belongs to another object by now, or the server lost a race and wants us to try again.
            Err(error) if error.is_conflict() => {
                let there = self.get::<K>(&key).await?;
                if there.is_some_and(|there| there.meta().uid == meta.uid) {
                    return Err(error);
                }
                raw.wrote_end(&key, &uid);
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Changes an object by a JSON merge patch. With `metadata.resourceVersion` in the patch, a change by
    /// somebody else in the meantime is a conflict.
    pub async fn patch<K: Kind>(&self, key: &Key, patch: &Value) -> Result<Arc<K>, Error> {
        self.patched(key, None, api::Patch::Merge, patch).await
    }

    /// Changes an object by a JSON patch (RFC 6902).
    pub async fn json_patch<K: Kind>(&self, key: &Key, patch: &Value) -> Result<Arc<K>, Error> {
        self.patched(key, None, api::Patch::Json, patch).await
    }

    /// The same as [`patch`](Self::patch) for `/status`.
    pub async fn patch_status<K: Kind>(&self, key: &Key, patch: &Value) -> Result<Arc<K>, Error> {
        self.patched(key, Some("status"), api::Patch::Merge, patch).await
    }

    /// The same as [`patch`](Self::patch) for another subresource.
    pub async fn patch_subresource<K: Kind>(
        &self,
        key: &Key,
        subresource: &str,
        patch: &Value,
    ) -> Result<Arc<K>, Error> {
        self.patched(key, Some(subresource), api::Patch::Merge, patch).await
    }

    /// Server-side apply, forced, under this field manager: `fields` are all that the manager has to say about
    /// the object, without `apiVersion`, `kind` and name.
    pub async fn apply<K: Kind>(&self, key: &Key, fields: Value, manager: &str) -> Result<Arc<K>, Error> {
        self.patched(key, None, api::Patch::Apply(manager), &identified::<K>(key, fields)).await
    }

    /// The same for `/status`: `status` is all that the manager has to say there.
    pub async fn apply_status<K: Kind>(&self, key: &Key, status: Value, manager: &str) -> Result<Arc<K>, Error> {
        let fields = identified::<K>(key, json!({ "status": status }));
        self.patched(key, Some("status"), api::Patch::Apply(manager), &fields).await
    }

    /// Writes a status of which the controller is the only author: what is not in `new` goes. Nothing is sent
    /// when it is what `object` has. Somebody else's change in the meantime is a conflict: look again.
    pub async fn write_status<K: Kind, S: Serialize + PartialEq>(
        &self,
        object: &K,
        old: Option<&S>,
        new: &S,
    ) -> Result<(), Error> {
        if old == Some(new) {
            return Ok(());
        }
        let read = |status: &S| {
            serde_json::to_value(status)
                .map_err(|source| Error::Decode { what: format!("own {} status", K::ROW.kind), source })
        };
        let mut status = read(new)?;
        if let (Some(old), Some(fields)) = (old.map(read).transpose()?, status.as_object_mut()) {
            for name in old.as_object().into_iter().flat_map(|old| old.keys()) {
                fields.entry(name.clone()).or_insert(Value::Null);
            }
        }
        let meta = object.meta();
        let patch = json!({ "metadata": { "resourceVersion": meta.resource_version }, "status": status });
        self.patch_status::<K>(&Key::of(meta), &patch).await.map(drop)
    }

    async fn patched<K: Kind>(
        &self,
        key: &Key,
        subresource: Option<&str>,
        how: api::Patch<'_>,
        patch: &Value,
    ) -> Result<Arc<K>, Error> {
        let answer = api::patch(&self.shared.client, &K::ROW, key, subresource, how, patch, self.controller).await;
        self.count("patch", &K::ROW, answer.is_ok());
        self.keep(&answer?)
    }

    /// Puts an answer into the local store and gives it back typed.
    fn keep<K: Kind>(&self, text: &str) -> Result<Arc<K>, Error> {
        let raw = self.raw::<K>();
        let entry = raw
            .read(text)
            .map_err(|source| Error::Decode { what: format!("the answer about a {}", K::ROW.kind), source })?;
        let entry = raw.wrote(entry);
        Ok(entry.object.clone().downcast().expect("the kind's store reads objects into the kind's type"))
    }

    fn count(&self, verb: &'static str, row: &Row, ok: bool) {
        self.shared.metrics.wrote(self.controller, verb, &row.kind, ok);
    }

    /// Tells people of something that happened to an object. Never waits and never fails: repeated events are
    /// counted up, and the oldest waiting ones are dropped when there are too many.
    pub fn event<K: Kind>(&self, object: &K, type_: EventType, reason: &str, message: impl Into<String>) {
        self.shared.events.record(self.controller, reference(object), type_, reason, message.into());
    }
}

/// A reference that makes `object` the controlling owner of what carries it.
pub fn owner_reference<K: Kind>(object: &K) -> OwnerReference {
    OwnerReference {
        api_version: K::ROW.api_version(),
        kind: K::ROW.kind.to_string(),
        name: object.meta().name.clone().unwrap_or_default(),
        uid: object.meta().uid.clone().unwrap_or_default(),
        controller: Some(true),
        block_owner_deletion: Some(true),
    }
}

/// A reference to the object, as events carry it.
pub fn reference<K: Kind>(object: &K) -> ObjectReference {
    let meta = object.meta();
    ObjectReference {
        api_version: Some(K::ROW.api_version()),
        kind: Some(K::ROW.kind.to_string()),
        namespace: meta.namespace.clone(),
        name: meta.name.clone(),
        uid: meta.uid.clone(),
        resource_version: meta.resource_version.clone(),
        field_path: None,
    }
}

/// Cuts to the resolution of times in objects, so that what is written equals what is read back.
pub fn whole_seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

fn is_deleting<K: Kind>(entry: &Entry) -> bool {
    entry.object.downcast_ref::<K>().is_some_and(|object| object.meta().deletion_timestamp.is_some())
}

fn revision(entry: &Entry) -> bool {
    entry.revision > 0
}

/// The revision that an object carries.
pub fn revision_number<K: Kind>(object: &K) -> u64 {
    revision_of(object.meta())
}

fn identified<K: Kind>(key: &Key, mut fields: Value) -> Value {
    fields["apiVersion"] = K::ROW.api_version().into();
    fields["kind"] = K::ROW.kind.to_string().into();
    fields["metadata"]["name"] = key.name.clone().into();
    if K::ROW.namespaced {
        fields["metadata"]["namespace"] = key.namespace.clone().into();
    }
    fields
}

fn body<K: Kind>(row: &Row, object: &K) -> Result<Vec<u8>, Error> {
    let fail = |source| Error::Decode { what: format!("own {}", row.kind), source };
    let mut value = serde_json::to_value(object).map_err(fail)?;
    value["apiVersion"] = row.api_version().into();
    value["kind"] = row.kind.to_string().into();
    serde_json::to_vec(&value).map_err(fail)
}
