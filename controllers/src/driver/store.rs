//! Local copies of all objects of a kind: what the informer last saw, and what we wrote ourselves.
//!
//! The stores read their own writes. The answer to a write goes into the store at once, unless the watch has
//! passed that revision already; an older event that arrives later changes nothing. An object that we deleted
//! leaves at once and cannot come back through a late event. So a reconciler never decides on a state from before
//! its own writes, and never has to wait for the watch. (Revisions of one kind are compared as numbers.)

use std::any::Any;
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use parking_lot::{Mutex, RwLock};
use serde::Deserialize;
use tokio::sync::watch;

use super::kind::{BY_OWNER, IndexName};
use super::{Key, Kind, Row};

/// An object of some kind; [`Kind`] types come out by downcast.
pub type AnyObject = dyn Any + Send + Sync;

/// The owner that controls the object.
pub fn controller_of(meta: &ObjectMeta) -> Option<&OwnerReference> {
    meta.owner_references.as_ref()?.iter().find(|owner| owner.controller == Some(true))
}

/// The number in `resourceVersion`; 0 when there is none.
pub fn revision_of(meta: &ObjectMeta) -> u64 {
    meta.resource_version.as_deref().and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// One object in a store.
pub struct Entry {
    /// Its namespace and name.
    pub key: Key,
    /// Its uid.
    pub uid: String,
    /// Its `resourceVersion`.
    pub revision: u64,
    /// The object, read into its type; nothing of one that is not kept.
    pub object: Arc<AnyObject>,
    /// Whether the store keeps it: see [`Kind::OWNED_ONLY`].
    kept: bool,
    indexed: Vec<(IndexName, String)>,
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.key, self.revision)
    }
}

/// Told of each change: the object as it was and as it is.
pub type Listener = Arc<dyn Fn(Option<&Arc<Entry>>, Option<&Arc<Entry>>) + Send + Sync>;

/// The objects of one kind, type erased.
pub struct RawStore {
    /// The kind.
    pub row: Row,
    read: fn(&str) -> Result<Entry, serde_json::Error>,
    read_kept: fn(&str) -> Result<Entry, serde_json::Error>,
    state: RwLock<State>,
    // Held while a change is made and told, so that listeners hear of changes in their order.
    changing: Mutex<()>,
    listeners: RwLock<Vec<Listener>>,
    synced: watch::Sender<bool>,
}

impl fmt::Debug for RawStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawStore").field("row", &self.row).field("len", &self.len()).finish_non_exhaustive()
    }
}

/// A change: the object as it was and as it is.
type Told = (Option<Arc<Entry>>, Option<Arc<Entry>>);

type Found = HashMap<Key, Arc<Entry>>;

#[derive(Default)]
struct State {
    objects: HashMap<Key, Arc<Entry>>,
    indexes: HashMap<IndexName, HashMap<String, Found>>,
    /// What the watch has told so far, as a revision.
    seen: u64,
    /// Uids of objects that we deleted and whose end the watch has not told yet.
    deleted: HashSet<String>,
}

impl State {
    /// Takes the object in; gives the change as listeners hear of it, if there is one.
    fn put(&mut self, entry: Arc<Entry>) -> Vec<Told> {
        if !entry.kept {
            // It may have been ours before.
            return self.take(&entry.key).map(|old| (Some(old), None)).into_iter().collect();
        }
        let old = self.objects.insert(entry.key.clone(), entry.clone());
        if let Some(old) = &old {
            self.unindex(old);
        }
        for (index, value) in &entry.indexed {
            let found = self.indexes.entry(index).or_default().entry(value.clone()).or_default();
            found.insert(entry.key.clone(), entry.clone());
        }
        vec![(old, Some(entry))]
    }

    fn take(&mut self, key: &Key) -> Option<Arc<Entry>> {
        let old = self.objects.remove(key)?;
        self.unindex(&old);
        Some(old)
    }

    fn unindex(&mut self, entry: &Entry) {
        for (index, value) in &entry.indexed {
            let Some(values) = self.indexes.get_mut(index) else { continue };
            if let Some(found) = values.get_mut(value) {
                found.remove(&entry.key);
                if found.is_empty() {
                    values.remove(value);
                }
            }
        }
    }

    /// Whether this version of the object is news.
    fn is_news(&self, entry: &Entry) -> bool {
        if self.deleted.contains(&entry.uid) {
            return false;
        }
        self.objects.get(&entry.key).is_none_or(|old| old.revision < entry.revision)
    }
}

impl RawStore {
    fn new<K: Kind>() -> Self {
        Self {
            row: K::ROW,
            read: read::<K>,
            read_kept: read_kept::<K>,
            state: RwLock::default(),
            changing: Mutex::new(()),
            listeners: RwLock::default(),
            synced: watch::Sender::new(false),
        }
    }

