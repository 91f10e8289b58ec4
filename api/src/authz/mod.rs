//! What a user may do. Asked in this order: is it a member of `system:masters`; is it an agent, and does this concern
//! its node; do the roles that it was given allow it. The first that allows decides; none that does is a refusal.
//!
//! A request is judged before its body is read and before the object is looked at, so that a refusal tells nothing of
//! what there is. What only the object can tell (an agent and its own tasks, somebody who gives rights on) is asked
//! by the write path through [`may_create`], [`may_grant`] and [`may_update`].

pub(crate) mod bootstrap;
mod escalation;
mod nodes;
mod params;
mod reviews;
mod rules;

use std::borrow::Cow;

use berth_access::node::{Change, node_of};
use berth_access::{Attributes, FieldTerm, User, node};
use serde_json::Value;

use crate::authn::{GROUP_MASTERS, UserInfo};
use crate::http::Call;
use crate::inner::Inner;
use crate::request::RequestInfo;
use crate::status::{ApiError, Named};
use crate::write::Write;

pub(crate) use berth_access::Decision;
pub(crate) use escalation::may_grant;
pub(crate) use reviews::REVIEWS;
pub(crate) use rules::Access;

/// Whether the user may make this request.
pub(crate) fn authorize(server: &Inner, user: &UserInfo, info: &RequestInfo<'_>) -> Decision {
    // Spared the terms of its selector, too: the server's own parts ask a hundred times as often as people.
    if user.is_in(GROUP_MASTERS) {
        return allowed("");
    }
    if crate::authn::is_login(info) {
        return allowed("everybody may log in");
    }
    let Some(path) = info.resource else {
        // Probes ask in every way, HEAD and POST among them, whatever roles there are.
        if matches!(info.path, "/healthz" | "/livez" | "/readyz") {
            return allowed("");
        }
        return decide(server, user, &Attributes::Path { verb: info.verb, path: info.path });
    };
    let fields = terms(info.field_selector);
    let wanted = berth_access::Resource {
        verb: info.verb,
        group: &path.group,
        resource: &path.plural,
        subresource: info.subresource(),
        namespace: info.namespace(),
        name: info.name,
        fields: &fields,
    };
    decide(server, user, &Attributes::Resource(wanted))
}

/// Whether the user may do this: for questions that are no requests, such as reviews, impersonation and approvals.
pub(crate) fn decide(server: &Inner, user: &UserInfo, attributes: &Attributes<'_>) -> Decision {
    if user.is_in(GROUP_MASTERS) {
        return allowed("");
    }
    let rows = server.registry.rows();
    let asker = asker(user);
    let mut reason = String::new();
    if let Some(node) = node_of(&asker) {
        match node::authorize(node, &asker, attributes, &nodes::Bound(&rows)) {
            node::Answer::Allow => return allowed(""),
            node::Answer::NoOpinion(why) => reason = why,
        }
    }
    let decision = server.access.authorize(&rows, &asker, attributes);
    if decision.allowed || reason.is_empty() {
        return decision;
    }
    if !decision.reason.is_empty() {
        reason.push('\n');
        reason.push_str(&decision.reason);
    }
    Decision { allowed: false, reason: reason.into() }
}

fn allowed(reason: &'static str) -> Decision {
    Decision { allowed: true, reason: Cow::Borrowed(reason) }
}

/// The user as the rules see it.
fn asker(user: &UserInfo) -> User<'_> {
    User { name: &user.name, groups: &user.groups }
}

/// The terms of a field selector that demand equality.
fn terms(selector: &str) -> Vec<FieldTerm<'_>> {
    let term = |term| {
        let (path, value): (&str, &str) = str::split_once(term, '=')?;
        let is_equality = !path.ends_with('!');
        is_equality.then(|| FieldTerm { path: path.trim(), value: value.strip_prefix('=').unwrap_or(value).trim() })
    };
    // With escapes a comma need not end a term: what is not surely a term of its own narrows nothing.
    if selector.is_empty() || selector.contains('\\') {
        Vec::new()
    } else {
        selector.split(',').filter_map(term).collect()
    }
}

