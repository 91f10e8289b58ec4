//! What placement knows: the engine's cluster, the tasks that wait, and the decisions that are being written.
//! Pure: told of objects as they are now, asked what to write; the worker does the rest.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use berth_offers::{Cluster, Decision, Pending, Protocol, Shape};
use berth_types::{Node, Role, Task};

use super::translate;
use crate::driver::Key;

/// A task that waits for a node.
#[derive(Clone, Debug)]
pub(crate) struct Waiting {
    uid: String,
    generation: Option<i64>,
    order: u64,
    /// `Err`: the task asks for something that cannot be read.
    shape: Result<Arc<Shape>, String>,
    /// Whether the engine has looked at it since it came.
    is_tried: bool,
    /// Why it is not placed, as last found out.
    why: Option<String>,
}

/// A task that has a node, told apart from what it was by little.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Bound {
    uid: String,
    generation: Option<i64>,
    node: String,
}

/// A decision on its way to the API server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Assumed {
    pub(crate) uid: String,
    pub(crate) node: String,
    pub(crate) ports: Vec<(Protocol, u16)>,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Book {
    cluster: Cluster,
    bound: HashMap<Key, Bound>,
    waiting: BTreeMap<Key, Waiting>,
    assumed: HashMap<Key, Assumed>,
    /// Tasks whose reason to wait changed since somebody last asked.
    reasons_changed: BTreeSet<Key>,
    /// Something was freed or added since the last run, so that what did not fit may fit now.
    has_opened: bool,
}

impl Book {
    /// A node as it is now; `None` when it is gone.
    pub(crate) fn node(&mut self, name: &str, node: Option<&Node>) {
        match node.map(translate::node) {
            Some(node) if self.cluster.node(name) == Some(&node) => return,
            Some(node) => self.cluster.set_node(node),
            None => self.cluster.remove_node(name),
        }
        self.has_opened = true;
    }

    /// A role as it is now; `None` when it is gone.
    pub(crate) fn role(&mut self, name: &str, role: Option<&Role>) {
        match role {
            Some(role) => self.cluster.set_role(name, translate::role(role)),
            None => self.cluster.remove_role(name),
        }
        self.has_opened = true;
    }

    /// A task as it is now; `None` when it is gone.
    pub(crate) fn task(&mut self, key: &Key, task: Option<&Task>) {
        let live = task.filter(|task| !task.status.as_ref().is_some_and(|status| status.phase.is_terminal()));
        let Some(task) = live else { return self.forget(key) };
        match task.spec.node_name.as_deref().filter(|node| !node.is_empty()) {
            Some(node) => self.bound(key, task, node),
            // Nothing holds it back: it is gone in a moment.
            None if task.metadata.deletion_timestamp.is_some() => self.forget(key),
            None => self.waits(key, task),
        }
    }

    fn forget(&mut self, key: &Key) {
        self.waiting.remove(key);
        self.bound.remove(key);
        self.assumed.remove(key);
        self.has_opened |= self.cluster.release(&key.to_string());
    }

    fn bound(&mut self, key: &Key, task: &Task, node: &str) {
        let (uid, generation) = identity(task);
        let bound = Bound { uid, generation, node: node.to_owned() };
        if self.bound.get(key) == Some(&bound) {
            return;
        }
        self.waiting.remove(key);
        // Bound elsewhere than we had decided, by somebody else: what we had set aside is free again.
        self.has_opened |= self.assumed.remove(key).is_some_and(|assumed| assumed.node != node);
        self.cluster.book(key.to_string(), translate::booking(task, node));
        self.bound.insert(key.clone(), bound);
    }

    fn waits(&mut self, key: &Key, task: &Task) {
        let (uid, generation) = identity(task);
        if self.assumed.get(key).is_some_and(|assumed| assumed.uid == uid) {
            return;
        }
        if self.waiting.get(key).is_some_and(|known| known.uid == uid && known.generation == generation) {
            return;
        }
        self.forget(key);
        let created = task.metadata.creation_timestamp.as_ref().map_or(0, |time| time.0.as_second());
        let shape = translate::shape(task).map(Arc::new);
        let order = u64::try_from(created).unwrap_or(0);
        let waiting = Waiting { uid, generation, order, shape, is_tried: false, why: None };
        self.waiting.insert(key.clone(), waiting);
    }

