//! Admission policies and their bindings: defaults, and what one must say. Whether the expressions compile is checked
//! where they are compiled.

use std::collections::HashSet;

use berth_schema::FieldError;
use serde_json::Value;

use super::checks::{
    bad_label_1035, bad_subdomain, fill, is_empty, is_given, items, label_selector, not_supported, one_of, text,
};
use super::matching::{check_conditions, check_constraints, check_failure_policy, prepare_constraints};
use crate::write::meta::{bad_path_segment, bad_qualified_name};

/// The most annotations that a policy adds to the audit, and the longest expression of one.
const ANNOTATIONS_MAX: usize = 20;
const ANNOTATION_BYTES_MAX: usize = 5 * 1024;
const REASONS: &[&str] = &["Forbidden", "Invalid", "RequestEntityTooLarge", "Unauthorized"];
const ACTIONS: &[&str] = &["Audit", "Deny", "Warn"];
const NOT_FOUND_ACTIONS: &[&str] = &["Deny", "Allow"];
const PATCH_TYPES: &[&str] = &["ApplyConfiguration", "JSONPatch"];
const REINVOCATIONS: &[&str] = &["IfNeeded", "Never"];

pub(super) fn prepare(object: &mut Value) {
    let Some(spec) = object.get_mut("spec") else { return };
    prepare_constraints(spec, "matchConstraints");
    if let Some(spec) = spec.as_object_mut() {
        fill(spec, "failurePolicy", "Fail");
    }
}

pub(super) fn prepare_mutating(object: &mut Value) {
    prepare(object);
    if let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut) {
        fill(spec, "reinvocationPolicy", "Never");
    }
}

pub(super) fn prepare_binding(object: &mut Value) {
    if let Some(spec) = object.get_mut("spec") {
        prepare_constraints(spec, "matchResources");
    }
}

/// A ValidatingAdmissionPolicy.
pub(super) fn validate(new: &Value, _old: Option<&Value>, errors: &mut Vec<FieldError>) {
    let spec = &new["spec"];
    check_common(spec, errors);
    if is_empty(&spec["validations"]) && is_empty(&spec["auditAnnotations"]) {
        let message = "validations or auditAnnotations must contain at least one item";
        errors.push(FieldError::required("spec.validations", message));
        errors.push(FieldError::required("spec.auditAnnotations", message));
    }
    for (index, validation) in items(&spec["validations"]) {
        check_validation(&format!("spec.validations[{index}]"), validation, errors);
    }
    let annotations = &spec["auditAnnotations"];
    if annotations.as_array().map_or(0, Vec::len) > ANNOTATIONS_MAX {
        let message = format!("must not have more than {ANNOTATIONS_MAX} auditAnnotations");
        errors.push(FieldError::invalid("spec.auditAnnotations", annotations, &message));
    }
    let mut keys = HashSet::new();
    for (index, annotation) in items(annotations) {
        let at = format!("spec.auditAnnotations[{index}]");
        let key = text(&annotation["key"]);
        let name = format!("{}/{key}", text(&new["metadata"]["name"]));
        if let Some(why) = bad_qualified_name(&name) {
            errors.push(FieldError::invalid(format!("{at}.key"), &name.into(), &why));
        }
        if !keys.insert(key) {
            errors.push(FieldError::duplicate(format!("{at}.key"), &key.into()));
        }
        let expression = text(&annotation["valueExpression"]).trim();
        let field = format!("{at}.valueExpression");
        if expression.is_empty() {
            errors.push(FieldError::required(field, "valueExpression is not specified"));
        } else if expression.len() > ANNOTATION_BYTES_MAX {
            let message = format!("must not exceed {ANNOTATION_BYTES_MAX} bytes in length");
            errors.push(FieldError::required(field, &message));
        }
    }
}