    /// Reads an object's JSON for the store: no more than a glance at one that it does not keep.
    pub(crate) fn read_kept(&self, json: &str) -> Result<Entry, serde_json::Error> {
        (self.read_kept)(json)
    }

    /// Reads an object's JSON.
    pub fn read(&self, json: &str) -> Result<Entry, serde_json::Error> {
        (self.read)(json)
    }

    /// The watch told of a new or changed object.
    pub fn watched(&self, entry: Entry) {
        self.change(|state| {
            state.seen = state.seen.max(entry.revision);
            if !state.is_news(&entry) {
                return vec![];
            }
            state.put(Arc::new(entry))
        });
    }

    /// The watch told of an object's end.
    pub fn watched_end(&self, entry: &Entry) {
        self.change(|state| {
            state.seen = state.seen.max(entry.revision);
            state.deleted.remove(&entry.uid);
            let ours = state.objects.get(&entry.key).is_some_and(|old| old.uid == entry.uid);
            if !ours {
                return vec![];
            }
            vec![(state.take(&entry.key), None)]
        });
    }

    /// The watch told that nothing else happened up to this revision.
    pub fn watched_until(&self, revision: u64) {
        let mut state = self.state.write();
        state.seen = state.seen.max(revision);
    }

    /// A fresh list: all objects as of `revision`.
    pub fn listed(&self, revision: u64, entries: Vec<Entry>) {
        self.change(|state| {
            state.seen = revision;
            let uids: HashSet<&str> = entries.iter().map(|e| e.uid.as_str()).collect();
            state.deleted.retain(|uid| uids.contains(uid.as_str()));
            let keys: HashSet<&Key> = entries.iter().map(|e| &e.key).collect();
            // What is newer than the list, we wrote ourselves: the watch is yet to tell of it.
            let over: Vec<Key> = state
                .objects
                .values()
                .filter(|old| old.revision <= revision && !keys.contains(&old.key))
                .map(|old| old.key.clone())
                .collect();
            let mut changes: Vec<_> = over.iter().map(|key| (state.take(key), None)).collect();
            for entry in entries {
                if state.is_news(&entry) {
                    changes.extend(state.put(Arc::new(entry)));
                }
            }
            changes
        });
        self.synced.send_replace(true);
    }

    /// We wrote this object and this is the server's answer. Gives what the store holds now.
    pub fn wrote(&self, entry: Entry) -> Arc<Entry> {
        let new = Arc::new(entry);
        let kept = new.clone();
        self.change(|state| {
            // What the watch has passed it has told, and maybe more: the object may be gone again.
            if new.revision <= state.seen || !state.is_news(&new) {
                return vec![];
            }
            state.put(new)
        });
        kept
    }

    /// We deleted this object, and the server says that it is gone.
    pub fn wrote_end(&self, key: &Key, uid: &str) {
        self.change(|state| {
            let ours = state.objects.get(key).is_some_and(|old| old.uid == uid);
            if !ours {
                return vec![];
            }
            state.deleted.insert(uid.to_owned());
            vec![(state.take(key), None)]
        });
    }

    fn change(&self, make: impl FnOnce(&mut State) -> Vec<Told>) {
        let _order = self.changing.lock();
        let changes = make(&mut self.state.write());
        if changes.is_empty() {
            return;
        }
        let listeners = self.listeners.read().clone();
        for (old, new) in &changes {
            for listener in &listeners {
                listener(old.as_ref(), new.as_ref());
            }
        }
    }

    /// Tells of each change from now on, and of every object that is there already.
    pub fn listen(&self, listener: Listener) {
        let _order = self.changing.lock();
        let there: Vec<Arc<Entry>> = self.state.read().objects.values().cloned().collect();
        for entry in &there {
            listener(None, Some(entry));
        }
        self.listeners.write().push(listener);
    }

    /// Forgets all listeners: leadership was lost.
    pub fn forget_listeners(&self) {
        self.listeners.write().clear();
    }

    /// Becomes true with the first list.
    pub fn synced(&self) -> watch::Receiver<bool> {
        self.synced.subscribe()
    }

