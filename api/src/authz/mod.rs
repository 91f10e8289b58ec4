//! What a user may do: a fixed table of groups, which role-based rules will replace.
//!
//! Decided from the request alone, before the object is looked at; what depends on the object (an agent and
//! its own tasks) is asked in the write path through [`may_write_task`].

use std::borrow::Cow;

use serde_json::Value;

use crate::authn::{GROUP_AUTHENTICATED, GROUP_CONTROLLERS, GROUP_MASTERS, GROUP_NODES, NODE_USER_PREFIX, UserInfo};
use crate::inner::Inner;
use crate::registry::{ReviewKind, Rows};
use crate::request::{RequestInfo, ResourcePath, Verb};
use crate::status::{ApiError, Named};
use crate::write::Write;

/// One thing that members of [`GROUP_NODES`] may do.
struct Allow {
    group: &'static str,
    /// `tasks`, or `tasks/status`.
    resource: &'static str,
    verbs: &'static [Verb],
    scope: Scope,
}

/// On which objects.
enum Scope {
    All,
    /// The object that bears the node's name.
    OwnName,
    /// The same, in one namespace.
    OwnNameIn(&'static str),
    /// Tasks bound to the node: checked when the object is at hand.
    OwnTasks,
    /// Secrets that a task bound to the node names: checked by [`may_read_secret`].
    OwnSecrets,
}

const READ: &[Verb] = &[Verb::Get, Verb::List, Verb::Watch];
const WRITE: &[Verb] = &[Verb::Create, Verb::Update, Verb::Patch];
const CHANGE: &[Verb] = &[Verb::Update, Verb::Patch];

const NODE_RULES: &[Allow] = &[
    Allow { group: "berth.dev", resource: "tasks", verbs: READ, scope: Scope::All },
    Allow { group: "berth.dev", resource: "services", verbs: READ, scope: Scope::All },
    Allow { group: "berth.dev", resource: "nodes", verbs: READ, scope: Scope::All },
    Allow { group: "", resource: "configmaps", verbs: READ, scope: Scope::All },
    Allow { group: "", resource: "secrets", verbs: &[Verb::Get], scope: Scope::OwnSecrets },
    Allow { group: "", resource: "namespaces", verbs: READ, scope: Scope::All },
    Allow { group: "berth.dev", resource: "nodes", verbs: WRITE, scope: Scope::OwnName },
    Allow { group: "berth.dev", resource: "nodes/status", verbs: CHANGE, scope: Scope::OwnName },
    Allow {
        group: "coordination.k8s.io",
        resource: "leases",
        verbs: &[Verb::Get, Verb::Create, Verb::Update, Verb::Patch],
        scope: Scope::OwnNameIn(berth_types::names::NODE_LEASE_NAMESPACE),
    },
    Allow { group: "", resource: "events", verbs: WRITE, scope: Scope::All },
    Allow { group: "events.k8s.io", resource: "events", verbs: WRITE, scope: Scope::All },
    Allow { group: "berth.dev", resource: "tasks/status", verbs: CHANGE, scope: Scope::OwnTasks },
    Allow { group: "berth.dev", resource: "tasks", verbs: CHANGE, scope: Scope::OwnTasks },
];

fn is_almighty(user: &UserInfo) -> bool {
    user.is_in(GROUP_MASTERS) || user.is_in(GROUP_CONTROLLERS)
}

/// The node that a user is the agent of.
pub(crate) fn node_of(user: &UserInfo) -> Option<&str> {
    if !user.is_in(GROUP_NODES) {
        return None;
    }
    user.name.strip_prefix(NODE_USER_PREFIX).filter(|n| !n.is_empty())
}

/// What was decided of a request, and why: the reason goes into the audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Decision {
    pub allowed: bool,
    pub reason: Cow<'static, str>,
}

impl Decision {
    fn of(allowed: bool) -> Self {
        Self { allowed, reason: Cow::Borrowed("") }
    }
}

/// Whether a user may do this.
pub(crate) fn authorize(server: &Inner, user: &UserInfo, info: &RequestInfo<'_>) -> Decision {
    match info.resource {
        Some(path) => {
            let may = may_resource(user, info.verb, path);
            Decision::of(may && may_read_secret(user, path, &server.registry.rows()))
        }
        None => Decision::of(may_path(user, info.verb, info.path)),
    }
}

/// 403 with the words of Kubernetes.
pub(crate) fn forbidden(user: &UserInfo, info: &RequestInfo<'_>, reason: &str) -> ApiError {
    let Some(path) = info.resource else { return ApiError::forbidden_path(&user.name, info.verb, info.path) };
    let full = full_name(path);
    let at = match info.namespace() {
        "" => "at the cluster scope".to_owned(),
        ns => format!("in the namespace \"{ns}\""),
    };
    let because = if reason.is_empty() { String::new() } else { format!(": {reason}") };
    let why = format!(
        "User \"{}\" cannot {} resource \"{full}\" in API group \"{}\" {at}{because}",
        user.name, info.verb, path.group
    );
    ApiError::forbidden(Named { group: &path.group, plural: &path.plural }, info.name, &why)
}

