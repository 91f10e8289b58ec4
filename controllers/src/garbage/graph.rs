//! Who owns whom, as the watches told it: pure. Every change says whom it is worth looking at.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

use crate::driver::{Key, Row};

pub(crate) const FINALIZER_FOREGROUND: &str = "foregroundDeletion";
pub(crate) const FINALIZER_ORPHAN: &str = "orphan";

pub(crate) type Uid = Arc<str>;

/// What is kept of an object.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Thing {
    pub(crate) row: Arc<Row>,
    pub(crate) key: Key,
    pub(crate) owners: Vec<OwnerReference>,
    pub(crate) stage: Stage,
}

/// Where an object is in its life, as far as its dependents care.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Lives,
    /// Being deleted; nothing for us to do about it.
    Goes,
    /// Being deleted after its dependents.
    WaitsForDependents,
    /// Being deleted once its dependents are let go of.
    LetsGo,
}

impl Thing {
    pub(crate) fn new(row: Arc<Row>, meta: &ObjectMeta) -> Self {
        let owners = meta.owner_references.clone().unwrap_or_default();
        Self { row, key: Key::of(meta), owners, stage: Stage::of(meta) }
    }
}

impl Stage {
    pub(crate) fn of(meta: &ObjectMeta) -> Self {
        Self::at(meta.deletion_timestamp.is_some(), meta.finalizers.iter().flatten().map(String::as_str))
    }

    /// The stage of an object that is being deleted, or not, and has these finalizers.
    pub(crate) fn at<'a>(is_deleting: bool, finalizers: impl Iterator<Item = &'a str>) -> Self {
        if !is_deleting {
            return Self::Lives;
        }
        let mut stage = Self::Goes;
        for name in finalizers {
            match name {
                FINALIZER_ORPHAN => return Self::LetsGo,
                FINALIZER_FOREGROUND => stage = Self::WaitsForDependents,
                _ => {}
            }
        }
        stage
    }
}

/// What there is to do about an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Task {
    Nothing,
    /// Find out whether its owners are there.
    CheckOwners,
    /// Its last blocking dependent is gone: it may go.
    EndForeground,
    /// Take it out of these objects' owner references, then let it go.
    Orphan(Vec<Uid>),
}

#[derive(Debug, Default)]
pub(crate) struct Graph {
    things: HashMap<Uid, Thing>,
    dependents: HashMap<Uid, HashSet<Uid>>,
}

impl Graph {
    /// An object is there, or changed. Gives the uids that are worth a look.
    pub(crate) fn put(&mut self, uid: &Uid, thing: Thing) -> Vec<Uid> {
        if self.things.get(uid) == Some(&thing) {
            return vec![];
        }
        let mut look = vec![uid.clone()];
        let new_stage = thing.stage;
        let old = self.things.insert(uid.clone(), thing);
        let old_owners = old.as_ref().map(|old| old.owners.clone()).unwrap_or_default();
        self.unlink(uid, &old_owners);
        let owners = self.things[uid].owners.clone();
        for owner in &owners {
            self.dependents.entry(owner.uid.as_str().into()).or_default().insert(uid.clone());
        }
        // An owner that waited for this one may have nothing to wait for any more.
        look.extend(self.waiting_among(old_owners.iter().chain(&owners)));
        let is_first = old.is_none();
        if new_stage == Stage::WaitsForDependents && old.is_none_or(|old| old.stage != new_stage) {
            look.extend(self.dependents(uid));
        } else if is_first {
            // References to it that name it wrongly are references to something that is not there.
            let wrong = |dependent: &Uid| !self.is_named_rightly(dependent, uid);
            look.extend(self.dependents(uid).into_iter().filter(wrong));
        }
        look
    }

    /// An object is gone. Gives the uids that are worth a look.
    pub(crate) fn remove(&mut self, uid: &str) -> Vec<Uid> {
        let Some((uid, thing)) = self.things.remove_entry(uid) else { return vec![] };
        self.unlink(&uid, &thing.owners);
        let mut look = self.dependents(&uid);
        look.extend(self.waiting_among(&thing.owners));
        look
    }

