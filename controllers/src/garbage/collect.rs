//! What is done about one object: look at it and at its owners as they are now, decide, write.

use std::collections::HashSet;
use std::sync::Arc;

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use parking_lot::{Mutex, RwLock};
use serde_json::json;

use super::MANAGER;
use super::graph::{FINALIZER_FOREGROUND, FINALIZER_ORPHAN, Graph, Stage, Task, Thing, Uid};
use super::kinds::Served;
use super::requests::{self, Policy};
use crate::driver::{Context, Error, Key, Row};
use crate::events::EventType;

/// Uids that are known to be gone, so that a thousand dependents of one owner ask for it once. Uids are never used
/// again; past this number all are forgotten and asked for anew.
const GONE_MAX: usize = 10_000;

/// How an owner stands, as one of its dependents names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// There, and staying.
    Solid,
    /// Not there.
    Dangling,
    /// Going once its dependents are gone.
    Waiting,
}

/// What to do about an object that has owners.
#[derive(Clone, Debug, PartialEq)]
enum Verdict {
    Keep,
    /// Keep it with these owners only.
    Trim(Vec<OwnerReference>),
    Delete(Policy),
}

pub(crate) struct Collector {
    pub(crate) ctx: Context,
    pub(crate) graph: Mutex<Graph>,
    pub(crate) kinds: RwLock<Vec<Served>>,
    gone: Mutex<HashSet<Uid>>,
    /// Owners that were asked for and are not there, as they were named and from where.
    absent: Mutex<HashSet<Absent>>,
}

/// An owner as a dependent names it. By all of it: a dependent that names an owner wrongly, in another namespace or
/// with another name, says nothing about the owner that has the uid, whose own dependents must not go for it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Absent {
    /// The dependent's.
    namespace: String,
    api_version: String,
    kind: String,
    name: String,
    uid: String,
}

impl Absent {
    fn of(thing: &Thing, owner: &OwnerReference) -> Self {
        Self {
            namespace: thing.key.namespace.to_string(),
            api_version: owner.api_version.clone(),
            kind: owner.kind.clone(),
            name: owner.name.clone(),
            uid: owner.uid.clone(),
        }
    }
}

impl Collector {
    pub(crate) fn new(ctx: Context) -> Self {
        Self {
            ctx,
            graph: Mutex::default(),
            kinds: RwLock::default(),
            gone: Mutex::default(),
            absent: Mutex::default(),
        }
    }

    /// The API server, or its watch, said that the object of this uid is gone.
    pub(crate) fn note_gone(&self, uid: Uid) {
        note(&mut self.gone.lock(), uid);
    }

    /// Does what there is to do about the object; nothing when there is nothing. Safe to repeat.
    pub(crate) async fn look(&self, uid: &str) -> Result<(), Error> {
        let (task, thing) = {
            let graph = self.graph.lock();
            (graph.task(uid), graph.get(uid).cloned())
        };
        let Some(thing) = thing else { return Ok(()) };
        match task {
            Task::Nothing => Ok(()),
            Task::CheckOwners => self.check_owners(uid, &thing).await,
            Task::EndForeground => self.drop_finalizer(uid, &thing, FINALIZER_FOREGROUND).await,
            Task::Orphan(dependents) => {
                for dependent in dependents {
                    self.let_go(uid, &dependent).await?;
                }
                self.drop_finalizer(uid, &thing, FINALIZER_ORPHAN).await
            }
        }
    }

    async fn check_owners(&self, uid: &str, thing: &Thing) -> Result<(), Error> {
        let client = self.ctx.client();
        // What the watch told may be old: decide on the object as it is.
        let Some(meta) = self.read(uid, thing).await? else { return Ok(()) };
        let owners = meta.owner_references.clone().unwrap_or_default();
        if Stage::of(&meta) != Stage::Lives || owners.is_empty() {
            return Ok(());
        }
        let live = Thing::new(thing.row.clone(), &meta);
        let mut standings = Vec::with_capacity(owners.len());
        for owner in owners {
            let standing = self.standing(&live, &meta, &owner).await?;
            standings.push((owner, standing));
        }
        let (has_dependents, is_circle) = {
            let graph = self.graph.lock();
            (!graph.dependents(uid).is_empty(), graph.has_waiting_dependent(uid))
        };
        match verdict(standings, &meta, has_dependents) {
            Verdict::Keep => Ok(()),
            Verdict::Trim(left) => requests::change(client, &live.row, &meta, json!({ "ownerReferences": left })).await,
            Verdict::Delete(Policy::Foreground) if is_circle => {
                // One of its dependents waits for it to go: it must not wait in turn. It stops blocking its owners.
                let mut free = meta.owner_references.clone().unwrap_or_default();
                free.iter_mut().for_each(|owner| owner.block_owner_deletion = Some(false));
                requests::change(client, &live.row, &meta, json!({ "ownerReferences": free })).await?;
                let Some(meta) = self.read(uid, thing).await? else { return Ok(()) };
                requests::delete(client, &live.row, &meta, Policy::Foreground).await
            }
            Verdict::Delete(policy) => {
                tracing::info!(kind = %live.row.kind, object = %live.key, ?policy, "object collected: its owners are gone");
                requests::delete(client, &live.row, &meta, policy).await
            }
        }
    }

