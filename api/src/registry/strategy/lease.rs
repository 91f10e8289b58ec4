//! Leases: who holds what until when.

use berth_schema::FieldError;
use serde_json::Value;

use super::checks::{is_given, not_supported, text};
use crate::write::meta::bad_qualified_name;

/// Strategies of a coordinated election that Kubernetes itself defines.
const STRATEGIES: &[&str] = &["OldestEmulationVersion"];

pub(super) fn validate(new: &Value, _old: Option<&Value>, errors: &mut Vec<FieldError>) {
    let spec = &new["spec"];
    if spec["leaseDurationSeconds"].as_i64().is_some_and(|seconds| seconds <= 0) {
        let field = "spec.leaseDurationSeconds";
        errors.push(FieldError::invalid(field, &spec["leaseDurationSeconds"], "must be greater than 0"));
    }
    if spec["leaseTransitions"].as_i64().is_some_and(|count| count < 0) {
        let message = "must be greater than or equal to 0";
        errors.push(FieldError::invalid("spec.leaseTransitions", &spec["leaseTransitions"], message));
    }
    let strategy = text(&spec["strategy"]);
    if is_given(&spec["strategy"]) {
        if !strategy.contains('/') {
            if !STRATEGIES.contains(&strategy) {
                errors.push(not_supported("spec.strategy", &spec["strategy"], STRATEGIES));
            }
        } else if let Some(why) = bad_qualified_name(strategy) {
            errors.push(FieldError::invalid("spec.strategy", &spec["strategy"], &why));
        }
    }
    if !text(&spec["preferredHolder"]).is_empty() && strategy.is_empty() {
        errors.push(FieldError::forbidden("spec.preferredHolder", "may only be specified if `strategy` is defined"));
    }
}
