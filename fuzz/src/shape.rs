//! How large and how deep JSON is.

use serde_json::Value;

/// Levels of lists and objects.
pub(crate) fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

/// Values, and bytes of all texts and names.
pub(crate) fn weight(value: &Value) -> (usize, usize) {
    let add = |a: (usize, usize), b: (usize, usize)| (a.0 + b.0, a.1 + b.1);
    match value {
        Value::Array(items) => items.iter().map(weight).fold((1, 0), add),
        Value::Object(members) => members.iter().map(|(k, v)| add(weight(v), (0, k.len()))).fold((1, 0), add),
        Value::String(text) => (1, text.len()),
        _ => (1, 0),
    }
}

/// Bytes as JSON.
pub(crate) fn size(value: &Value) -> usize {
    value.to_string().len()
}
