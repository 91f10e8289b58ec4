//! What webhooks and policies say of the requests that they are for: rules, conditions and selectors, in the words of
//! Kubernetes.

use std::collections::HashSet;

use berth_schema::FieldError;
use serde_json::{Map, Value, json};

use super::checks::{fill, is_given, items, label_selector, members, not_supported, one_of, text, texts};
use crate::write::meta::{bad_path_segment, bad_qualified_name};

/// The most conditions that are asked before a webhook or policy.
const CONDITIONS_MAX: usize = 64;

const OPERATIONS: &[&str] = &["*", "CONNECT", "CREATE", "DELETE", "UPDATE"];
const SCOPES: &[&str] = &["*", "Cluster", "Namespaced"];
pub(super) const FAILURE_POLICIES: &[&str] = &["Fail", "Ignore"];
pub(super) const MATCH_POLICIES: &[&str] = &["Equivalent", "Exact"];

/// Fills in the scope of each rule.
pub(super) fn prepare_rules(owner: &mut Map<String, Value>, name: &str) {
    let rules = owner.get_mut(name).and_then(Value::as_array_mut);
    for rule in rules.into_iter().flatten().filter_map(Value::as_object_mut) {
        fill(rule, "scope", "*");
    }
}

/// Fills in what a policy or binding matches when it does not say.
pub(super) fn prepare_constraints(spec: &mut Value, name: &str) {
    let Some(constraints) = members(spec, name) else { return };
    fill(constraints, "matchPolicy", "Equivalent");
    fill(constraints, "namespaceSelector", json!({}));
    fill(constraints, "objectSelector", json!({}));
    prepare_rules(constraints, "resourceRules");
    prepare_rules(constraints, "excludeResourceRules");
}

/// The resources that a policy or binding is for.
pub(super) fn check_constraints(field: &str, constraints: &Value, errors: &mut Vec<FieldError>) {
    if !constraints.is_object() {
        return;
    }
    if text(&constraints["matchPolicy"]).is_empty() {
        errors.push(FieldError::required(format!("{field}.matchPolicy"), ""));
    } else {
        one_of(&format!("{field}.matchPolicy"), &constraints["matchPolicy"], MATCH_POLICIES, errors);
    }
    for name in ["namespaceSelector", "objectSelector"] {
        label_selector(&format!("{field}.{name}"), &constraints[name], errors);
    }
    for list in ["resourceRules", "excludeResourceRules"] {
        for (index, rule) in items(&constraints[list]) {
            let at = format!("{field}.{list}[{index}]");
            let mut names = HashSet::new();
            for (index, name) in items(&rule["resourceNames"]) {
                let at = format!("{at}.resourceNames[{index}]");
                if let Some(why) = bad_path_segment(text(name)) {
                    errors.push(FieldError::invalid(at.clone(), name, why));
                }
                if !names.insert(text(name)) {
                    errors.push(FieldError::duplicate(at, name));
                }
            }
            check_rule(&at, rule, errors);
        }
    }
}

/// Operations and resources of one rule.
pub(super) fn check_rule(at: &str, rule: &Value, errors: &mut Vec<FieldError>) {
    let operations = texts(&rule["operations"]);
    required_list(&format!("{at}.operations"), &operations, errors);
    alone(&format!("{at}.operations"), &rule["operations"], &operations, "operations", errors);
    for (index, operation) in items(&rule["operations"]) {
        if !OPERATIONS.contains(&text(operation)) {
            errors.push(not_supported(&format!("{at}.operations[{index}]"), operation, OPERATIONS));
        }
    }
    let groups = texts(&rule["apiGroups"]);
    required_list(&format!("{at}.apiGroups"), &groups, errors);
    alone(&format!("{at}.apiGroups"), &rule["apiGroups"], &groups, "API groups", errors);
    let versions = texts(&rule["apiVersions"]);
    required_list(&format!("{at}.apiVersions"), &versions, errors);
    alone(&format!("{at}.apiVersions"), &rule["apiVersions"], &versions, "API versions", errors);
    for (index, version) in versions.iter().enumerate() {
        if version.is_empty() {
            errors.push(FieldError::required(format!("{at}.apiVersions[{index}]"), ""));
        }
    }
    check_resources(&format!("{at}.resources"), &rule["resources"], errors);
    one_of(&format!("{at}.scope"), &rule["scope"], SCOPES, errors);
}