/// `tasks`, or `tasks/status`.
fn full_name(path: &ResourcePath) -> String {
    match &path.subresource {
        Some(sub) => format!("{}/{sub}", path.plural),
        None => path.plural.clone(),
    }
}

fn may_resource(user: &UserInfo, verb: &str, path: &ResourcePath) -> bool {
    let is_review = path.group == "authentication.k8s.io" && path.plural == "selfsubjectreviews";
    if is_almighty(user) || is_review && user.is_in(GROUP_AUTHENTICATED) {
        return true;
    }
    let Some(node) = node_of(user) else { return false };
    let full = full_name(path);
    NODE_RULES.iter().any(|rule| {
        rule.group == path.group
            && rule.resource == full
            && rule.verbs.iter().any(|v| v.as_str() == verb)
            && match rule.scope {
                Scope::All | Scope::OwnTasks | Scope::OwnSecrets => true,
                Scope::OwnName => has_name(path, verb, node),
                Scope::OwnNameIn(ns) => path.namespace.as_deref() == Some(ns) && has_name(path, verb, node),
            }
    })
}

/// A create has no name in its path; the write path compares the body's through [`may_create`].
fn has_name(path: &ResourcePath, verb: &str, node: &str) -> bool {
    path.name.as_deref() == Some(node) || (verb == "create" && path.name.is_none())
}

/// Whether the user may create an object of this name: an agent makes its own Node and Lease only.
///
/// # Errors
/// 403.
pub(crate) fn may_create(w: &Write<'_>, name: &str, _object: &Value) -> Result<(), ApiError> {
    let (user, path) = (w.user, w.path);
    let Some(node) = node_of(user).filter(|_| !is_almighty(user)) else { return Ok(()) };
    // An apply of an absent object creates, too: only what may be created at all is allowed here.
    let allowed = match path.plural.as_str() {
        "events" => true,
        "nodes" | "leases" => name == node,
        _ => false,
    };
    if allowed {
        return Ok(());
    }
    let named = Named { group: &path.group, plural: &path.plural };
    Err(ApiError::forbidden(named, name, &format!("the agent of node \"{node}\" may create only its own")))
}

/// Whether the user may make this change of an object; asked when both states are known.
///
/// # Errors
/// 403.
pub(crate) fn may_update(w: &Write<'_>, old: &Value, new: &Value) -> Result<(), ApiError> {
    may_write_task(w.user, w.path, old, new)
}

/// Whether the user may change this Task: an agent changes only the status and the finalizers of tasks that
/// are bound to its node.
///
/// # Errors
/// 403.
fn may_write_task(user: &UserInfo, path: &ResourcePath, old: &Value, new: &Value) -> Result<(), ApiError> {
    let Some(node) = node_of(user).filter(|_| !is_almighty(user)) else { return Ok(()) };
    if path.group != "berth.dev" || path.plural != "tasks" {
        return Ok(());
    }
    let name = path.name.as_deref().unwrap_or_default();
    let deny = |why: String| Err(ApiError::forbidden(Named { group: &path.group, plural: &path.plural }, name, &why));
    let bound_to = old.pointer("/spec/nodeName").and_then(Value::as_str).unwrap_or_default();
    if bound_to != node {
        return deny(format!("the task is bound to node \"{bound_to}\", not to \"{node}\""));
    }
    if path.subresource.is_none() {
        let meta = |value: &Value, field: &str| value.pointer(&format!("/metadata/{field}")).cloned();
        let same = old.get("spec") == new.get("spec")
            && ["labels", "annotations", "ownerReferences"].iter().all(|f| meta(old, f) == meta(new, f));
        if !same {
            return deny("an agent may change only the finalizers and the status of its tasks".to_owned());
        }
    }
    Ok(())
}

/// Whether the user may read this Secret: an agent reads only what a task that is bound to its node names. Whoever
/// takes over a node does not get the secrets of the others.
fn may_read_secret(user: &UserInfo, path: &ResourcePath, rows: &Rows) -> bool {
    let Some(node) = node_of(user).filter(|_| !is_almighty(user)) else { return true };
    if !path.group.is_empty() || path.plural != "secrets" {
        return true;
    }
    let name = path.name.as_deref().unwrap_or_default();
    rows.find(berth_types::GROUP, "v1", "tasks").is_some_and(|row| {
        let tasks = row.storage.cache.snapshot();
        tasks
            .after(path.namespace.as_deref(), None)
            .filter(|task| path.namespace.as_deref() == Some(task.namespace()) && task.field("spec.nodeName") == node)
            .any(|task| {
                serde_json::from_slice::<Value>(&task.json()).is_ok_and(|task| names_secret(&task["spec"], name))
            })
    })
}