/// A MutatingAdmissionPolicy.
pub(super) fn validate_mutating(new: &Value, _old: Option<&Value>, errors: &mut Vec<FieldError>) {
    let spec = &new["spec"];
    check_common(spec, errors);
    let reinvocation = &spec["reinvocationPolicy"];
    if text(reinvocation).is_empty() {
        errors.push(FieldError::required("spec.reinvocationPolicy", ""));
    } else {
        one_of("spec.reinvocationPolicy", reinvocation, REINVOCATIONS, errors);
    }
    if is_empty(&spec["mutations"]) {
        errors.push(FieldError::required("spec.mutations", "mutations must contain at least one item"));
    }
    for (index, mutation) in items(&spec["mutations"]) {
        let at = format!("spec.mutations[{index}]");
        let kind = text(&mutation["patchType"]);
        let (own, other) = match kind {
            "ApplyConfiguration" => ("applyConfiguration", "jsonPatch"),
            "JSONPatch" => ("jsonPatch", "applyConfiguration"),
            "" => {
                errors.push(FieldError::required(format!("{at}.patchType"), ""));
                continue;
            }
            _ => {
                errors.push(not_supported(&format!("{at}.patchType"), &mutation["patchType"], PATCH_TYPES));
                continue;
            }
        };
        if !is_given(&mutation[own]) {
            errors.push(FieldError::required(
                format!("{at}.{own}"),
                &format!("must be specified when patchType is {kind}"),
            ));
        } else if text(&mutation[own]["expression"]).trim().is_empty() {
            errors.push(FieldError::required(format!("{at}.{own}.expression"), "expression is not specified"));
        }
        if is_given(&mutation[other]) {
            let message = format!("{own} is the only one allowed when patchType is {kind}");
            errors.push(FieldError::invalid(format!("{at}.{other}"), &mutation[other], &message));
        }
    }
}

fn check_common(spec: &Value, errors: &mut Vec<FieldError>) {
    check_failure_policy("spec.failurePolicy", &spec["failurePolicy"], true, errors);
    if is_given(&spec["paramKind"]) {
        check_param_kind(&spec["paramKind"], errors);
    }
    let constraints = &spec["matchConstraints"];
    if !is_given(constraints) {
        errors.push(FieldError::required("spec.matchConstraints", ""));
    } else {
        check_constraints("spec.matchConstraints", constraints, errors);
        if is_empty(&constraints["resourceRules"]) {
            errors.push(FieldError::required("spec.matchConstraints.resourceRules", ""));
        }
    }
    check_conditions("spec.matchConditions", &spec["matchConditions"], errors);
    let mut names = HashSet::new();
    for (index, variable) in items(&spec["variables"]) {
        let at = format!("spec.variables[{index}]");
        let name = text(&variable["name"]);
        if name.trim().is_empty() {
            errors.push(FieldError::required(format!("{at}.name"), "name is not specified"));
        } else if !is_identifier(name) {
            let message = "name is not a valid CEL identifier";
            errors.push(FieldError::invalid(format!("{at}.name"), &name.into(), message));
        } else if !names.insert(name) {
            errors.push(FieldError::duplicate(format!("{at}.name"), &name.into()));
        }
        if text(&variable["expression"]).trim().is_empty() {
            errors.push(FieldError::required(format!("{at}.expression"), "expression is not specified"));
        }
    }
}

fn is_identifier(name: &str) -> bool {
    let starts = name.starts_with(|c: char| c == '_' || c.is_ascii_alphabetic());
    starts && name.bytes().all(|b| b == b'_' || b.is_ascii_alphanumeric()) && !berth_cel::escape::is_reserved(name)
}

fn check_param_kind(kind: &Value, errors: &mut Vec<FieldError>) {
    let version = text(&kind["apiVersion"]);
    let field = "spec.paramKind.apiVersion";
    match (version, version.matches('/').count()) {
        ("", _) => errors.push(FieldError::required(field, "")),
        (_, 2..) => {
            let message = format!("unexpected GroupVersion string: {version}");
            errors.push(FieldError::invalid(field, &version.into(), &message));
        }
        _ => {
            let (group, version) = version.split_once('/').unwrap_or(("", version));
            if let Some(why) = bad_subdomain(group).filter(|_| !group.is_empty()) {
                errors.push(FieldError::invalid(field, &group.into(), why));
            }
            if version.is_empty() {
                errors.push(FieldError::invalid(field, &kind["apiVersion"], "version must be specified"));
            } else if let Some(why) = bad_label_1035(version) {
                errors.push(FieldError::invalid(field, &version.into(), why));
            }
        }
    }
    let name = text(&kind["kind"]);
    if name.is_empty() {
        errors.push(FieldError::required("spec.paramKind.kind", ""));
    } else if let Some(why) = bad_label_1035(&name.to_lowercase()) {
        let message = format!("may have mixed case, but should otherwise match: {why}");
        errors.push(FieldError::invalid("spec.paramKind.kind", &name.into(), &message));
    }
}