fn required_list(field: &str, list: &[&str], errors: &mut Vec<FieldError>) {
    if list.is_empty() {
        errors.push(FieldError::required(field, ""));
    }
}

/// `*` stands for everything: nothing may stand beside it.
fn alone(field: &str, shown: &Value, list: &[&str], what: &str, errors: &mut Vec<FieldError>) {
    if list.len() > 1 && list.contains(&"*") {
        let message = format!("if '*' is present, must not specify other {what}");
        errors.push(FieldError::invalid(field, shown, &message));
    }
}

fn check_resources(field: &str, resources: &Value, errors: &mut Vec<FieldError>) {
    let list = texts(resources);
    required_list(field, &list, errors);
    let (mut whole, mut everywhere) = (HashSet::new(), HashSet::new());
    let mut has_plain = false;
    for (index, given) in list.iter().enumerate() {
        let at = format!("{field}[{index}]");
        if given.is_empty() {
            errors.push(FieldError::required(at, ""));
            continue;
        }
        let Some((resource, subresource)) = given.split_once('/') else {
            has_plain = *given != "*";
            continue;
        };
        if whole.contains(resource) {
            let message = format!("if '{resource}/*' is present, must not specify {given}");
            errors.push(FieldError::invalid(at.clone(), &(*given).into(), &message));
        }
        if everywhere.contains(subresource) {
            let message = format!("if '*/{subresource}' is present, must not specify {given}");
            errors.push(FieldError::invalid(at, &(*given).into(), &message));
        }
        if subresource == "*" {
            whole.insert(resource);
        }
        if resource == "*" {
            everywhere.insert(subresource);
        }
    }
    if list.len() > 1 && list.contains(&"*/*") {
        let message = "if '*/*' is present, must not specify other resources";
        errors.push(FieldError::invalid(field, resources, message));
    }
    if list.contains(&"*") && has_plain {
        let message = "if '*' is present, must not specify other resources without subresources";
        errors.push(FieldError::invalid(field, resources, message));
    }
}

/// The conditions that are asked first. What the expressions say is checked by whoever compiles them.
pub(super) fn check_conditions(field: &str, conditions: &Value, errors: &mut Vec<FieldError>) {
    let count = conditions.as_array().map_or(0, Vec::len);
    if count > CONDITIONS_MAX {
        errors.push(FieldError::too_many(field, count as u64, CONDITIONS_MAX as u64));
    }
    let mut names = HashSet::new();
    for (index, condition) in items(conditions) {
        let at = format!("{field}[{index}]");
        if text(&condition["expression"]).trim().is_empty() {
            errors.push(FieldError::required(format!("{at}.expression"), ""));
        }
        let name = text(&condition["name"]);
        if name.is_empty() {
            errors.push(FieldError::required(format!("{at}.name"), ""));
            continue;
        }
        if let Some(why) = bad_qualified_name(name) {
            errors.push(FieldError::invalid(format!("{at}.name"), &name.into(), &why));
        }
        if !names.insert(name) {
            errors.push(FieldError::duplicate(format!("{at}.name"), &name.into()));
        }
    }
}

/// A policy for what fails.
pub(super) fn check_failure_policy(field: &str, policy: &Value, required: bool, errors: &mut Vec<FieldError>) {
    if required && !is_given(policy) {
        errors.push(FieldError::required(field, ""));
    }
    one_of(field, policy, FAILURE_POLICIES, errors);
}