    /// How the owner stands. An answer that does not say so plainly is an error, never an absence.
    async fn standing(&self, thing: &Thing, meta: &ObjectMeta, owner: &OwnerReference) -> Result<Standing, Error> {
        let is_elsewhere = {
            let graph = self.graph.lock();
            if graph.is_solid(thing, owner) {
                return Ok(Standing::Solid);
            }
            graph.is_elsewhere(thing, owner)
        };
        if is_elsewhere {
            self.tell_elsewhere(thing, meta, owner);
        } else if self.gone.lock().contains(owner.uid.as_str())
            || self.absent.lock().contains(&Absent::of(thing, owner))
        {
            return Ok(Standing::Dangling);
        }
        let row = self.row_of(owner).ok_or_else(|| {
            Error::Other(format!("owner {} {} of {}: no such kind is served", owner.kind, owner.name, thing.key))
        })?;
        if row.namespaced && thing.key.namespace.is_empty() {
            // Nowhere to look: an owner in a namespace cannot own what is in none. Told, and left alone.
            self.tell_elsewhere(thing, meta, owner);
            return Ok(Standing::Solid);
        }
        let namespace = if row.namespaced { thing.key.namespace.as_str() } else { "" };
        let found = requests::get(self.ctx.client(), &row, &Key::new(namespace, &owner.name)).await?;
        match found {
            Some(found) if found.uid.as_deref() == Some(owner.uid.as_str()) => Ok(match Stage::of(&found) {
                Stage::WaitsForDependents => Standing::Waiting,
                _ => Standing::Solid,
            }),
            _ => {
                if !is_elsewhere {
                    note(&mut self.absent.lock(), Absent::of(thing, owner));
                }
                Ok(Standing::Dangling)
            }
        }
    }

    /// The kind that an owner reference names, in whichever version is served.
    fn row_of(&self, owner: &OwnerReference) -> Option<Arc<Row>> {
        let group = owner.api_version.split_once('/').map_or("", |(group, _)| group);
        let kinds = self.kinds.read();
        let found = kinds.iter().find(|served| served.row.group == group && served.row.kind == owner.kind);
        found.map(|served| served.row.clone())
    }

    /// The object's metadata as it is now; `None` when it is gone, of which the graph is told.
    async fn read(&self, uid: &str, thing: &Thing) -> Result<Option<ObjectMeta>, Error> {
        let found = requests::get(self.ctx.client(), &thing.row, &thing.key).await?;
        Ok(found.filter(|meta| meta.uid.as_deref() == Some(uid)))
    }

    async fn drop_finalizer(&self, uid: &str, thing: &Thing, finalizer: &str) -> Result<(), Error> {
        let Some(meta) = self.read(uid, thing).await? else { return Ok(()) };
        let all = meta.finalizers.clone().unwrap_or_default();
        let left: Vec<&String> = all.iter().filter(|name| *name != finalizer).collect();
        if left.len() == all.len() || meta.deletion_timestamp.is_none() {
            return Ok(());
        }
        requests::change(self.ctx.client(), &thing.row, &meta, json!({ "finalizers": left })).await
    }

    /// Takes the owner out of the dependent's owner references.
    async fn let_go(&self, owner: &str, dependent: &Uid) -> Result<(), Error> {
        let Some(thing) = self.graph.lock().get(dependent).cloned() else { return Ok(()) };
        let Some(meta) = self.read(dependent, &thing).await? else { return Ok(()) };
        let all = meta.owner_references.clone().unwrap_or_default();
        let left: Vec<OwnerReference> = all.iter().filter(|reference| reference.uid != owner).cloned().collect();
        if left.len() == all.len() {
            return Ok(());
        }
        requests::change(self.ctx.client(), &thing.row, &meta, json!({ "ownerReferences": left })).await
    }