    /// How many objects there are.
    pub fn len(&self) -> usize {
        self.state.read().objects.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

fn read<K: Kind>(json: &str) -> Result<Entry, serde_json::Error> {
    let mut object: K = serde_json::from_str(json)?;
    // Nobody here reads them, and they are often larger than the rest.
    object.meta_mut().managed_fields = None;
    let meta = object.meta();
    let mut indexed = vec![];
    if let Some(owner) = controller_of(meta) {
        indexed.push((BY_OWNER, owner.uid.clone()));
    }
    object.index(&mut |index, value| indexed.push((index, value)));
    Ok(Entry {
        key: Key::of(meta),
        uid: meta.uid.clone().unwrap_or_default(),
        revision: revision_of(meta),
        indexed,
        kept: !K::OWNED_ONLY || controller_of(object.meta()).is_some(),
        object: Arc::new(object),
    })
}

/// Enough of an object to know whether somebody owns it.
#[derive(Deserialize)]
struct Glance<'a> {
    #[serde(borrow)]
    metadata: GlanceMeta<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct GlanceMeta<'a> {
    #[serde(borrow, default)]
    namespace: Cow<'a, str>,
    #[serde(borrow, default)]
    name: Cow<'a, str>,
    #[serde(borrow, default)]
    uid: Cow<'a, str>,
    #[serde(borrow, default)]
    resource_version: Cow<'a, str>,
    #[serde(default)]
    owner_references: Option<Vec<GlanceOwner>>,
}

#[derive(Deserialize)]
struct GlanceOwner {
    #[serde(default)]
    controller: Option<bool>,
}

/// Reads an object for its store: of one that is not kept, only what it takes to notice that.
fn read_kept<K: Kind>(json: &str) -> Result<Entry, serde_json::Error> {
    if !K::OWNED_ONLY {
        return read::<K>(json);
    }
    let Glance { metadata } = serde_json::from_str(json)?;
    if metadata.owner_references.iter().flatten().any(|owner| owner.controller == Some(true)) {
        return read::<K>(json);
    }
    Ok(Entry {
        key: Key::new(&*metadata.namespace, &*metadata.name),
        uid: metadata.uid.into_owned(),
        revision: metadata.resource_version.parse().unwrap_or(0),
        indexed: vec![],
        kept: false,
        object: Arc::new(()),
    })
}

/// One kind's store, typed: a cheap handle.
pub struct Store<K> {
    raw: Arc<RawStore>,
    kind: PhantomData<fn() -> K>,
}

impl<K> Clone for Store<K> {
    fn clone(&self) -> Self {
        Self { raw: self.raw.clone(), kind: PhantomData }
    }
}

impl<K> fmt::Debug for Store<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.raw.fmt(f)
    }
}

impl<K: Kind> Store<K> {
    /// The object, if it is there.
    pub fn get(&self, key: &Key) -> Option<Arc<K>> {
        typed(self.raw.state.read().objects.get(key)?)
    }

    /// All objects, in no order.
    pub fn all(&self) -> Vec<Arc<K>> {
        self.raw.state.read().objects.values().filter_map(typed).collect()
    }

    /// All objects of a namespace, in no order. Looks at all objects of the kind.
    pub fn in_namespace(&self, namespace: &str) -> Vec<Arc<K>> {
        let state = self.raw.state.read();
        state.objects.values().filter(|e| e.key.namespace == namespace).filter_map(typed).collect()
    }

    /// What the index holds under the value, in no order.
    pub fn by(&self, index: IndexName, value: &str) -> Vec<Arc<K>> {
        let state = self.raw.state.read();
        let found = state.indexes.get(index).and_then(|values| values.get(value));
        found.map(|found| found.values().filter_map(typed).collect()).unwrap_or_default()
    }

    /// The objects that the owner with this uid controls, in no order.
    pub fn owned_by(&self, uid: &str) -> Vec<Arc<K>> {
        self.by(BY_OWNER, uid)
    }

    /// How many objects there are.
    pub fn len(&self) -> usize {
        self.raw.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.raw.is_empty()
    }
}

fn typed<K: Kind>(entry: &Arc<Entry>) -> Option<Arc<K>> {
    entry.object.clone().downcast::<K>().ok()
}

/// The stores of all kinds that somebody reads.
#[derive(Debug, Default)]
pub struct Stores {
    all: RwLock<HashMap<Row, Arc<RawStore>>>,
}

impl Stores {
    /// The kind's store, made if it is the first time that somebody asks.
    pub fn open<K: Kind>(&self) -> Arc<RawStore> {
        self.all.write().entry(K::ROW).or_insert_with(|| Arc::new(RawStore::new::<K>())).clone()
    }

    /// The kind's store, if somebody opened it.
    pub fn get(&self, row: &Row) -> Option<Arc<RawStore>> {
        self.all.read().get(row).cloned()
    }

    /// All stores.
    pub fn all(&self) -> Vec<Arc<RawStore>> {
        self.all.read().values().cloned().collect()
    }

    /// The kind's store, typed; `None` when nobody opened it.
    pub fn typed<K: Kind>(&self) -> Option<Store<K>> {
        self.get(&K::ROW).map(|raw| Store { raw, kind: PhantomData })
    }
}

#[cfg(test)]
mod tests {
    use berth_types::Task;

