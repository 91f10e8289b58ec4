//! What an agent may do: only what concerns its node. Whoever takes over a machine gets what runs on it, not the
//! cluster.
//!
//! [`authorize`] judges a request by what it names; [`may_write`](writes::may_write) judges an object that an agent
//! writes, which no request line tells. Upstream has the same two: the node authorizer and `NodeRestriction`.

mod references;
mod writes;

pub use references::{Kind, names};
pub use writes::{Change, may_write};

use crate::attributes::{Attributes, Resource, User};

/// The agents' group.
pub const GROUP_NODES: &str = "system:nodes";
/// Prefix of an agent's user name.
pub const USER_PREFIX: &str = "system:node:";
/// Namespace of the agents' Leases.
pub const LEASE_NAMESPACE: &str = "berth-node-lease";
/// The group of our own kinds.
const BERTH: &str = "berth.dev";

/// What is bound to which node, as the store says now.
pub trait Graph {
    /// Whether a task on the node names this object.
    fn names(&self, node: &str, kind: Kind, namespace: &str, name: &str) -> bool;
    /// Where a task is.
    fn task(&self, node: &str, namespace: &str, name: &str) -> Place;
    /// Whether somebody else made the certificate signing request. One that is not there is nobody else's: an agent
    /// that just made it may be ahead of what is known here.
    fn is_foreign_request(&self, user: &str, request: &str) -> bool;
}

/// Where a task is, seen from a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Bound to the node.
    Here,
    /// Bound to another node, or to none.
    Elsewhere,
    /// Not there. The agent may ask for it, and learns from the 404 that its task is gone.
    Nowhere,
}

/// The node authorizer's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It concerns the node.
    Allow,
    /// It does not, for this reason; another authorizer may still allow it.
    NoOpinion(String),
}

/// The node that a user is the agent of.
pub fn node_of<'a>(user: &User<'a>) -> Option<&'a str> {
    if !user.is_in(GROUP_NODES) {
        return None;
    }
    user.name.strip_prefix(USER_PREFIX).filter(|node| !node.is_empty())
}

/// Whether the agent of a node may do this.
pub fn authorize(node: &str, user: &User<'_>, attributes: &Attributes<'_>, graph: &dyn Graph) -> Answer {
    let Attributes::Resource(wanted) = attributes else { return no("") };
    let reads = matches!(wanted.verb, "get" | "list" | "watch");
    let changes = matches!(wanted.verb, "update" | "patch");
    match (wanted.group, wanted.resource, wanted.subresource) {
        (BERTH, "tasks", "") if reads => task_read(node, wanted, graph),
        // Finalizers and status: what else a write changes is judged when the object is at hand.
        (BERTH, "tasks", "" | "status") if changes => {
            related(node, graph.task(node, wanted.namespace, wanted.name) != Place::Elsewhere)
        }
        (BERTH, "nodes", "") if reads || changes => own_name(node, wanted),
        (BERTH, "nodes", "") if wanted.verb == "create" => own_name_or_unnamed(node, wanted),
        (BERTH, "nodes", "status") if changes => own_name(node, wanted),
        (BERTH, "volumes", "") if wanted.verb == "get" => named(node, Kind::Volume, wanted, graph),
        ("", "secrets", "") if reads => named(node, Kind::Secret, wanted, graph),
        ("", "configmaps", "") if reads => named(node, Kind::ConfigMap, wanted, graph),
        ("", "serviceaccounts", "") if wanted.verb == "get" => named(node, Kind::ServiceAccount, wanted, graph),
        ("", "serviceaccounts", "token") if wanted.verb == "create" => named(node, Kind::ServiceAccount, wanted, graph),
        ("coordination.k8s.io", "leases", "") => lease(node, wanted),
        ("" | "events.k8s.io", "events", "") if changes || wanted.verb == "create" => Answer::Allow,
        ("certificates.k8s.io", "certificatesigningrequests", "") => request(user, wanted, graph),
        ("authentication.k8s.io", "tokenreviews", "")
        | ("authorization.k8s.io", "subjectaccessreviews" | "localsubjectaccessreviews", "")
            if wanted.verb == "create" =>
        {
            Answer::Allow
        }
        _ => no(""),
    }
}

fn no(reason: impl Into<String>) -> Answer {
    Answer::NoOpinion(reason.into())
}

fn related(node: &str, is_related: bool) -> Answer {
    if is_related { Answer::Allow } else { no(format!("no relationship found between node '{node}' and this object")) }
}

/// A task is read by name when it is bound to the node, and listed by a field selector that leaves the node's only.
fn task_read(node: &str, wanted: &Resource<'_>, graph: &dyn Graph) -> Answer {
    if wanted.verb == "get" {
        return related(node, graph.task(node, wanted.namespace, wanted.name) != Place::Elsewhere);
    }
    if wanted.fields.iter().any(|term| term.path == "spec.nodeName" && term.value == node) {
        return Answer::Allow;
    }
    no("can only list/watch tasks with spec.nodeName field selector")
}

fn own_name(node: &str, wanted: &Resource<'_>) -> Answer {
    if wanted.name == node {
        return Answer::Allow;
    }
    no(format!("node '{node}' cannot {} other nodes", if wanted.verb == "get" { "read" } else { wanted.verb }))
}

/// A create has no name in its path: the object's own is compared by [`may_write`](writes::may_write).
fn own_name_or_unnamed(node: &str, wanted: &Resource<'_>) -> Answer {
    if wanted.name.is_empty() { Answer::Allow } else { own_name(node, wanted) }
}

fn named(node: &str, kind: Kind, wanted: &Resource<'_>, graph: &dyn Graph) -> Answer {
    if wanted.name.is_empty() || wanted.namespace.is_empty() {
        return no("No Object name found");
    }
    related(node, graph.names(node, kind, wanted.namespace, wanted.name))
}

fn lease(node: &str, wanted: &Resource<'_>) -> Answer {
    if !matches!(wanted.verb, "get" | "create" | "update" | "patch" | "delete") {
        return no("can only get, create, update, patch, or delete a node lease");
    }
    if wanted.namespace != LEASE_NAMESPACE {
        return no(format!("can only access leases in the \"{LEASE_NAMESPACE}\" system namespace"));
    }
    let unnamed_create = wanted.verb == "create" && wanted.name.is_empty();
    if !unnamed_create && wanted.name != node {
        return no("can only access node lease with the same name as the requesting node");
    }
    Answer::Allow
}

fn request(user: &User<'_>, wanted: &Resource<'_>, graph: &dyn Graph) -> Answer {
    match wanted.verb {
        "create" => Answer::Allow,
        "get" | "list" | "watch" if !wanted.name.is_empty() && !graph.is_foreign_request(user.name, wanted.name) => {
            Answer::Allow
        }
        _ => no("can only access certificate signing requests of its own"),
    }
}

#[cfg(test)]
mod tests;
