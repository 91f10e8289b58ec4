//! Policies read their parameters with the server's own rights, and their messages can tell what is in them. So whoever
//! writes a policy, or binds one, must be able to read what it will read: a kind of parameters is asked about as `get`
//! of every object of the kind, a binding's reference as `get` of the one, or `list` of those that it selects.

use berth_access::{Attributes, Resource};
use berth_schema::FieldError;
use serde_json::Value;

use super::decide;
use crate::authn::GROUP_MASTERS;
use crate::status::ApiError;
use crate::write::Write;

const GROUP: &str = "admissionregistration.k8s.io";
const ANY: &str = "*";

/// Whether the user may let rules read these parameters. A change that leaves the reference as it is asks nothing.
///
/// # Errors
/// 422 at the field, as upstream.
pub(super) fn may_refer(w: &Write<'_>, name: &str, old: Option<&Value>, new: &Value) -> Result<(), ApiError> {
    if w.path.group != GROUP || w.path.subresource.is_some() || w.user.is_in(GROUP_MASTERS) {
        return Ok(());
    }
    let field = match w.path.plural.as_str() {
        "validatingadmissionpolicies" | "mutatingadmissionpolicies" => "paramKind",
        "validatingadmissionpolicybindings" | "mutatingadmissionpolicybindings" => "paramRef",
        _ => return Ok(()),
    };
    let wanted = &new["spec"][field];
    // A binding's reference means something else with another policy.
    let is_kept = old.is_some_and(|old| {
        old["spec"][field] == *wanted && old["spec"].get("policyName") == new["spec"].get("policyName")
    });
    if !wanted.is_object() || is_kept {
        return Ok(());
    }
    let why = if field == "paramKind" { kind(w, wanted) } else { reference(w, wanted, &new["spec"]["policyName"]) };
    match why {
        None => Ok(()),
        Some(why) => Err(w.invalid(name, vec![FieldError::forbidden(format!("spec.{field}"), &why)])),
    }
}

/// Group and plural name of a kind of parameters; everything, where it is not known what it is.
fn resource(w: &Write<'_>, kind: &Value) -> (String, String) {
    let (api_version, kind) = (text(kind, "apiVersion"), text(kind, "kind"));
    if api_version.is_empty() {
        return (ANY.to_owned(), ANY.to_owned());
    }
    let group = api_version.split_once('/').map_or("", |(group, _)| group).to_owned();
    let rows = w.server.registry.rows();
    let row = rows.ordered.iter().find(|row| row.kind == kind && row.api_version() == api_version);
    (group, row.map_or_else(|| ANY.to_owned(), |row| row.plural.clone()))
}

fn kind(w: &Write<'_>, kind: &Value) -> Option<String> {
    let (group, plural) = resource(w, kind);
    let wanted =
        Resource { verb: "get", group: &group, resource: &plural, namespace: ANY, name: ANY, ..Resource::default() };
    (!decide(w.server, w.user, &Attributes::Resource(wanted)).allowed).then(|| {
        format!(
            "user {} must have \"get\" permission on all objects of the referenced paramKind (kind={}, apiVersion={})",
            w.user.name,
            text(kind, "kind"),
            text(kind, "apiVersion")
        )
    })
}

fn reference(w: &Write<'_>, reference: &Value, policy: &Value) -> Option<String> {
    let policies = match w.path.plural.as_str() {
        "mutatingadmissionpolicybindings" => "mutatingadmissionpolicies",
        _ => "validatingadmissionpolicies",
    };
    let rows = w.server.registry.snapshot();
    let row = rows.any_version(GROUP, policies);
    let found = row.and_then(|row| row.storage.cache.get("", policy.as_str().unwrap_or_default()));
    // A policy that is not there yet may come to read anything.
    let found: Value = found.and_then(|entry| serde_json::from_slice(&entry.json()).ok()).unwrap_or_default();
    let (group, plural) = resource(w, &found["spec"]["paramKind"]);
    let selects = reference["selector"].is_object();
    let verb = if selects { "list" } else { "get" };
    let name = Some(text(reference, "name")).filter(|name| !selects && !name.is_empty()).unwrap_or(ANY);
    let namespace = Some(text(reference, "namespace")).filter(|namespace| !namespace.is_empty()).unwrap_or(ANY);
    let wanted = Resource { verb, group: &group, resource: &plural, namespace, name, ..Resource::default() };
    (!decide(w.server, w.user, &Attributes::Resource(wanted)).allowed)
        .then(|| format!("user {} does not have {verb:?} permission on the object referenced by paramRef", w.user.name))
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}