    use super::*;

    fn task(uid: &str, revision: u64, node: &str) -> Entry {
        let json = format!(
            r#"{{"metadata":{{"namespace":"n","name":"t","uid":"{uid}","resourceVersion":"{revision}"}},
                "spec":{{"containers":[],"nodeName":"{node}"}}}}"#
        );
        read::<Task>(&json).unwrap()
    }

    fn stores() -> (Stores, Arc<RawStore>, Store<Task>) {
        let stores = Stores::default();
        let raw = stores.open::<Task>();
        let typed = stores.typed().unwrap();
        (stores, raw, typed)
    }

    fn node_of(store: &Store<Task>) -> Option<String> {
        store.get(&Key::new("n", "t"))?.spec.node_name.clone()
    }

    #[test]
    fn an_own_write_is_seen_at_once_and_older_events_change_nothing() {
        let (_stores, raw, store) = stores();
        raw.listed(4, vec![task("u", 3, "a")]);
        raw.wrote(task("u", 6, "b"));
        assert_eq!(node_of(&store).as_deref(), Some("b"));
        raw.watched(task("u", 5, "old"));
        assert_eq!(node_of(&store).as_deref(), Some("b"));
        raw.watched(task("u", 7, "c"));
        assert_eq!(node_of(&store).as_deref(), Some("c"));
        assert_eq!(store.by(crate::driver::kind::BY_NODE, "b").len(), 0);
        assert_eq!(store.by(crate::driver::kind::BY_NODE, "c").len(), 1);
    }

    #[test]
    fn an_answer_that_the_watch_has_overtaken_brings_nothing_back() {
        let (_stores, raw, store) = stores();
        raw.listed(4, vec![]);
        raw.watched(task("u", 6, "b"));
        raw.watched_end(&task("u", 7, "b"));
        raw.wrote(task("u", 6, "b"));
        assert!(store.is_empty());
    }

    #[test]
    fn a_deleted_object_does_not_come_back_through_a_late_event() {
        let (_stores, raw, store) = stores();
        raw.listed(4, vec![task("u", 3, "a")]);
        raw.wrote_end(&Key::new("n", "t"), "u");
        raw.watched(task("u", 5, "late"));
        assert!(store.is_empty());
        raw.watched_end(&task("u", 6, "late"));
        raw.watched(task("another", 7, "z"));
        assert_eq!(node_of(&store).as_deref(), Some("z"));
    }

    #[test]
    fn a_list_drops_what_is_gone_and_keeps_our_newer_writes() {
        let (_stores, raw, store) = stores();
        raw.listed(4, vec![task("u", 3, "a")]);
        raw.listed(5, vec![]);
        assert!(store.is_empty());
        raw.wrote(task("v", 9, "b"));
        raw.listed(8, vec![]);
        assert_eq!(node_of(&store).as_deref(), Some("b"));
        raw.listed(10, vec![]);
        assert!(store.is_empty());
    }

    #[test]
    fn a_kind_of_which_only_owned_objects_matter_keeps_no_others() {
        let stores = Stores::default();
        let raw = stores.open::<berth_types::Revision>();
        let store = stores.typed::<berth_types::Revision>().unwrap();
        let revision = |number: u64, owners: &str| {
            let json = format!(
                r#"{{"metadata":{{"namespace":"n","name":"r","uid":"u","resourceVersion":"{number}","ownerReferences":[{owners}]}},
                    "spec":{{"revision":1,"template":{{"spec":{{"containers":[]}}}}}}}}"#
            );
            raw.read_kept(&json).unwrap()
        };
        let owner = r#"{"apiVersion":"berth.dev/v1","kind":"Service","name":"s","uid":"o","controller":true}"#;
        raw.listed(2, vec![revision(1, "")]);
        assert!(store.is_empty());
        raw.watched(revision(3, owner));
        assert_eq!(store.owned_by("o").len(), 1);
        raw.watched(revision(4, ""));
        assert!(store.is_empty() && store.owned_by("o").is_empty());
        raw.watched_end(&revision(5, ""));
    }

    #[test]
    fn listeners_hear_the_old_and_the_new() {
        let (_stores, raw, _store) = stores();
        let heard = Arc::new(Mutex::new(vec![]));
        let ears = heard.clone();
        raw.listen(Arc::new(move |old, new| {
            ears.lock().push((old.map(|e| e.revision), new.map(|e| e.revision)));
        }));
        raw.watched(task("u", 1, "a"));
        raw.watched(task("u", 2, "a"));
        raw.watched(task("u", 2, "a"));
        raw.watched_end(&task("u", 3, "a"));
        assert_eq!(*heard.lock(), [(None, Some(1)), (Some(1), Some(2)), (Some(2), None)]);
    }
}
