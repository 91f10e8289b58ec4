//! Configurations of admission webhooks: defaults, and what one must say.

use std::collections::HashSet;

use berth_schema::FieldError;
use serde_json::{Value, json};

use super::api_service::{PORT_TEXT, bad_port};
use super::checks::{
    bad_label_1035, bad_subdomain, fill, is_given, items, label_selector, members, not_supported, one_of, text, texts,
};
use super::matching::{MATCH_POLICIES, check_conditions, check_failure_policy, check_rule, prepare_rules};

const SIDE_EFFECTS: &[&str] = &["None", "NoneOnDryRun"];
const REINVOCATIONS: &[&str] = &["IfNeeded", "Never"];
/// Versions of the review that this server can send.
const REVIEW_VERSIONS: &[&str] = &["v1", "v1beta1"];
const TIMEOUT_SECONDS_MAX: i64 = 30;
const URL_FORM: &str = "; desired format: https://host[/path]";

pub(super) fn prepare_mutating(object: &mut Value) {
    prepare(object, true);
}

pub(super) fn prepare_validating(object: &mut Value) {
    prepare(object, false);
}

fn prepare(object: &mut Value, mutating: bool) {
    let hooks = object.get_mut("webhooks").and_then(Value::as_array_mut);
    for hook in hooks.into_iter().flatten() {
        if let Some(service) = hook.get_mut("clientConfig").and_then(|config| members(config, "service")) {
            fill(service, "port", 443);
        }
        let Some(hook) = hook.as_object_mut() else { continue };
        fill(hook, "failurePolicy", "Fail");
        fill(hook, "matchPolicy", "Equivalent");
        fill(hook, "namespaceSelector", json!({}));
        fill(hook, "objectSelector", json!({}));
        fill(hook, "timeoutSeconds", 10);
        if mutating {
            fill(hook, "reinvocationPolicy", "Never");
        }
        prepare_rules(hook, "rules");
    }
}

pub(super) fn validate(new: &Value, _old: Option<&Value>, errors: &mut Vec<FieldError>) {
    let mut names = HashSet::new();
    for (index, hook) in items(&new["webhooks"]) {
        let at = format!("webhooks[{index}]");
        check(&at, hook, errors);
        let name = text(&hook["name"]);
        if !name.is_empty() && !names.insert(name) {
            errors.push(FieldError::duplicate(format!("{at}.name"), &name.into()));
        }
    }
}

fn check(at: &str, hook: &Value, errors: &mut Vec<FieldError>) {
    check_name(&format!("{at}.name"), text(&hook["name"]), errors);
    for (index, rule) in items(&hook["rules"]) {
        check_rule(&format!("{at}.rules[{index}]"), rule, errors);
    }
    check_failure_policy(&format!("{at}.failurePolicy"), &hook["failurePolicy"], false, errors);
    one_of(&format!("{at}.matchPolicy"), &hook["matchPolicy"], MATCH_POLICIES, errors);
    let effects = &hook["sideEffects"];
    let field = format!("{at}.sideEffects");
    if !is_given(effects) {
        errors.push(FieldError::required(field, "must specify one of None, NoneOnDryRun"));
    } else if !SIDE_EFFECTS.contains(&text(effects)) {
        errors.push(not_supported(&field, effects, SIDE_EFFECTS));
    }
    if hook["timeoutSeconds"].as_i64().is_some_and(|seconds| !(1..=TIMEOUT_SECONDS_MAX).contains(&seconds)) {
        let message = "the timeout value must be between 1 and 30 seconds";
        errors.push(FieldError::invalid(format!("{at}.timeoutSeconds"), &hook["timeoutSeconds"], message));
    }
    for name in ["namespaceSelector", "objectSelector"] {
        label_selector(&format!("{at}.{name}"), &hook[name], errors);
    }
    one_of(&format!("{at}.reinvocationPolicy"), &hook["reinvocationPolicy"], REINVOCATIONS, errors);
    check_client(&format!("{at}.clientConfig"), &hook["clientConfig"], errors);
    check_conditions(&format!("{at}.matchConditions"), &hook["matchConditions"], errors);
    check_versions(&format!("{at}.admissionReviewVersions"), &hook["admissionReviewVersions"], errors);
}

