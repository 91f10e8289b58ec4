//! Field ownership: server-side apply and the tracking of plain writes.

mod apply;
mod compare;
mod element;
mod entries;
mod fresh;
mod merge;
mod set;
#[cfg(test)]
mod tests;
mod typed;
mod update;

use serde_json::Value;

pub use apply::{ApplyError, ApplyInput, Conflict, ResetFields, apply};
pub use update::track_update;

/// Owns what was in an object before its first apply.
const BEFORE_FIRST_APPLY: &str = "before-first-apply";

/// Metadata that nobody owns.
const IDENTITY_FIELDS: [&str; 9] = [
    "name",
    "namespace",
    "creationTimestamp",
    "selfLink",
    "uid",
    "clusterName",
    "generation",
    "managedFields",
    "resourceVersion",
];

/// Metadata that an apply cannot write.
const SERVER_FIELDS: [&str; 7] = [
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "generation",
    "resourceVersion",
    "selfLink",
    "uid",
];

/// Whether a write would change nothing but the times in managedFields: then the old object stays as it is.
pub fn same_but_times(old: &Value, new: &Value) -> bool {
    if old == new {
        return true;
    }
    let (Value::Object(a), Value::Object(b)) = (old, new) else { return false };
    let same = |name: &str| match name {
        "metadata" => same_metadata(&old[name], &new[name]),
        _ => a.get(name) == b.get(name),
    };
    a.len() == b.len() && a.keys().all(|name| b.contains_key(name) && same(name))
}

fn same_metadata(old: &Value, new: &Value) -> bool {
    let (Value::Object(a), Value::Object(b)) = (old, new) else { return old == new };
    let same = |name: &str| match (name, &a[name], b.get(name)) {
        ("managedFields", Value::Array(a), Some(Value::Array(b))) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_but_time(a, b))
        }
        (_, a, b) => Some(a) == b,
    };
    a.len() == b.len() && a.keys().all(|name| same(name))
}

fn same_but_time(old: &Value, new: &Value) -> bool {
    let (Value::Object(a), Value::Object(b)) = (old, new) else { return old == new };
    a.len() == b.len() && a.iter().all(|(name, value)| name == "time" || b.get(name) == Some(value))
}

/// RFC 3339 in whole seconds, as all times of metadata.
fn time_text(now: jiff::Timestamp) -> String {
    now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