    /// A fresh list of a kind: whatever of it is not listed is gone.
    pub(crate) fn keep_only(&mut self, row: &Row, listed: &HashSet<Uid>) -> (Vec<Uid>, Vec<Uid>) {
        let of_kind = self.things.iter().filter(|(uid, thing)| *thing.row == *row && !listed.contains(*uid));
        let gone: Vec<Uid> = of_kind.map(|(uid, _)| uid.clone()).collect();
        let look = gone.iter().flat_map(|uid| self.remove(uid)).collect();
        (gone, look)
    }

    pub(crate) fn get(&self, uid: &str) -> Option<&Thing> {
        self.things.get(uid)
    }

    pub(crate) fn dependents(&self, uid: &str) -> Vec<Uid> {
        self.dependents.get(uid).into_iter().flatten().cloned().collect()
    }

    /// What there is to do about an object, as far as the graph knows.
    pub(crate) fn task(&self, uid: &str) -> Task {
        let Some(thing) = self.things.get(uid) else { return Task::Nothing };
        match thing.stage {
            Stage::LetsGo => Task::Orphan(self.dependents(uid)),
            Stage::WaitsForDependents if !self.is_blocked(uid) => Task::EndForeground,
            Stage::Lives if thing.owners.iter().any(|owner| self.is_suspect(thing, owner)) => Task::CheckOwners,
            Stage::Lives | Stage::Goes | Stage::WaitsForDependents => Task::Nothing,
        }
    }

    /// Whether the owner is known to be there, as this dependent names it, and to stay.
    pub(crate) fn is_solid(&self, thing: &Thing, owner: &OwnerReference) -> bool {
        !self.is_suspect(thing, owner)
    }

    fn is_suspect(&self, thing: &Thing, owner: &OwnerReference) -> bool {
        let Some(known) = self.things.get(owner.uid.as_str()) else { return true };
        !names(owner, thing, known) || known.stage == Stage::WaitsForDependents
    }

    /// Whether the owner lives in another namespace than the one that it is looked for in.
    pub(crate) fn is_elsewhere(&self, thing: &Thing, owner: &OwnerReference) -> bool {
        let known = self.things.get(owner.uid.as_str());
        known.is_some_and(|known| known.row.namespaced && known.key.namespace != thing.key.namespace)
    }

    /// Whether the object has a dependent that waits for its own dependents already: a circle, perhaps.
    pub(crate) fn has_waiting_dependent(&self, uid: &str) -> bool {
        let stage = |dependent: &Uid| self.things.get(dependent).map(|thing| thing.stage);
        self.dependents(uid).iter().any(|dependent| stage(dependent) == Some(Stage::WaitsForDependents))
    }

    fn is_blocked(&self, uid: &str) -> bool {
        let blocks = |dependent: &Uid| {
            let owners = self.things.get(dependent).map(|thing| thing.owners.as_slice()).unwrap_or_default();
            owners.iter().any(|owner| owner.uid == uid && owner.block_owner_deletion == Some(true))
        };
        self.dependents(uid).iter().any(blocks)
    }

    fn waiting_among<'a>(&self, owners: impl IntoIterator<Item = &'a OwnerReference>) -> Vec<Uid> {
        let known = owners.into_iter().filter_map(|owner| self.things.get_key_value(owner.uid.as_str()));
        known.filter(|(_, thing)| thing.stage == Stage::WaitsForDependents).map(|(uid, _)| uid.clone()).collect()
    }

    fn is_named_rightly(&self, dependent: &Uid, owner: &Uid) -> bool {
        let (Some(thing), Some(known)) = (self.things.get(dependent), self.things.get(owner)) else { return true };
        thing
            .owners
            .iter()
            .filter(|reference| *reference.uid == **owner)
            .all(|reference| names(reference, thing, known))
    }

    fn unlink(&mut self, uid: &Uid, owners: &[OwnerReference]) {
        for owner in owners {
            if let Some(dependents) = self.dependents.get_mut(owner.uid.as_str()) {
                dependents.remove(uid);
                if dependents.is_empty() {
                    self.dependents.remove(owner.uid.as_str());
                }
            }
        }
    }
}

