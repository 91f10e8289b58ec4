//! One step of a field path, kept in its wire form: `f:name`, `k:{"name":"a"}`, `v:"a"`.
//!
//! The text is canonical (keys sorted, whole numbers without fraction), so equal steps are equal texts and sets of
//! them are byte-stable without conversion.

use serde_json::{Map, Value};

use crate::error::quote;
use crate::structural::node::{ListKind, Node};

/// The wire form of one step.
pub(super) type Element = Box<str>;

pub(super) fn field(name: &str) -> Element {
    format!("f:{name}").into()
}

fn set_item(value: &Value) -> Element {
    format!("v:{}", canonical(value)).into()
}

fn keyed_item(keys: Map<String, Value>) -> Element {
    format!("k:{}", Value::Object(keys)).into()
}

/// The step to an item of a list that is a set or a map; `Err` says why the item has none.
pub(super) fn item(kind: &ListKind, items: Option<&Node>, value: &Value) -> Result<Element, String> {
    let keys = match kind {
        ListKind::Map(keys) => keys,
        ListKind::Set | ListKind::Atomic => {
            return if value.is_null() {
                Err("set may not have a null element".to_owned())
            } else {
                Ok(set_item(value))
            };
        }
    };
    let Value::Object(members) = value else {
        let what = if value.is_null() { "a null element" } else { "non-map elements" };
        return Err(format!("associative list with keys may not have {what}"));
    };
    let mut found = Map::new();
    for key in keys {
        let default = || items.and_then(|node| node.prop(key)).and_then(|node| node.default.as_ref());
        if let Some(value) = members.get(&**key).or_else(default) {
            found.insert(key.to_string(), canonical(value));
        }
    }
    if found.is_empty() {
        let keys: Vec<String> = keys.iter().map(|k| quote(k)).collect();
        let keys = keys.join(" ");
        return Err(format!("associative list with keys has an element that omits all key fields [{keys}]"));
    }
    Ok(keyed_item(found))
}

/// Reads a step from stored fieldsV1; `None` when it is none.
pub(super) fn parse(text: &str) -> Option<Element> {
    let (kind, rest) = text.split_once(':')?;
    match kind {
        "f" => Some(text.into()),
        "i" => rest.parse::<i64>().ok().map(|_| text.into()),
        "v" => serde_json::from_str(rest).ok().map(|v: Value| set_item(&v)),
        "k" => match serde_json::from_str(rest).ok()? {
            Value::Object(keys) => {
                Some(keyed_item(keys.into_iter().map(|(name, value)| (name, canonical(&value))).collect()))
            }
            _ => None,
        },
        _ => None,
    }
}

/// As conflicts print it: `.name`, `[name="a",port=1]`, `[="a"]`, `[0]`.
pub(super) fn display(element: &str) -> String {
    let (kind, rest) = element.split_once(':').unwrap_or(("f", element));
    match kind {
        "f" => format!(".{rest}"),
        "v" => format!("[={rest}]"),
        "k" => {
            let keys: Map<String, Value> = serde_json::from_str(rest).unwrap_or_default();
            let keys: Vec<String> = keys.iter().map(|(name, value)| format!("{name}={value}")).collect();
            format!("[{}]", keys.join(","))
        }
        _ => format!("[{rest}]"),
    }
}

/// `1.0` and `1` are one key.
fn canonical(value: &Value) -> Value {
    match value.as_f64() {
        Some(float) if value.is_f64() && float.fract() == 0.0 && float.abs() < 9e15 => Value::from(float as i64),
        _ => value.clone(),
    }
}