fn check_validation(at: &str, validation: &Value, errors: &mut Vec<FieldError>) {
    if text(&validation["expression"]).trim().is_empty() {
        errors.push(FieldError::required(format!("{at}.expression"), "expression is not specified"));
    }
    let expression = text(&validation["messageExpression"]);
    if !expression.is_empty() && expression.trim().is_empty() {
        let field = format!("{at}.messageExpression");
        errors.push(FieldError::invalid(field, &expression.into(), "must be non-empty if specified"));
    }
    let message = text(&validation["message"]);
    if !message.is_empty() && message.trim().is_empty() {
        let why = "message must be non-empty if specified";
        errors.push(FieldError::invalid(format!("{at}.message"), &message.into(), why));
    } else if message.trim().contains(['\n', '\r']) {
        let why = "message must not contain line breaks";
        errors.push(FieldError::invalid(format!("{at}.message"), &message.into(), why));
    }
    one_of(&format!("{at}.reason"), &validation["reason"], REASONS, errors);
}

/// A binding of a MutatingAdmissionPolicy.
pub(super) fn validate_mutating_binding(new: &Value, _old: Option<&Value>, errors: &mut Vec<FieldError>) {
    let spec = &new["spec"];
    let name = text(&spec["policyName"]);
    if name.is_empty() {
        errors.push(FieldError::required("spec.policyName", ""));
    } else if let Some(why) = bad_subdomain(name) {
        errors.push(FieldError::invalid("spec.policyName", &name.into(), why));
    }
    if spec["paramRef"].is_object() {
        check_param_ref(&spec["paramRef"], errors);
    }
    check_constraints("spec.matchResources", &spec["matchResources"], errors);
}

/// A binding of a ValidatingAdmissionPolicy.
pub(super) fn validate_binding(new: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
    validate_mutating_binding(new, old, errors);
    let field = "spec.validationActions";
    let actions = &new["spec"]["validationActions"];
    let mut seen = HashSet::new();
    for (index, action) in items(actions) {
        one_of(&format!("{field}[{index}]"), action, ACTIONS, errors);
        seen.insert(text(action));
    }
    if seen.contains("Deny") && seen.contains("Warn") {
        let message = "must not contain both Deny and Warn (repeating the same validation failure information in the API response and headers serves no purpose)";
        errors.push(FieldError::invalid(field, actions, message));
    }
    if seen.is_empty() {
        errors.push(FieldError::required(field, "at least one validation action is required"));
    }
}

fn check_param_ref(reference: &Value, errors: &mut Vec<FieldError>) {
    let at = "spec.paramRef";
    let name = text(&reference["name"]);
    let selector = &reference["selector"];
    if !name.is_empty() {
        if let Some(why) = bad_path_segment(name) {
            errors.push(FieldError::invalid(format!("{at}.name"), &name.into(), why));
        }
        if is_given(selector) {
            errors.push(FieldError::forbidden(format!("{at}.name"), "name and selector are mutually exclusive"));
        }
    }
    if is_given(selector) {
        label_selector(&format!("{at}.selector"), selector, errors);
        if !name.is_empty() {
            errors.push(FieldError::forbidden(format!("{at}.selector"), "name and selector are mutually exclusive"));
        }
    }
    if name.is_empty() && !is_given(selector) {
        errors.push(FieldError::required(at, "one of name or selector must be specified"));
    }
    let action = &reference["parameterNotFoundAction"];
    let field = format!("{at}.parameterNotFoundAction");
    if text(action).is_empty() {
        errors.push(FieldError::required(field, ""));
    } else {
        one_of(&field, action, NOT_FOUND_ACTIONS, errors);
    }
}