/// Whether the reference of `thing` names the owner rightly: group, kind, name, and a namespace that it can mean.
fn names(reference: &OwnerReference, thing: &Thing, owner: &Thing) -> bool {
    let group = reference.api_version.split_once('/').map_or("", |(group, _)| group);
    let is_reachable = !owner.row.namespaced || owner.key.namespace == thing.key.namespace;
    group == owner.row.group && reference.kind == owner.row.kind && reference.name == owner.key.name && is_reachable
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> Arc<Row> {
        Arc::new(Row::new("berth.dev", "v1", "Task", "tasks", true))
    }

    fn uid(name: &str) -> Uid {
        name.into()
    }

    fn owner(name: &str, blocks: bool) -> OwnerReference {
        OwnerReference {
            api_version: "berth.dev/v1".into(),
            kind: "Task".into(),
            name: name.into(),
            uid: name.into(),
            controller: None,
            block_owner_deletion: Some(blocks),
        }
    }

    fn thing(name: &str, owners: &[OwnerReference], stage: Stage) -> Thing {
        Thing { row: row(), key: Key::new("d", name), owners: owners.to_vec(), stage }
    }

    fn sorted(mut uids: Vec<Uid>) -> Vec<Uid> {
        uids.sort();
        uids.dedup();
        uids
    }

    #[test]
    fn dependents_are_looked_at_when_their_owner_goes() {
        let mut graph = Graph::default();
        graph.put(&uid("o"), thing("o", &[], Stage::Lives));
        graph.put(&uid("a"), thing("a", &[owner("o", true)], Stage::Lives));
        assert_eq!(graph.task("a"), Task::Nothing);
        assert_eq!(graph.remove("o"), [uid("a")]);
        assert_eq!(graph.task("a"), Task::CheckOwners);
        // The watch may tell of the dependent first: an owner that was never seen is suspect, too.
        assert_eq!(graph.put(&uid("b"), thing("b", &[owner("x", true)], Stage::Lives)), [uid("b")]);
        assert_eq!(graph.task("b"), Task::CheckOwners);
    }

    #[test]
    fn an_owner_in_the_foreground_waits_for_those_that_block_only() {
        let mut graph = Graph::default();
        graph.put(&uid("o"), thing("o", &[], Stage::Lives));
        graph.put(&uid("a"), thing("a", &[owner("o", true)], Stage::Lives));
        graph.put(&uid("b"), thing("b", &[owner("o", false)], Stage::Lives));
        let look = graph.put(&uid("o"), thing("o", &[], Stage::WaitsForDependents));
        assert_eq!(sorted(look), [uid("a"), uid("b"), uid("o")]);
        assert_eq!(
            (graph.task("o"), graph.task("a"), graph.task("b")),
            (Task::Nothing, Task::CheckOwners, Task::CheckOwners)
        );
        assert_eq!(graph.remove("a"), [uid("o")]);
        assert_eq!(graph.task("o"), Task::EndForeground);
    }

    #[test]
    fn an_owner_of_the_wrong_name_or_namespace_is_suspect() {
        let mut graph = Graph::default();
        let mut other = thing("o", &[], Stage::Lives);
        other.key.namespace = "elsewhere".into();
        let dependent = thing("a", &[owner("o", true)], Stage::Lives);
        graph.put(&uid("a"), dependent.clone());
        assert_eq!(sorted(graph.put(&uid("o"), other)), [uid("a"), uid("o")]);
        assert_eq!(graph.task("a"), Task::CheckOwners);
        assert!(graph.is_elsewhere(&dependent, &owner("o", true)));
    }

    #[test]
    fn a_list_tells_what_is_gone() {
        let mut graph = Graph::default();
        graph.put(&uid("o"), thing("o", &[], Stage::Lives));
        graph.put(&uid("a"), thing("a", &[owner("o", true)], Stage::Lives));
        let (gone, look) = graph.keep_only(&row(), &HashSet::from([uid("a")]));
        assert_eq!((gone, look), (vec![uid("o")], vec![uid("a")]));
    }

    #[test]
    fn orphans_are_all_dependents() {
        let mut graph = Graph::default();
        graph.put(&uid("a"), thing("a", &[owner("o", true)], Stage::Lives));
        graph.put(&uid("o"), thing("o", &[], Stage::LetsGo));
        assert_eq!(graph.task("o"), Task::Orphan(vec![uid("a")]));
    }
}