/// 403 with the words of Kubernetes.
pub(crate) fn forbidden(user: &UserInfo, info: &RequestInfo<'_>, reason: &str) -> ApiError {
    let because = if reason.is_empty() { String::new() } else { format!(": {reason}") };
    let Some(path) = info.resource else {
        return ApiError::forbidden_path(&user.name, info.verb, &format!("{}{because}", info.path));
    };
    let wanted = berth_access::Resource {
        verb: info.verb,
        group: &path.group,
        resource: &path.plural,
        subresource: info.subresource(),
        namespace: info.namespace(),
        name: info.name,
        fields: &[],
    };
    let why = format!("{}{because}", cannot(user, &wanted));
    ApiError::forbidden(Named { group: &path.group, plural: &path.plural }, info.name, &why)
}

/// `User "x" cannot get resource "tasks/log" in API group "berth.dev" in the namespace "a"`
fn cannot(user: &UserInfo, wanted: &berth_access::Resource<'_>) -> String {
    let full = match wanted.subresource {
        "" => wanted.resource.to_owned(),
        subresource => format!("{}/{subresource}", wanted.resource),
    };
    let at = match wanted.namespace {
        "" => "at the cluster scope".to_owned(),
        namespace => format!("in the namespace \"{namespace}\""),
    };
    format!("User \"{}\" cannot {} resource \"{full}\" in API group \"{}\" {at}", user.name, wanted.verb, wanted.group)
}

/// Whether the user may create an object of this name. Asked before anything is done with the body.
///
/// # Errors
/// 403 when a PUT or an apply would create what the user may not create, or an agent something that is not its own.
pub(crate) fn may_create(w: &Write<'_>, name: &str, object: &Value) -> Result<(), ApiError> {
    if w.user.is_in(GROUP_MASTERS) {
        return Ok(());
    }
    if w.path.name.is_some() {
        // The request was judged as an update or a patch.
        let wanted = wanted(w, "create", name);
        let decision = decide(w.server, w.user, &Attributes::Resource(wanted));
        if !decision.allowed {
            return Err(ApiError::forbidden(w.resource.named(), name, &cannot(w.user, &wanted)));
        }
    }
    restrict_node(w, name, None, Some(object))
}

/// Whether the user may make this change of an object; asked when both states are known and checked.
///
/// # Errors
/// 403 when an agent changes what is not its own, or somebody gives rights that they do not have.
pub(crate) fn may_update(w: &Write<'_>, old: &Value, new: &Value) -> Result<(), ApiError> {
    if w.user.is_in(GROUP_MASTERS) {
        return Ok(());
    }
    restrict_node(w, w.name(), Some(old), Some(new))?;
    escalation::may_regrant(w, old, new)
}

/// Whether the user may do what a stream does, such as a command in a container. Browsers open websockets by GET, so the
/// request itself may have been judged as one that only looks: who may `get` everything must not come to act by it.
///
/// # Errors
/// 403 without the verb `create` on the subresource.
pub(crate) fn may_act(call: &Call<'_>) -> Result<(), ApiError> {
    let path = call.path;
    let wanted = berth_access::Resource {
        verb: "create",
        group: &path.group,
        resource: &path.plural,
        subresource: path.subresource.as_deref().unwrap_or_default(),
        namespace: path.namespace.as_deref().unwrap_or_default(),
        name: path.name.as_deref().unwrap_or_default(),
        fields: &[],
    };
    if decide(call.server, call.user, &Attributes::Resource(wanted)).allowed {
        return Ok(());
    }
    Err(ApiError::forbidden(call.resource.named(), wanted.name, &cannot(call.user, &wanted)))
}

/// What an agent may not write, though it may write the object.
fn restrict_node(w: &Write<'_>, name: &str, old: Option<&Value>, new: Option<&Value>) -> Result<(), ApiError> {
    let Some(node) = node_of(&asker(w.user)) else { return Ok(()) };
    let change = Change {
        group: &w.path.group,
        resource: &w.path.plural,
        subresource: w.path.subresource.as_deref().unwrap_or_default(),
        namespace: w.namespace().unwrap_or_default(),
        name,
        old,
        new,
    };
    node::may_write(node, &change).map_err(|why| ApiError::forbidden(w.resource.named(), name, &why))
}

