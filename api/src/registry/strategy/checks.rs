//! Rules that many kinds share, and the words that errors about them have.

use berth_schema::FieldError;
use serde_json::{Map, Value};

use crate::write::meta::{bad_label_value, bad_qualified_name, is_dns_label, is_dns_subdomain};

/// The text of a value; empty when it is none.
pub(super) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// A member of a member.
pub(super) fn member<'v>(object: &'v Value, outer: &str, inner: &str) -> &'v Value {
    &object[outer][inner]
}

/// The items of a list, with their numbers.
pub(super) fn items(value: &Value) -> impl Iterator<Item = (usize, &Value)> {
    value.as_array().into_iter().flatten().enumerate()
}

/// The texts of a list.
pub(super) fn texts(value: &Value) -> Vec<&str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// The entries of a map.
pub(super) fn entries(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

/// Whether a list or map has nothing in it, or is not there.
pub(super) fn is_empty(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::String(text) => text.is_empty(),
        other => other.is_null(),
    }
}

/// Whether a field was given at all.
pub(super) fn is_given(value: &Value) -> bool {
    !value.is_null()
}

/// The members of an object, to fill in defaults; `None` when it is of another type, which the schema blames.
pub(super) fn members<'v>(object: &'v mut Value, name: &str) -> Option<&'v mut Map<String, Value>> {
    object.get_mut(name)?.as_object_mut()
}

/// Fills in a member that is absent or null.
pub(super) fn fill(members: &mut Map<String, Value>, name: &str, default: impl Into<Value>) {
    if members.get(name).is_none_or(Value::is_null) {
        members.insert(name.to_owned(), default.into());
    }
}

/// A field that keeps its value for good.
pub(super) fn immutable(field: &str, new: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    let same = new == old || is_empty(new) && is_empty(old);
    if !same {
        errors.push(FieldError::invalid(field, new, "field is immutable"));
    }
}

/// A text out of a closed list, when it is given. The list is sorted, as Kubernetes prints it.
pub(super) fn one_of(field: &str, value: &Value, allowed: &[&str], errors: &mut Vec<FieldError>) {
    if let Some(given) = value.as_str()
        && !allowed.contains(&given)
    {
        errors.push(not_supported(field, value, allowed));
    }
}

/// The error of a value that is none of these.
pub(super) fn not_supported(field: &str, value: &Value, allowed: &[&str]) -> FieldError {
    let allowed: Vec<Value> = allowed.iter().map(|text| Value::from(*text)).collect();
    FieldError::not_supported(field, value, &allowed)
}

const SUBDOMAIN_TEXT: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const LABEL_1035_TEXT: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";

/// Why a text is no DNS subdomain, if so.
pub(super) fn bad_subdomain(text: &str) -> Option<&'static str> {
    (!is_dns_subdomain(text)).then_some(SUBDOMAIN_TEXT)
}

/// Why a text is no DNS label that begins with a letter, if so.
pub(super) fn bad_label_1035(text: &str) -> Option<&'static str> {
    let fits = is_dns_label(text) && text.starts_with(|c: char| c.is_ascii_lowercase());
    (!fits).then_some(LABEL_1035_TEXT)
}

/// A label selector.
pub(super) fn label_selector(field: &str, selector: &Value, errors: &mut Vec<FieldError>) {
    for (key, value) in entries(&selector["matchLabels"]) {
        if let Some(why) = bad_qualified_name(key) {
            errors.push(FieldError::invalid(format!("{field}.matchLabels"), &key.as_str().into(), &why));
        }
        if let Some(why) = bad_label_value(text(value)) {
            errors.push(FieldError::invalid(format!("{field}.matchLabels"), value, why));
        }
    }
    for (index, requirement) in items(&selector["matchExpressions"]) {
        label_requirement(&format!("{field}.matchExpressions[{index}]"), requirement, errors);
    }
}

fn label_requirement(field: &str, requirement: &Value, errors: &mut Vec<FieldError>) {
    let operator = text(&requirement["operator"]);
    let has_values = !is_empty(&requirement["values"]);
    let values = format!("{field}.values");
    match operator {
        "In" | "NotIn" if !has_values => {
            errors.push(FieldError::required(values, "must be specified when `operator` is 'In' or 'NotIn'"));
        }
        "Exists" | "DoesNotExist" if has_values => {
            errors.push(FieldError::forbidden(
                values,
                "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
            ));
        }
        "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
        _ => errors.push(FieldError::invalid(
            format!("{field}.operator"),
            &operator.into(),
            "not a valid selector operator",
        )),
    }
    if let Some(why) = bad_qualified_name(text(&requirement["key"])) {
        errors.push(FieldError::invalid(format!("{field}.key"), &requirement["key"], &why));
    }
    for (index, value) in items(&requirement["values"]) {
        if let Some(why) = bad_label_value(text(value)) {
            errors.push(FieldError::invalid(format!("{field}.values[{index}]"), value, why));
        }
    }
}
