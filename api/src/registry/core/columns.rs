//! The columns that `kubectl get` prints of the standard kinds: the same names in the same order as upstream's, with
//! the cells that no path can say (counts, joined names, conditions in one word) made here.

use berth_schema::table::{Columns, age, human_duration};
use jiff::Timestamp;
use serde_json::{Value, json};

/// A column after the name: its name, its type, and whether only `-o wide` shows it.
pub(super) type Head = (&'static str, &'static str, bool);

/// A column that is always shown.
pub(super) const fn text(name: &'static str) -> Head {
    (name, "string", false)
}

/// A column that only `-o wide` shows.
pub(super) const fn wide(name: &'static str) -> Head {
    (name, "string", true)
}

/// `columnDefinitions` with the name in front.
pub(super) fn named(heads: &[Head]) -> Value {
    let mut all = vec![Columns::name_definition()];
    all.extend(heads.iter().map(head));
    Value::Array(all)
}

/// `columnDefinitions` as they stand: Events show no name.
pub(super) fn unnamed(heads: &[Head]) -> Value {
    heads.iter().map(head).collect()
}

fn head(head: &Head) -> Value {
    match *head {
        ("Age", ..) => Columns::age_definition(),
        ("Created At", ..) => Columns::created_definition(),
        (name, kind, wide) => {
            json!({"name": name, "type": kind, "format": "", "description": "", "priority": i32::from(wide)})
        }
    }
}

/// Name and time of creation: kinds that nobody made columns for.
pub(super) fn plain(object: &Value, _now: Timestamp) -> Vec<Value> {
    vec![name(object), object["metadata"]["creationTimestamp"].clone()]
}

pub(super) fn name(object: &Value) -> Value {
    object["metadata"]["name"].clone()
}

/// The age of an object.
pub(super) fn aged(object: &Value, now: Timestamp) -> Value {
    since(&object["metadata"]["creationTimestamp"], now).into()
}

/// How long ago a time was; `<unknown>` when there is none.
pub(super) fn since(time: &Value, now: Timestamp) -> String {
    time.as_str().filter(|t| !t.is_empty()).map_or_else(|| "<unknown>".to_owned(), |text| age(text, now))
}

/// A number of seconds as kubectl prints it; `<none>` when there is none.
pub(super) fn seconds(value: &Value) -> String {
    value.as_i64().map_or_else(|| "<none>".to_owned(), human_duration)
}

/// Entries of a list or map.
pub(super) fn count(value: &Value) -> usize {
    match value {
        Value::Array(items) => items.len(),
        Value::Object(members) => members.len(),
        _ => 0,
    }
}

/// The text of a member; empty when there is none.
pub(super) fn word<'v>(value: &'v Value, member: &str) -> &'v str {
    value.get(member).and_then(Value::as_str).unwrap_or_default()
}

/// The text, or what stands for none.
pub(super) fn or<'v>(text: &'v str, none: &'v str) -> &'v str {
    if text.is_empty() { none } else { text }
}

/// The items of a list.
pub(super) fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// The condition of a type.
pub(super) fn condition<'v>(object: &'v Value, kind: &str) -> Option<&'v Value> {
    items(&object["status"]["conditions"]).find(|condition| word(condition, "type") == kind)
}
