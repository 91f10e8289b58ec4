//! What an agent may write into an object that it may write at all.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{BERTH, LEASE_NAMESPACE};

/// A write of an agent.
#[derive(Clone, Copy, Debug)]
pub struct Change<'a> {
    /// API group of the kind.
    pub group: &'a str,
    /// Plural name of the kind.
    pub resource: &'a str,
    /// Subresource, or "".
    pub subresource: &'a str,
    /// Namespace, or "".
    pub namespace: &'a str,
    /// Name of the object.
    pub name: &'a str,
    /// What was there; `None` for a create.
    pub old: Option<&'a Value>,
    /// What is to be there; `None` for a delete.
    pub new: Option<&'a Value>,
}

/// Labels under these domains belong to the system, but for some that tell what a machine is.
const SYSTEM_DOMAINS: &[&str] = &["kubernetes.io", "k8s.io", "berth.dev"];
/// Labels that only administrators set, so that tasks can be kept to trusted machines.
const RESTRICTED: &[&str] = &["node-restriction.kubernetes.io", "node-restriction.berth.dev"];
/// Prefixes and labels of the system that an agent may set.
const OWN_DOMAINS: &[&str] = &["kubelet.kubernetes.io", "node.kubernetes.io", "node.berth.dev"];
const OWN_LABELS: &[&str] = &[
    "kubernetes.io/hostname",
    "kubernetes.io/os",
    "kubernetes.io/arch",
    "topology.kubernetes.io/zone",
    "topology.kubernetes.io/region",
    "node.kubernetes.io/instance-type",
    "beta.kubernetes.io/os",
    "beta.kubernetes.io/arch",
];

/// Whether the agent of a node may write this.
///
/// # Errors
/// Why not, for a message.
pub fn may_write(node: &str, change: &Change<'_>) -> Result<(), String> {
    match (change.group, change.resource) {
        (BERTH, "nodes") => node_object(node, change),
        (BERTH, "tasks") => task(node, change),
        ("coordination.k8s.io", "leases") => lease(node, change),
        ("", "serviceaccounts") if change.subresource == "token" => token(node, change),
        _ => Ok(()),
    }
}

fn node_object(node: &str, change: &Change<'_>) -> Result<(), String> {
    if change.name != node {
        return Err(format!("node \"{node}\" is not allowed to modify node \"{}\"", change.name));
    }
    let Some(new) = change.new else { return Ok(()) };
    let labels = |object: Option<&Value>| {
        object.and_then(|o| o.pointer("/metadata/labels")).and_then(Value::as_object).cloned().unwrap_or_default()
    };
    let (before, after) = (labels(change.old), labels(Some(new)));
    let changed: BTreeSet<&str> = before
        .keys()
        .chain(after.keys())
        .filter(|key| before.get(*key) != after.get(*key))
        .map(String::as_str)
        .filter(|key| is_forbidden_label(key))
        .collect();
    if !changed.is_empty() {
        let verb = if change.old.is_some() { "modify" } else { "set the following" };
        let changed: Vec<&str> = changed.into_iter().collect();
        return Err(format!("node \"{node}\" is not allowed to {verb} labels: {}", changed.join(", ")));
    }
    let Some(old) = change.old else { return Ok(()) };
    let differ = |pointer: &str| old.pointer(pointer) != new.pointer(pointer);
    // Whoever could take its own taints off would draw tasks to itself that were kept away.
    if differ("/spec/taints") {
        return Err(format!("node \"{node}\" is not allowed to modify taints"));
    }
    if differ("/spec/unschedulable") {
        return Err(format!("node \"{node}\" is not allowed to modify spec.unschedulable"));
    }
    if differ("/metadata/ownerReferences") {
        return Err(format!("node \"{node}\" is not allowed to modify ownerReferences"));
    }
    Ok(())
}

fn is_forbidden_label(key: &str) -> bool {
    let Some((domain, _)) = key.split_once('/') else { return false };
    let under = |parent: &&str| domain == *parent || domain.strip_suffix(*parent).is_some_and(|d| d.ends_with('.'));
    if RESTRICTED.iter().any(under) {
        return true;
    }
    SYSTEM_DOMAINS.iter().any(under) && !OWN_DOMAINS.iter().any(under) && !OWN_LABELS.contains(&key)
}

fn task(node: &str, change: &Change<'_>) -> Result<(), String> {
    let (Some(old), Some(new)) = (change.old, change.new) else {
        return Err(format!("node \"{node}\" can neither create nor delete tasks"));
    };
    let bound_to = old.pointer("/spec/nodeName").and_then(Value::as_str).unwrap_or_default();
    if bound_to != node {
        return Err(format!("the task is bound to node \"{bound_to}\", not to \"{node}\""));
    }
    let same = |field: &str| old.pointer(field) == new.pointer(field);
    let kept = ["/spec", "/metadata/labels", "/metadata/annotations", "/metadata/ownerReferences"];
    if kept.into_iter().all(same) {
        return Ok(());
    }
    Err("an agent may change only the finalizers and the status of its tasks".to_owned())
}

