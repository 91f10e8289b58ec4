//! Declared types from structural OpenAPI v3 schemas, as `apiserver/pkg/cel/common/schemas.go` makes them.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use crate::cost::limits::{LARGEST_REQUEST_STRING, unbounded_list, unbounded_map};
use crate::env::{DeclField, DeclType, ObjectDecl};
use crate::escape::escape;

/// Characters of a name, and of a name's prefix that at least one generated character follows.
const NAME_CHARS_MAX: u64 = 253;
const GENERATE_NAME_CHARS_MAX: u64 = NAME_CHARS_MAX - 1;

/// Bytes that a character can take: `maxLength` counts characters, costs are per byte.
const CHAR_BYTES_MAX: u64 = 4;

/// The declared type of values of a schema; nothing when expressions cannot see them (no type, an array without
/// items). Properties that cannot be seen or named are left out of their objects.
///
/// `name` names the object in messages; objects within are named after their place: `name.spec`, `name.@idx` in lists,
/// `name.@elem` in maps. With `is_resource`, `apiVersion`, `kind` and the names in `metadata` are always there.
///
/// Unknown fields that a schema preserves are not visible. An int-or-string is dynamic.
#[must_use]
pub fn declare(schema: &Value, name: &str, is_resource: bool) -> Option<DeclType> {
    if is_true(schema, "x-kubernetes-int-or-string") {
        return Some(DeclType::Dyn);
    }
    match schema.get("type").and_then(Value::as_str)? {
        "array" => {
            let items = schema.get("items")?;
            let elem = declare(items, &format!("{name}.@idx"), is_embedded(items))?;
            let max_items = count(schema, "maxItems").unwrap_or_else(|| unbounded_list(elem.min_size()));
            Some(DeclType::List { elem: Arc::new(elem), max_items })
        }
        "object" => match schema.get("additionalProperties").filter(|values| values.is_object()) {
            Some(values) => map(schema, values, name),
            None => Some(object(schema, name, is_resource)),
        },
        "string" => Some(string(schema)),
        "boolean" => Some(DeclType::Bool),
        "number" => Some(DeclType::Double),
        "integer" => Some(DeclType::Int),
        _ => None,
    }
}

fn map(schema: &Value, values: &Value, name: &str) -> Option<DeclType> {
    let value = declare(values, &format!("{name}.@elem"), is_embedded(values))?;
    let max_properties = count(schema, "maxProperties").unwrap_or_else(|| unbounded_map(value.min_size()));
    // Upstream knows nothing about the size of keys, and counts them as empty.
    let key = Arc::new(DeclType::String { max_length: 0 });
    Some(DeclType::Map { key, value: Arc::new(value), max_properties })
}

fn object(schema: &Value, name: &str, is_resource: bool) -> DeclType {
    let required: Vec<&str> = schema
        .get("required")
        .and_then(Value::as_array)
        .map(|names| names.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default();
    let mut fields = BTreeMap::new();
    for (property, schema) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let Some(field) = escape(property) else { continue };
        let Some(decl) = declare(schema, &format!("{name}.{field}"), is_embedded(schema)) else { continue };
        let required = required.contains(&property.as_str()) && schema.get("default").is_none();
        fields.insert(field.as_ref().into(), DeclField { decl, required });
    }
    if is_resource {
        add_resource_fields(&mut fields, schema, name);
    }
    DeclType::Object(Arc::new(ObjectDecl { name: name.into(), fields }))
}

/// What every resource has, whatever its schema says. Nothing else of its metadata is visible.
fn add_resource_fields(fields: &mut BTreeMap<Arc<str>, DeclField>, schema: &Value, name: &str) {
    let optional = |decl| DeclField { decl, required: false };
    for field in ["apiVersion", "kind"] {
        fields.insert(field.into(), optional(DeclType::string()));
    }
    let bounded = |property: &str, chars: u64| {
        let pointer = format!("/properties/metadata/properties/{property}");
        let declared = schema.pointer(&pointer).and_then(|schema| count(schema, "maxLength")).unwrap_or(chars);
        DeclType::String { max_length: declared.min(chars).saturating_mul(CHAR_BYTES_MAX) }
    };
    let names =
        [("name", bounded("name", NAME_CHARS_MAX)), ("generateName", bounded("generateName", GENERATE_NAME_CHARS_MAX))];
    fields.insert("metadata".into(), optional(DeclType::object(&format!("{name}.metadata"), names)));
}

fn string(schema: &Value) -> DeclType {
    let max_length = count(schema, "maxLength");
    match schema.get("format").and_then(Value::as_str) {
        Some("byte") => DeclType::Bytes { max_length: max_length.unwrap_or(LARGEST_REQUEST_STRING) },
        Some("duration") => DeclType::Duration,
        Some("date") => DeclType::Date,
        Some("date-time") => DeclType::Timestamp,
        _ => {
            let longest_choice = || {
                let choices = schema.get("enum").and_then(Value::as_array).filter(|choices| !choices.is_empty())?;
                Some(choices.iter().filter_map(Value::as_str).map(|text| text.len() as u64).max().unwrap_or(0))
            };
            let max_length = max_length
                .map(|chars| chars.saturating_mul(CHAR_BYTES_MAX))
                .or_else(longest_choice)
                .unwrap_or(LARGEST_REQUEST_STRING);
            DeclType::String { max_length }
        }
    }
}

fn is_embedded(schema: &Value) -> bool {
    is_true(schema, "x-kubernetes-embedded-resource")
}

fn is_true(schema: &Value, key: &str) -> bool {
    schema.get(key).and_then(Value::as_bool) == Some(true)
}

/// A bound; negative ones are 0.
fn count(schema: &Value, key: &str) -> Option<u64> {
    let bound = schema.get(key)?;
    bound.as_u64().or_else(|| bound.as_i64().map(|_| 0))
}