    /// Runs the engine over what waits and may fit, and gives the bindings to write. They are booked from now on,
    /// until the task is seen bound or [`Book::withdraw`] is called.
    pub(crate) fn decide(&mut self, port_offset: u32) -> Vec<(Key, Assumed)> {
        let all = std::mem::take(&mut self.has_opened);
        let mut keys: HashMap<String, Key> = HashMap::new();
        let mut pending = vec![];
        for (key, waiting) in self.waiting.iter_mut().filter(|(_, waiting)| all || !waiting.is_tried) {
            waiting.is_tried = true;
            match &waiting.shape {
                Ok(shape) => {
                    let task = key.to_string();
                    keys.insert(task.clone(), key.clone());
                    pending.push(Pending { task, order: waiting.order, shape: shape.clone() });
                }
                Err(wrong) if waiting.why.as_ref() == Some(wrong) => {}
                Err(wrong) => {
                    waiting.why = Some(wrong.clone());
                    self.reasons_changed.insert(key.clone());
                }
            }
        }
        if pending.is_empty() {
            return vec![];
        }
        let mut bindings = vec![];
        for decision in self.cluster.place(&pending, port_offset) {
            match decision {
                Decision::Bind { task, node, ports } => {
                    let Some(key) = keys.remove(&task) else { continue };
                    let Some(waiting) = self.waiting.remove(&key) else { continue };
                    let assumed = Assumed { uid: waiting.uid, node, ports };
                    self.assumed.insert(key.clone(), assumed.clone());
                    bindings.push((key, assumed));
                }
                Decision::Unplaceable { task, explanation } => {
                    let Some(key) = keys.remove(&task) else { continue };
                    let Some(waiting) = self.waiting.get_mut(&key) else { continue };
                    let why = explanation.to_string();
                    if waiting.why.as_ref() != Some(&why) {
                        waiting.why = Some(why);
                        self.reasons_changed.insert(key);
                    }
                }
            }
        }
        bindings
    }

    /// The binding was not written: what it held is free, and the task waits again once it is told of.
    pub(crate) fn withdraw(&mut self, key: &Key, uid: &str) {
        if self.assumed.get(key).is_some_and(|assumed| assumed.uid == uid) {
            self.forget(key);
        }
    }

    /// Tasks that are to be told why they wait: their reason changed since the last call.
    pub(crate) fn take_changed_reasons(&mut self) -> BTreeSet<Key> {
        std::mem::take(&mut self.reasons_changed)
    }

    /// Why a task waits; `None` when it does not, or when that is not known yet.
    pub(crate) fn reason(&self, key: &Key) -> Option<&str> {
        self.waiting.get(key)?.why.as_deref()
    }

    /// What waits, and why.
    #[cfg(test)]
    pub(crate) fn waiting(&self) -> &BTreeMap<Key, Waiting> {
        &self.waiting
    }

    /// What is set aside for a task whose binding is being written.
    #[cfg(test)]
    fn assumed(&self, key: &Key) -> Option<&berth_offers::Booking> {
        self.assumed.get(key).and_then(|_| self.cluster.booking(&key.to_string()))
    }
}