fn lease(node: &str, change: &Change<'_>) -> Result<(), String> {
    if change.namespace != LEASE_NAMESPACE {
        return Err(format!("can only access leases in the \"{LEASE_NAMESPACE}\" system namespace"));
    }
    if change.name != node {
        return Err("can only access node lease with the same name as the requesting node".to_owned());
    }
    Ok(())
}

/// A token that an agent asks for dies with the task that it is for. Whether that task is on the node, and acts
/// under the account, the node authorizer has asked.
fn token(node: &str, change: &Change<'_>) -> Result<(), String> {
    let bound = change.new.and_then(|request| request.pointer("/spec/boundObjectRef"));
    let is = |field: &str, wanted: &str| bound.and_then(|b| b.get(field)).and_then(Value::as_str) == Some(wanted);
    let has = |field: &str| bound.and_then(|b| b.get(field)).and_then(Value::as_str).is_some_and(|v| !v.is_empty());
    if !is("kind", "Task") || !is("apiVersion", "berth.dev/v1") || !has("name") {
        return Err(format!("node requested token not bound to a task: node \"{node}\" must bind it to one"));
    }
    if !has("uid") {
        return Err(format!("node \"{node}\" requested token with a task binding without a uid"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn node_change<'a>(name: &'a str, old: Option<&'a Value>, new: &'a Value) -> Change<'a> {
        Change { group: BERTH, resource: "nodes", subresource: "", namespace: "", name, old, new: Some(new) }
    }

    #[test]
    fn an_agent_labels_itself_but_not_with_what_others_trust() {
        let with = |labels: Value| json!({"metadata": {"labels": labels}});
        let fine = with(json!({"kubernetes.io/hostname": "n1", "rack": "3", "example.com/x": "y"}));
        assert_eq!(may_write("n1", &node_change("n1", None, &fine)), Ok(()));
        for key in [
            "node-restriction.kubernetes.io/pci",
            "node-restriction.berth.dev/a",
            "x.berth.dev/a",
            "kubernetes.io/role",
        ] {
            let bad = with(json!({ (key): "1" }));
            assert!(may_write("n1", &node_change("n1", None, &bad)).is_err(), "{key}");
            // It may not take such a label off either.
            assert!(may_write("n1", &node_change("n1", Some(&bad), &fine)).is_err(), "{key}");
            assert_eq!(may_write("n1", &node_change("n1", Some(&bad), &bad)), Ok(()));
        }
        assert!(may_write("n1", &node_change("n2", None, &fine)).is_err());
    }

    #[test]
    fn an_agent_does_not_take_its_taints_off() {
        let tainted = json!({"spec": {"taints": [{"key": "k", "effect": "NoSchedule"}]}});
        let error = may_write("n1", &node_change("n1", Some(&tainted), &json!({"spec": {}}))).unwrap_err();
        assert_eq!(error, "node \"n1\" is not allowed to modify taints");
    }

    #[test]
    fn an_agent_writes_status_and_finalizers_of_its_tasks() {
        let change = |old: &Value, new: &Value| {
            let (old, new) = (Some(old), Some(new));
            let change =
                Change { group: BERTH, resource: "tasks", subresource: "", namespace: "a", name: "t", old, new };
            may_write("n1", &change)
        };
        let mine = json!({"metadata": {"finalizers": ["a"]}, "spec": {"nodeName": "n1"}});
        let done = json!({"metadata": {}, "spec": {"nodeName": "n1"}, "status": {"phase": "Running"}});
        let other = json!({"spec": {"nodeName": "n2"}});
        assert_eq!(change(&mine, &done), Ok(()));
        assert!(change(&mine, &other).is_err());
        assert!(change(&other, &other).is_err());
    }

    #[test]
    fn a_token_of_an_agent_is_bound_to_a_task() {
        let ask = |spec: Value| {
            let new = json!({ "spec": spec });
            let change = Change {
                group: "",
                resource: "serviceaccounts",
                subresource: "token",
                namespace: "a",
                name: "sa",
                old: None,
                new: Some(&new),
            };
            may_write("n1", &change)
        };
        assert!(ask(json!({})).is_err());
        assert!(
            ask(json!({"boundObjectRef": {"kind": "Secret", "apiVersion": "v1", "name": "s", "uid": "u"}})).is_err()
        );
        let task = json!({"kind": "Task", "apiVersion": "berth.dev/v1", "name": "t", "uid": "u"});
        assert_eq!(ask(json!({ "boundObjectRef": task })), Ok(()));
    }
}