/// Whether the user may ask for this token of a service account (a TokenRequest): an agent only for a task of its own.
///
/// # Errors
/// 403.
pub(crate) fn may_request_token(call: &Call<'_>, request: &Value) -> Result<(), ApiError> {
    let asker = asker(call.user);
    let Some(node) = node_of(&asker).filter(|_| !call.user.is_in(GROUP_MASTERS)) else { return Ok(()) };
    let name = call.name()?;
    let namespace = call.namespace().unwrap_or_default();
    let change = Change {
        group: "",
        resource: "serviceaccounts",
        subresource: "token",
        namespace,
        name,
        old: None,
        new: Some(request),
    };
    let rows = call.server.registry.rows();
    let bound = request.pointer("/spec/boundObjectRef/name").and_then(Value::as_str).unwrap_or_default();
    node::may_write(node, &change)
        .and_then(|()| nodes::Bound(&rows).acts_as(node, namespace, bound, name))
        .map_err(|why| ApiError::forbidden(call.resource.named(), name, &why))
}

/// How long a write of rights waits until they are in force.
const IN_FORCE_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(1);

/// Waits until what was written of these kinds of rights is in force on this server, so that whoever was given a right
/// may use it as soon as the giver has the answer.
async fn settle(server: &Inner, plurals: &[&str]) {
    let Ok(revision) = server.store.current_revision().await else { return };
    let rows = server.registry.snapshot();
    for row in plurals.iter().filter_map(|plural| rows.any_version(berth_access::GROUP, plural)) {
        // A cache that lags more than this catches up by itself: the write is done either way.
        let _ = row.storage.cache.wait_until(revision, IN_FORCE_TIMEOUT).await;
    }
}

/// Waits, after a write of roles or bindings, until they are in force. Costs nothing for other kinds.
pub(crate) async fn settled(call: &Call<'_>) {
    if call.resource.group == berth_access::GROUP {
        settle(call.server, &[&call.resource.plural]).await;
    } else if call.resource.group == berth_types::GROUP
        && call.resource.plural == "roles"
        && call.path.subresource.is_none()
    {
        let Ok(revision) = call.server.store.current_revision().await else { return };
        let _ = call.resource.storage.cache.wait_until(revision, IN_FORCE_TIMEOUT).await;
    }
}

/// What a write wants, with another verb than the request's.
fn wanted<'a>(w: &'a Write<'_>, verb: &'a str, name: &'a str) -> berth_access::Resource<'a> {
    berth_access::Resource {
        verb,
        group: &w.path.group,
        resource: &w.path.plural,
        subresource: w.path.subresource.as_deref().unwrap_or_default(),
        namespace: w.path.namespace.as_deref().unwrap_or_default(),
        name,
        fields: &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::{Query, ResourcePath, Target, Verb, parse_path};

    fn path(text: &str) -> ResourcePath {
        match parse_path(text).unwrap() {
            Target::Resource(path) => path,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn refusals_have_the_words_of_kubernetes() {
        let alice = UserInfo::new("alice", &[]);
        let query = Query::default();
        let message = |verb, text: &str, reason| {
            let path = path(text);
            forbidden(&alice, &RequestInfo::of_resource("", verb, &path, &query), reason).message().to_owned()
        };
        assert_eq!(
            message(Verb::Get, "/api/v1/namespaces/default/secrets/s", ""),
            "secrets \"s\" is forbidden: User \"alice\" cannot get resource \"secrets\" in API group \"\" in the namespace \"default\""
        );
        assert_eq!(
            message(Verb::Update, "/apis/berth.dev/v1/namespaces/a/tasks/t/status", "why"),
            "tasks.berth.dev \"t\" is forbidden: User \"alice\" cannot update resource \"tasks/status\" in API group \"berth.dev\" in the namespace \"a\": why"
        );
        assert_eq!(
            message(Verb::List, "/apis/berth.dev/v1/nodes", ""),
            "nodes.berth.dev is forbidden: User \"alice\" cannot list resource \"nodes\" in API group \"berth.dev\" at the cluster scope"
        );
        let info = RequestInfo::of_path("/metrics", "get");
        assert_eq!(forbidden(&alice, &info, "").message(), "forbidden: User \"alice\" cannot get path \"/metrics\"");
    }

    #[test]
    fn only_equality_is_a_term() {
        let found = terms("spec.nodeName=n1,status.phase!=Failed,metadata.name==a");
        let term = |path, value| FieldTerm { path, value };
        assert_eq!(found, [term("spec.nodeName", "n1"), term("metadata.name", "a")]);
        assert_eq!(terms(""), []);
        assert_eq!(terms("metadata.namespace!=x\\,spec.nodeName=n1"), [], "one term, whose value has a comma");
    }
}