    fn tell_elsewhere(&self, thing: &Thing, meta: &ObjectMeta, owner: &OwnerReference) {
        let namespace = &thing.key.namespace;
        let OwnerReference { api_version, kind, name, uid, .. } = owner;
        let message = format!(
            "ownerRef [{api_version}/{kind}, namespace: {namespace}, name: {name}, uid: {uid}] does not exist in namespace {namespace:?}"
        );
        let about = ObjectReference {
            api_version: Some(thing.row.api_version()),
            kind: Some(thing.row.kind.to_string()),
            namespace: meta.namespace.clone(),
            name: meta.name.clone(),
            uid: meta.uid.clone(),
            ..ObjectReference::default()
        };
        self.ctx.shared.events.record(MANAGER, about, EventType::Warning, "OwnerRefInvalidNamespace", message);
    }
}

fn note<T: Eq + std::hash::Hash>(known: &mut HashSet<T>, new: T) {
    if known.len() >= GONE_MAX {
        known.clear();
    }
    known.insert(new);
}

/// Kubernetes' rule: with a solid owner only references are trimmed; without one the object goes, in the foreground
/// when an owner waits for it and it has dependents of its own.
fn verdict(owners: Vec<(OwnerReference, Standing)>, meta: &ObjectMeta, has_dependents: bool) -> Verdict {
    let count = owners.len();
    let waits = owners.iter().any(|(_, standing)| *standing == Standing::Waiting);
    let solid = owners.into_iter().filter(|(_, standing)| *standing == Standing::Solid).map(|(owner, _)| owner);
    let solid: Vec<OwnerReference> = solid.collect();
    if solid.len() == count {
        return Verdict::Keep;
    }
    if !solid.is_empty() {
        return Verdict::Trim(solid);
    }
    let has = |name: &str| meta.finalizers.iter().flatten().any(|finalizer| finalizer == name);
    Verdict::Delete(match () {
        () if waits && has_dependents => Policy::Foreground,
        () if has(FINALIZER_ORPHAN) => Policy::Orphan,
        () if has(FINALIZER_FOREGROUND) => Policy::Foreground,
        () => Policy::Background,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(name: &str) -> OwnerReference {
        OwnerReference { name: name.into(), ..OwnerReference::default() }
    }

    #[test]
    fn an_object_goes_only_when_no_owner_is_left() {
        use Standing::{Dangling, Solid, Waiting};
        let meta = ObjectMeta::default();
        let judge = |standings: &[Standing], has_dependents| {
            let owners = standings.iter().enumerate().map(|(i, standing)| (owner(&i.to_string()), *standing));
            verdict(owners.collect(), &meta, has_dependents)
        };
        assert_eq!(judge(&[Solid, Solid], false), Verdict::Keep);
        assert_eq!(judge(&[Dangling, Solid], false), Verdict::Trim(vec![owner("1")]));
        assert_eq!(judge(&[Waiting, Solid], true), Verdict::Trim(vec![owner("1")]));
        assert_eq!(judge(&[Dangling, Dangling], true), Verdict::Delete(Policy::Background));
        assert_eq!(judge(&[Waiting], false), Verdict::Delete(Policy::Background));
        assert_eq!(judge(&[Waiting, Dangling], true), Verdict::Delete(Policy::Foreground));
    }

    #[test]
    fn an_owner_that_is_named_wrongly_is_another_one() {
        let thing = |namespace: &str| {
            let meta =
                ObjectMeta { namespace: Some(namespace.into()), name: Some("d".into()), ..ObjectMeta::default() };
            Thing::new(Arc::new(Row::some("", "v1", "ConfigMap", "configmaps", true, "")), &meta)
        };
        let named = |name: &str| OwnerReference { uid: "u".into(), ..owner(name) };
        let absent = Absent::of(&thing("a"), &named("no-such"));
        assert_eq!(absent, Absent::of(&thing("a"), &named("no-such")));
        assert_ne!(absent, Absent::of(&thing("a"), &named("web")));
        assert_ne!(absent, Absent::of(&thing("b"), &named("no-such")));
    }

    #[test]
    fn finalizers_of_the_object_choose_how_it_goes() {
        let meta = ObjectMeta { finalizers: Some(vec![FINALIZER_ORPHAN.into()]), ..ObjectMeta::default() };
        let gone = vec![(owner("a"), Standing::Dangling)];
        assert_eq!(verdict(gone, &meta, false), Verdict::Delete(Policy::Orphan));
    }
}
