//! What is bound to which node, as the caches know it.

use berth_access::node::{self, Graph, Kind, Place};
use berth_store::cache::{Entry, Snapshot};
use serde_json::Value;

use crate::registry::Rows;

/// The tasks of the rows, seen as who needs what.
pub(super) struct Bound<'a>(pub &'a Rows);

impl Bound<'_> {
    fn tasks(&self) -> Option<Snapshot> {
        self.0.any_version(berth_types::GROUP, "tasks").map(|row| row.storage.cache.snapshot())
    }

    /// Whether a task on the node acts under this service account.
    pub(super) fn acts_as(&self, node: &str, namespace: &str, task: &str, account: &str) -> Result<(), String> {
        let tasks = self.tasks().unwrap_or_default();
        let entry = tasks.get(namespace, task).filter(|task| task.field("spec.nodeName") == node);
        if entry.is_some_and(|task| names(task, Kind::ServiceAccount, account)) {
            return Ok(());
        }
        Err(format!(
            "node requested token bound to a task scheduled on a different node: \"{task}\" is not on \"{node}\""
        ))
    }
}

impl Graph for Bound<'_> {
    fn names(&self, node: &str, kind: Kind, namespace: &str, name: &str) -> bool {
        let Some(tasks) = self.tasks() else { return false };
        tasks
            .after(Some(namespace), None)
            .filter(|task| task.namespace() == namespace && task.field("spec.nodeName") == node)
            .any(|task| names(task, kind, name))
    }

    fn task(&self, node: &str, namespace: &str, name: &str) -> Place {
        match self.tasks().as_ref().and_then(|tasks| tasks.get(namespace, name)) {
            Some(task) if task.field("spec.nodeName") == node => Place::Here,
            Some(_) => Place::Elsewhere,
            None => Place::Nowhere,
        }
    }

    fn is_foreign_request(&self, user: &str, request: &str) -> bool {
        let Some(row) = self.0.any_version("certificates.k8s.io", "certificatesigningrequests") else { return false };
        let Some(found) = row.storage.cache.get("", request) else { return false };
        serde_json::from_slice::<Value>(&found.json()).is_ok_and(|request| request["spec"]["username"] != user)
    }
}

/// Whether a task names an object.
fn names(task: &Entry, kind: Kind, name: &str) -> bool {
    let text = task.json();
    // Names have nothing that JSON escapes: what is not in the text is not in the object. Most tasks need no parsing.
    let may_name = || std::str::from_utf8(&text).is_ok_and(|text| text.contains(name));
    if kind != Kind::ServiceAccount && !may_name() {
        return false;
    }
    serde_json::from_slice::<Value>(&text).is_ok_and(|task| node::names(&task["spec"], kind, name))
}