fn identity(task: &Task) -> (String, Option<i64>) {
    (task.metadata.uid.clone().unwrap_or_default(), task.metadata.generation)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn node(cpu: &str) -> Node {
        serde_json::from_value(json!({
            "apiVersion": "berth.dev/v1", "kind": "Node", "metadata": {"name": "n"}, "spec": {},
            "status": {
                "allocatable": {"cpu": cpu}, "portRanges": [{"begin": 31000, "end": 31001}],
                "conditions": [{"type": "Ready", "status": "True", "reason": "", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}],
            },
        }))
        .unwrap()
    }

    fn task(uid: &str, node: Option<&str>, phase: &str) -> Task {
        serde_json::from_value(json!({
            "apiVersion": "berth.dev/v1", "kind": "Task",
            "metadata": {"name": "t", "namespace": "d", "uid": uid, "generation": 1},
            "spec": {
                "nodeName": node,
                "containers": [{"name": "c", "ports": [{}], "resources": {"requests": {"cpu": "600m"}}}],
            },
            "status": {"phase": phase},
        }))
        .unwrap()
    }

    fn key(name: &str) -> Key {
        Key::new("d", name)
    }

    #[test]
    fn a_decision_is_booked_until_it_is_seen_and_not_twice() {
        let mut book = Book::default();
        book.node("n", Some(&node("1")));
        book.task(&key("t"), Some(&task("u", None, "Pending")));
        let bindings = book.decide(0);
        assert_eq!(bindings[0].1, Assumed { uid: "u".into(), node: "n".into(), ports: vec![(Protocol::Tcp, 31000)] });
        assert!(book.assumed(&key("t")).is_some());

        // The old state arrives once more: it is not placed again. Another task finds the node full.
        book.task(&key("t"), Some(&task("u", None, "Pending")));
        book.task(&key("other"), Some(&task("v", None, "Pending")));
        assert_eq!(book.decide(0), []);
        assert_eq!(book.waiting()[&key("other")].why.as_deref(), Some("0 of 1 nodes fit: 1: cpu short by 200m"));

        book.task(&key("t"), Some(&task("u", Some("n"), "Running")));
        assert!(book.assumed(&key("t")).is_none());
        assert_eq!(book.decide(0), []);

        // It ends: what it held is free at once.
        book.task(&key("t"), Some(&task("u", Some("n"), "Failed")));
        assert_eq!(book.decide(0).len(), 1);
    }

    #[test]
    fn a_binding_that_failed_frees_what_it_held_and_the_task_is_placed_again() {
        let mut book = Book::default();
        book.node("n", Some(&node("1")));
        book.task(&key("t"), Some(&task("u", None, "Pending")));
        assert_eq!(book.decide(0).len(), 1);
        book.withdraw(&key("t"), "u");
        assert!(book.cluster.booking("d/t").is_none());
        book.task(&key("t"), Some(&task("u", None, "Pending")));
        assert_eq!(book.decide(0).len(), 1);
    }

    #[test]
    fn a_task_that_did_not_fit_is_looked_at_again_when_something_opens() {
        let mut book = Book::default();
        book.node("n", Some(&node("500m")));
        book.task(&key("t"), Some(&task("u", None, "Pending")));
        assert_eq!(book.decide(0), []);
        // The status that placement itself writes comes back: no reason to run again.
        book.task(&key("t"), Some(&task("u", None, "Pending")));
        book.node("n", Some(&node("500m")));
        assert!(!book.has_opened);
        book.node("n", Some(&node("600m")));
        assert_eq!(book.decide(0).len(), 1);
    }

    #[test]
    fn a_book_made_anew_from_the_objects_places_nothing_twice() {
        let mut book = Book::default();
        // Objects come in any order: tasks before their node, too.
        book.task(&key("t"), Some(&task("u", Some("n"), "Running")));
        book.task(&key("other"), Some(&task("v", None, "Pending")));
        book.node("n", Some(&node("1")));
        assert_eq!(book.decide(0), []);
        book.node("n", None);
        book.decide(0);
        assert_eq!(book.waiting()[&key("other")].why.as_deref(), Some("there are no nodes"));
    }

    #[test]
    fn a_task_made_anew_under_the_same_name_is_another_task() {
        let mut book = Book::default();
        book.node("n", Some(&node("1")));
        book.task(&key("t"), Some(&task("u", None, "Pending")));
        book.decide(0);
        book.task(&key("t"), Some(&task("second", None, "Pending")));
        assert_eq!(book.decide(0)[0].1.uid, "second");
        book.withdraw(&key("t"), "u");
        assert!(book.assumed(&key("t")).is_some());
    }
}