/// Names look like domains, so that no two authors take the same.
fn check_name(field: &str, name: &str, errors: &mut Vec<FieldError>) {
    if name.is_empty() {
        errors.push(FieldError::required(field, ""));
    } else if let Some(why) = bad_subdomain(name) {
        errors.push(FieldError::invalid(field, &name.into(), why));
    } else if name.split('.').count() < 3 {
        let message = "should be a domain with at least three segments separated by dots";
        errors.push(FieldError::invalid(field, &name.into(), message));
    }
}

fn check_versions(field: &str, versions: &Value, errors: &mut Vec<FieldError>) {
    let list = texts(versions);
    if list.is_empty() {
        errors.push(FieldError::required(field, "must specify one of v1, v1beta1"));
        return;
    }
    let mut seen = HashSet::new();
    for (index, version) in list.iter().enumerate() {
        let at = format!("{field}[{index}]");
        if !seen.insert(*version) {
            errors.push(FieldError::invalid(at, &(*version).into(), "duplicate version"));
        } else if let Some(why) = bad_label_1035(version) {
            errors.push(FieldError::invalid(at, &(*version).into(), why));
        }
    }
    if !list.iter().any(|version| REVIEW_VERSIONS.contains(version)) {
        errors.push(FieldError::invalid(field, versions, "must include at least one of v1, v1beta1"));
    }
}

/// Where a webhook is: at a URL, or behind a service.
pub(super) fn check_client(at: &str, client: &Value, errors: &mut Vec<FieldError>) {
    let (url, service) = (&client["url"], &client["service"]);
    if is_given(url) == is_given(service) {
        errors.push(FieldError::required(at, "exactly one of url or service is required"));
    } else if is_given(url) {
        check_url(&format!("{at}.url"), text(url), errors);
    } else {
        check_service(&format!("{at}.service"), service, errors);
    }
}

fn check_url(field: &str, url: &str, errors: &mut Vec<FieldError>) {
    let mut wrong = |value: &str, message: &str| errors.push(FieldError::invalid(field, &value.into(), message));
    let (url, fragment) = url.split_once('#').unwrap_or((url, ""));
    let (url, query) = url.split_once('?').unwrap_or((url, ""));
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let authority = if scheme.is_empty() { "" } else { rest.split('/').next().unwrap_or_default() };
    let (user, host) = authority.rsplit_once('@').map_or((None, authority), |(user, host)| (Some(user), host));
    if scheme != "https" {
        wrong(scheme, &format!("'https' is the only allowed URL scheme{URL_FORM}"));
    }
    if host.is_empty() {
        wrong(host, &format!("host must be specified{URL_FORM}"));
    }
    if user.is_some() {
        // Not shown: it may be a password.
        wrong("<not shown>", "user information is not permitted in the URL");
    }
    if !fragment.is_empty() {
        wrong(fragment, "fragments are not permitted in the URL");
    }
    if !query.is_empty() {
        wrong(query, "query parameters are not permitted in the URL");
    }
}

fn check_service(at: &str, service: &Value, errors: &mut Vec<FieldError>) {
    for field in ["name", "namespace"] {
        if text(&service[field]).is_empty() {
            errors.push(FieldError::required(format!("{at}.{field}"), ""));
        }
    }
    if let Some(port) = bad_port(&service["port"]) {
        errors.push(FieldError::invalid(format!("{at}.port"), &port.into(), PORT_TEXT));
    }
    let path = text(&service["path"]);
    if path.is_empty() || path == "/" {
        return;
    }
    let field = format!("{at}.path");
    let mut wrong = |message: &str| errors.push(FieldError::invalid(field.clone(), &path.into(), message));
    let Some(steps) = path.strip_prefix('/') else {
        wrong("must start with a '/'");
        return;
    };
    for (index, step) in steps.strip_suffix('/').unwrap_or(steps).split('/').enumerate() {
        if step.is_empty() {
            wrong(&format!("segment[{index}] may not be empty"));
        } else if let Some(why) = bad_subdomain(step) {
            wrong(&format!("segment[{index}]: {why}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_plain_https() {
        for (url, wrong) in [
            ("https://a.b/c", 0),
            ("https://a.b:8443", 0),
            ("http://a", 1),
            ("https://", 1),
            ("https://u:p@a", 1),
            ("https://a/?x=1#y", 2),
            ("a.b/c", 2),
        ] {
            let mut errors = Vec::new();
            check_url("url", url, &mut errors);
            assert_eq!(errors.len(), wrong, "{url}: {errors:?}");
            assert!(!errors.iter().any(|e| e.to_string().contains("u:p")), "{errors:?}");
        }
    }
}
