//! Nobody gives rights that they do not have: checks of what roles and bindings would grant.
//!
//! Whoever writes a role must hold every rule in it, or have the verb `escalate` on it. Whoever writes a binding must
//! hold every rule of the role that it gives, or have the verb `bind` on that role. A Role of `berth.dev` with members
//! is a set of bindings, and is checked as such.

use berth_access::{Attributes, PolicyRule, Resource, RoleRef, Tenant, covers, escalation_message, full_authority};
use serde_json::Value;

use super::{asker, decide, params};
use crate::authn::GROUP_MASTERS;
use crate::status::{ApiError, Named};
use crate::write::{Write, meta};

const RBAC: &str = berth_access::GROUP;

/// Whether the user may create this object, as far as it gives rights. Asked when nothing changes it any more.
///
/// # Errors
/// 403 with what the user lacks; 404 when a binding names a role that is not there.
pub(crate) fn may_grant(w: &Write<'_>, name: &str, object: &Value) -> Result<(), ApiError> {
    params::may_refer(w, name, None, object)?;
    if is_about_rights(w) { check(w, name, None, object) } else { Ok(()) }
}

/// The same for a change.
pub(super) fn may_regrant(w: &Write<'_>, old: &Value, new: &Value) -> Result<(), ApiError> {
    params::may_refer(w, w.name(), Some(old), new)?;
    if is_about_rights(w) && !only_gc_fields_differ(old, new) {
        return check(w, w.name(), Some(old), new);
    }
    Ok(())
}

/// Whether the object gives rights, and the user is one of those who must hold what they give.
fn is_about_rights(w: &Write<'_>) -> bool {
    let group = w.path.group.as_str();
    let is_main = w.path.subresource.is_none() && !w.user.is_in(GROUP_MASTERS);
    is_main && (group == RBAC || group == berth_types::GROUP && w.path.plural == "roles")
}

fn check(w: &Write<'_>, name: &str, old: Option<&Value>, new: &Value) -> Result<(), ApiError> {
    match (w.path.group.as_str(), w.path.plural.as_str()) {
        (RBAC, "roles" | "clusterroles") => role(w, name, old, new),
        (RBAC, "rolebindings" | "clusterrolebindings") => binding(w, name, new),
        (berth_types::GROUP, "roles") => tenant(w, name, old, new),
        _ => Ok(()),
    }
}

fn role(w: &Write<'_>, name: &str, old: Option<&Value>, new: &Value) -> Result<(), ApiError> {
    let namespace = w.namespace().unwrap_or_default();
    if has_verb(w, "escalate", &w.path.plural, namespace, name) {
        return Ok(());
    }
    let role: berth_access::Role = parse(new)?;
    let deny = |why: &str| ApiError::forbidden(w.resource.named(), name, why);
    must_hold(w, namespace, &role.rules).map_err(|why| deny(&why))?;
    let aggregates = |role: &Value| role.get("aggregationRule").is_some_and(|rule| !rule.is_null());
    if aggregates(new) || old.is_some_and(aggregates) {
        // It gathers whatever comes along, so only those may set it who hold everything.
        must_hold(w, namespace, &full_authority())
            .map_err(|_| deny("must have cluster-admin privileges to use the aggregationRule"))?;
    }
    Ok(())
}

fn binding(w: &Write<'_>, name: &str, new: &Value) -> Result<(), ApiError> {
    let binding: berth_access::Binding = parse(new)?;
    let namespace = w.namespace().unwrap_or_default();
    may_bind(w, w.resource.named(), name, &binding.role_ref, namespace)
}

/// Whether the user may give this role in this namespace ("": everywhere).
fn may_bind(w: &Write<'_>, of: Named<'_>, name: &str, role: &RoleRef, namespace: &str) -> Result<(), ApiError> {
    let plural = if role.kind == "Role" { "roles" } else { "clusterroles" };
    if has_verb(w, "bind", plural, namespace, &role.name) {
        return Ok(());
    }
    let rows = w.server.registry.rows();
    let index = w.server.access.index(&rows);
    let rules = index
        .role_rules(role, namespace)
        .map_err(|missing| ApiError::not_found(Named { group: RBAC, plural: missing.kind }, &missing.name))?;
    must_hold(w, namespace, rules).map_err(|why| ApiError::forbidden(of, name, &why))
}

fn tenant(w: &Write<'_>, name: &str, old: Option<&Value>, new: &Value) -> Result<(), ApiError> {
    let tenant: Tenant = parse(new)?;
    // Weights and limits are no rights of anybody's.
    if old.is_some_and(|old| parse::<Tenant>(old).is_ok_and(|old| old.spec == tenant.spec)) {
        return Ok(());
    }
    for given in tenant.grants() {
        match &given.gives {
            berth_access::Gives::Role(role) => may_bind(w, w.resource.named(), name, role, given.namespace)?,
            // To see the Role itself is what whoever writes it can give.
            berth_access::Gives::Rules(_) if given.namespace.is_empty() => {}
            berth_access::Gives::Rules(rules) => must_hold(w, given.namespace, rules)
                .map_err(|why| ApiError::forbidden(w.resource.named(), name, &why))?,
        }
    }
    Ok(())
}

fn has_verb(w: &Write<'_>, verb: &str, plural: &str, namespace: &str, name: &str) -> bool {
    let wanted = Resource { verb, group: RBAC, resource: plural, namespace, name, ..Resource::default() };
    decide(w.server, w.user, &Attributes::Resource(wanted)).allowed
}

/// The message of a refusal when the user does not hold all of the rules there.
fn must_hold(w: &Write<'_>, namespace: &str, rules: &[PolicyRule]) -> Result<(), String> {
    let rows = w.server.registry.rows();
    let user = asker(w.user);
    let held = w.server.access.rules_for(&rows, &user, namespace);
    let missing = covers(&held.rules, rules);
    if missing.is_empty() { Ok(()) } else { Err(escalation_message(&user, &missing, &held.problems)) }
}

fn parse<T: serde::de::DeserializeOwned>(object: &Value) -> Result<T, ApiError> {
    serde::Deserialize::deserialize(object).map_err(|error| {
        ApiError::bad_request(format!("the object cannot be read, so what it would grant is not known: {error}"))
    })
}

/// Whether nothing but finalizers, owners and the server's own bookkeeping differs: what garbage collection needs
/// must not fail for want of the role's rights.
fn only_gc_fields_differ(old: &Value, new: &Value) -> bool {
    let bare = |object: &Value| {
        let mut object = object.clone();
        let meta = meta::of(&mut object);
        for field in ["finalizers", "ownerReferences", "managedFields", "resourceVersion", "selfLink", "generation"] {
            meta.remove(field);
        }
        object
    };
    bare(old) == bare(new)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn finalizers_and_owners_are_not_rights() {
        let old = json!({"metadata": {"name": "a", "finalizers": ["x"]}, "rules": []});
        assert!(only_gc_fields_differ(&old, &json!({"metadata": {"name": "a"}, "rules": []})));
        assert!(!only_gc_fields_differ(&old, &json!({"metadata": {"name": "a", "labels": {"a": "b"}}, "rules": []})));
        assert!(!only_gc_fields_differ(&old, &json!({"metadata": {"name": "a"}, "rules": [{}]})));
    }
}
