//! Definitions of kinds: what must be there at all. What it must say is checked with the rest of what makes a kind.

use berth_schema::FieldError;
use serde_json::Value;

use super::checks::{items, not_supported, text};

const SCOPES: &[&str] = &["Cluster", "Namespaced"];

pub(super) fn validate(new: &Value, errors: &mut Vec<FieldError>) {
    let spec = &new["spec"];
    match text(&spec["scope"]) {
        "" => errors.push(FieldError::required("spec.scope", "")),
        scope if !SCOPES.contains(&scope) => errors.push(not_supported("spec.scope", &spec["scope"], SCOPES)),
        _ => {}
    }
    for (index, version) in items(&spec["versions"]) {
        if text(&version["name"]).is_empty() {
            errors.push(FieldError::required(format!("spec.versions[{index}].name"), ""));
        }
    }
}
