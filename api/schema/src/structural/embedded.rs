//! Whole objects within objects (`x-kubernetes-embedded-resource`): what every object must say of itself.

use serde_json::{Map, Value};

use crate::error::{FieldError, Path};
use crate::selector::{key_problem, value_problem};

/// Characters of a DNS label.
const LABEL_CHARS_MAX: usize = 63;

/// Checks apiVersion, kind and metadata of an object whose fields have the declared types. That apiVersion and kind
/// are there is checked with the required fields.
pub(super) fn check(map: &Map<String, Value>, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    if let Some(Value::String(version)) = map.get("apiVersion") {
        let at = || path.field("apiVersion").to_string();
        if version.is_empty() {
            errors.push(FieldError::invalid(at(), &Value::from(""), "must not be empty"));
        } else if version.matches('/').count() > 1 {
            let message = format!("unexpected GroupVersion string: {version}");
            errors.push(FieldError::invalid(at(), &Value::from(version.as_str()), &message));
        }
    }
    if let Some(Value::String(kind)) = map.get("kind") {
        let at = path.field("kind").to_string();
        if kind.is_empty() {
            errors.push(FieldError::invalid(at, &Value::from(""), "must not be empty"));
        } else if !is_label(&kind.to_lowercase()) {
            let message = format!("may have mixed case, but should otherwise match: {DNS_LABEL_WORDS}");
            errors.push(FieldError::invalid(at, &Value::from(kind.as_str()), &message));
        }
    }
    if let Some(Value::Object(metadata)) = map.get("metadata") {
        check_metadata(metadata, &path.field("metadata"), errors);
    }
}

/// As Kubernetes says what a DNS label (RFC 1035) is.
const DNS_LABEL_WORDS: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with \
                               an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or \
                               'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";

fn is_label(text: &str) -> bool {
    text.len() <= LABEL_CHARS_MAX
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.ends_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

fn check_metadata(metadata: &Map<String, Value>, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    for field in ["name", "generateName"] {
        let Some(Value::String(name)) = metadata.get(field) else { continue };
        let problem = match name.as_str() {
            "." => Some("may not be '.'".to_owned()),
            ".." => Some("may not be '..'".to_owned()),
            name => ['/', '%'].into_iter().find(|c| name.contains(*c)).map(|c| format!("may not contain '{c}'")),
        };
        if let Some(problem) = problem {
            errors.push(FieldError::invalid(path.field(field).to_string(), &Value::from(name.as_str()), &problem));
        }
    }
    let entries = |field: &str| metadata.get(field).and_then(Value::as_object).into_iter().flatten();
    for (key, value) in entries("labels") {
        let at = path.field("labels").to_string();
        if let Some(problem) = key_problem(key) {
            errors.push(FieldError::invalid(at.clone(), &Value::from(key.as_str()), &problem));
        }
        if let Some(problem) = value.as_str().and_then(value_problem) {
            errors.push(FieldError::invalid(at, value, &problem));
        }
    }
    for (key, _) in entries("annotations") {
        if let Some(problem) = key_problem(&key.to_lowercase()) {
            let at = path.field("annotations").to_string();
            errors.push(FieldError::invalid(at, &Value::from(key.as_str()), &problem));
        }
    }
}