/// Whether a part of a task refers to a Secret, by an environment variable or a volume.
fn names_secret(value: &Value, name: &str) -> bool {
    match value {
        Value::Object(map) => map.iter().any(|(field, value)| match field.as_str() {
            "secretKeyRef" | "secretRef" => value["name"] == name,
            "secret" => value["secretName"] == name,
            _ => names_secret(value, name),
        }),
        Value::Array(items) => items.iter().any(|item| names_secret(item, name)),
        _ => false,
    }
}

/// Paths that anybody may read, known or not.
const OPEN_PATHS: &[&str] = &["/livez", "/readyz", "/healthz", "/version"];
/// Paths that every known user may read, with all below them.
const DISCOVERY_PATHS: &[&str] = &["/api", "/apis", "/openapi", "/"];

/// Whether nobody in particular may read a path.
fn is_open(path: &str) -> bool {
    OPEN_PATHS.iter().any(|open| path == *open || path.strip_prefix(open).is_some_and(|rest| rest.starts_with('/')))
}

/// Whether the user may do this to a path that is no resource.
fn may_path(user: &UserInfo, verb: &str, path: &str) -> bool {
    let below = |prefix: &&str| path == *prefix || (**prefix != *"/" && path.starts_with(&format!("{prefix}/")));
    let discovery =
        user.is_in(GROUP_AUTHENTICATED) && matches!(verb, "get" | "head") && DISCOVERY_PATHS.iter().any(below);
    is_almighty(user) || discovery || is_open(path)
}

/// Kinds that are asked and answered, and never stored.
pub(crate) const REVIEWS: &[ReviewKind] = &[];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::{Target, parse_path};

    fn path(text: &str) -> ResourcePath {
        match parse_path(text).unwrap() {
            Target::Resource(path) => path,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_an_agent_may_do() {
        let agent = UserInfo::node("n1");
        let may = |verb: Verb, text: &str| may_resource(&agent, verb.as_str(), &path(text));
        assert!(may(Verb::Watch, "/apis/berth.dev/v1/tasks"));
        assert!(may(Verb::Patch, "/apis/berth.dev/v1/nodes/n1/status"));
        assert!(!may(Verb::Patch, "/apis/berth.dev/v1/nodes/n2/status"));
        assert!(may(Verb::Update, "/apis/coordination.k8s.io/v1/namespaces/berth-node-lease/leases/n1"));
        assert!(!may(Verb::Update, "/apis/coordination.k8s.io/v1/namespaces/default/leases/n1"));
        assert!(!may(Verb::Delete, "/apis/berth.dev/v1/namespaces/a/tasks/t"));
        assert!(!may(Verb::Create, "/api/v1/namespaces/a/secrets"));
        assert!(may(Verb::Create, "/api/v1/namespaces/a/events"));
    }

    #[test]
    fn a_stranger_may_discover_but_not_read() {
        let stranger = UserInfo::new("alice", &[]);
        assert!(may_path(&stranger, "get", "/apis/berth.dev"));
        assert!(!may_path(&stranger, "get", "/metrics"));
        let info = RequestInfo::of_path("/metrics", "get");
        assert_eq!(forbidden(&stranger, &info, "").message(), "forbidden: User \"alice\" cannot get path \"/metrics\"");
        let secret = path("/api/v1/namespaces/default/secrets/s");
        assert!(!may_resource(&stranger, "get", &secret));
        let query = crate::request::Query::default();
        let info = RequestInfo::of_resource("", Verb::Get, &secret, &query);
        assert_eq!(
            forbidden(&stranger, &info, "").message(),
            "secrets \"s\" is forbidden: User \"alice\" cannot get resource \"secrets\" in API group \"\" in the namespace \"default\""
        );
    }

    #[test]
    fn an_agent_writes_only_tasks_of_its_node() {
        let agent = UserInfo::node("n1");
        let status = path("/apis/berth.dev/v1/namespaces/a/tasks/t/status");
        let mine = serde_json::json!({"spec": {"nodeName": "n1"}});
        let other = serde_json::json!({"spec": {"nodeName": "n2"}});
        assert!(may_write_task(&agent, &status, &mine, &mine).is_ok());
        assert!(may_write_task(&agent, &status, &other, &other).is_err());
        let main = path("/apis/berth.dev/v1/namespaces/a/tasks/t");
        assert!(may_write_task(&agent, &main, &mine, &other).is_err());
    }
}
