//! Quotas: what may be limited, by which scopes.

use berth_schema::FieldError;
use serde_json::Value;

use super::checks::{entries, is_empty, items, text, texts};
use super::quantity::{broken, nanos, normalize};
use crate::write::meta::bad_qualified_name;

/// Kubernetes' resources without a domain that a quota may limit.
const STANDARD: &[&str] = &[
    "cpu",
    "memory",
    "ephemeral-storage",
    "requests.cpu",
    "requests.memory",
    "requests.storage",
    "requests.ephemeral-storage",
    "limits.cpu",
    "limits.memory",
    "limits.ephemeral-storage",
    "pods",
    "resourcequotas",
    "services",
    "services.nodeports",
    "services.loadbalancers",
    "replicationcontrollers",
    "secrets",
    "configmaps",
    "persistentvolumeclaims",
];
/// Those of them that are counted: only whole numbers make sense.
const COUNTED: &[&str] = &[
    "pods",
    "resourcequotas",
    "services",
    "services.nodeports",
    "services.loadbalancers",
    "replicationcontrollers",
    "secrets",
    "configmaps",
    "persistentvolumeclaims",
];
/// Those that some tasks count towards and others do not.
const SCOPED: &[&str] = &[
    "pods",
    "cpu",
    "memory",
    "ephemeral-storage",
    "requests.cpu",
    "requests.memory",
    "requests.ephemeral-storage",
    "limits.cpu",
    "limits.memory",
    "limits.ephemeral-storage",
];
const SCOPES: &[&str] = &[
    "Terminating",
    "NotTerminating",
    "BestEffort",
    "NotBestEffort",
    "PriorityClass",
    "CrossNamespacePodAffinity",
    "VolumeAttributesClass",
];
/// Scopes that only ask whether something has them.
const EXISTING_SCOPES: &[&str] =
    &["Terminating", "NotTerminating", "BestEffort", "NotBestEffort", "CrossNamespacePodAffinity"];

pub(super) fn prepare(object: &mut Value) {
    if let Some(hard) = object.get_mut("spec").and_then(|spec| spec.get_mut("hard")) {
        normalize(hard);
    }
}

pub(super) fn validate(new: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
    let spec = &new["spec"];
    for (name, amount) in entries(&spec["hard"]) {
        let field = format!("spec.hard[{name}]");
        check_name(&field, name, errors);
        check_amount(&field, name, amount, errors);
    }
    for (name, amount) in broken(&spec["hard"]) {
        errors.push(bad_quantity(&format!("spec.hard[{name}]"), amount));
    }
    check_scopes(spec, errors);
    check_selector(spec, errors);
    if let Some(old) = old {
        let sorted = |spec: &Value| {
            let mut scopes: Vec<String> = texts(&spec["scopes"]).into_iter().map(str::to_owned).collect();
            scopes.sort();
            scopes
        };
        if sorted(spec) != sorted(&old["spec"]) {
            errors.push(FieldError::invalid("spec.scopes", &spec["scopes"], "field is immutable"));
        }
    }
}

/// The error of a text that is no quantity.
pub(super) fn bad_quantity(field: &str, amount: &Value) -> FieldError {
    FieldError::invalid(
        field,
        amount,
        "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
    )
}

fn check_name(field: &str, name: &str, errors: &mut Vec<FieldError>) {
    if let Some(why) = bad_qualified_name(name) {
        errors.push(FieldError::invalid(field, &name.into(), &why));
        return;
    }
    if name.contains('/') {
        return;
    }
    let is_huge_pages = ["", "requests.", "limits."].iter().any(|p| name.starts_with(&format!("{p}hugepages-")));
    if !STANDARD.contains(&name) && !is_huge_pages {
        errors.push(FieldError::invalid(field, &name.into(), "must be a standard resource type or fully qualified"));
        errors.push(FieldError::invalid(field, &name.into(), "must be a standard resource for quota"));
    }
}

fn check_amount(field: &str, name: &str, amount: &Value, errors: &mut Vec<FieldError>) {
    let Some(nanos) = nanos(amount) else { return };
    if nanos < 0 {
        errors.push(FieldError::invalid(field, amount, "must be greater than or equal to 0"));
    }
    let is_counted = COUNTED.contains(&name) || name.starts_with("count/");
    if is_counted && nanos % 1_000_000_000 != 0 {
        errors.push(FieldError::invalid(field, amount, "must be an integer"));
    }
}

fn check_scopes(spec: &Value, errors: &mut Vec<FieldError>) {
    let scopes = texts(&spec["scopes"]);
    let field = "spec.scopes";
    for scope in &scopes {
        if !SCOPES.contains(scope) {
            errors.push(FieldError::invalid(field, &spec["scopes"], "unsupported scope"));
        }
        for (name, _) in entries(&spec["hard"]).filter(|(name, _)| STANDARD.contains(&name.as_str())) {
            let applies = match *scope {
                "BestEffort" => name == "pods",
                "VolumeAttributesClass" => matches!(name.as_str(), "persistentvolumeclaims" | "requests.storage"),
                _ => SCOPED.contains(&name.as_str()),
            };
            if !applies {
                errors.push(FieldError::invalid(field, &spec["scopes"], "unsupported scope applied to resource"));
            }
        }
    }
    for (one, other) in [("BestEffort", "NotBestEffort"), ("Terminating", "NotTerminating")] {
        if scopes.contains(&one) && scopes.contains(&other) {
            errors.push(FieldError::invalid(field, &spec["scopes"], "conflicting scopes"));
        }
    }
}

fn check_selector(spec: &Value, errors: &mut Vec<FieldError>) {
    for (index, requirement) in items(&spec["scopeSelector"]["matchExpressions"]) {
        let field = |name: &str| format!("spec.scopeSelector.matchExpressions[{index}].{name}");
        let (scope, operator) = (text(&requirement["scopeName"]), text(&requirement["operator"]));
        if !SCOPES.contains(&scope) {
            errors.push(FieldError::invalid(field("scopeName"), &requirement["scopeName"], "unsupported scope"));
        }
        if EXISTING_SCOPES.contains(&scope) && operator != "Exists" {
            let message = "must be 'Exist' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity";
            errors.push(FieldError::invalid(field("operator"), &requirement["operator"], message));
        }
        let has_values = !is_empty(&requirement["values"]);
        match operator {
            "In" | "NotIn" if !has_values => errors.push(FieldError::required(
                field("values"),
                "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector",
            )),
            "Exists" | "DoesNotExist" if has_values => errors.push(FieldError::invalid(
                field("values"),
                &requirement["values"],
                "must be no value when `operator` is 'Exists' or 'DoesNotExist' for scope selector",
            )),
            "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
            _ => errors.push(FieldError::invalid(
                field("operator"),
                &requirement["operator"],
                "not a valid selector operator",
            )),
        }
    }
}
