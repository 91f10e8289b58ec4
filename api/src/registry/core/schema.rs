//! Schemas of the standard kinds: those of the typed library, made structural, with what Kubernetes knows beyond them
//! (which lists are maps, which maps are one value) taken from the table of messages.

use schemars::JsonSchema;
use serde_json::{Map, Value, json};

use crate::protobuf::{Message, Type};

/// The schema of a kind, with list types and merge keys.
pub(super) fn of<T: JsonSchema>(group: &str, kind: &str) -> Value {
    let mut schema = plain::<T>();
    if let Some(message) = crate::protobuf::message_of(group, kind) {
        annotate(&mut schema, message);
    }
    schema
}

/// The schema of a Kubernetes type, with references replaced and without what is not structural.
pub(crate) fn plain<T: JsonSchema>() -> Value {
    let schema = schemars::generate::SchemaSettings::openapi3().into_generator().into_root_schema_for::<T>();
    let mut value = berth_schema::openapi::inline_refs(schema.to_value());
    if let Value::Object(root) = &mut value {
        for name in ["$schema", "title", "definitions", "components", "$defs"] {
            root.remove(name);
        }
        if let Some(Value::Object(properties)) = root.get_mut("properties") {
            for name in ["apiVersion", "kind"] {
                properties.insert(name.to_owned(), json!({"type": "string"}));
            }
            // The server knows object metadata better than a schema can say.
            properties.insert("metadata".to_owned(), json!({"type": "object"}));
        }
        if let Some(Value::Array(required)) = root.get_mut("required") {
            required.retain(|name| name != "metadata");
        }
    }
    drop_byte_format(&mut value);
    value
}

/// Base64 is checked by the strategies, which never repeat a value in an error: it may be a secret.
fn drop_byte_format(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            if map.get("format").is_some_and(|f| f == "byte") {
                map.remove("format");
            }
            map.values_mut().for_each(drop_byte_format);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_byte_format),
        _ => {}
    }
}

/// Writes list types, map types and merge keys into the schema of a message.
fn annotate(schema: &mut Value, message: &Message) {
    let Value::Object(map) = schema else { return };
    if message.is_atomic() {
        map.insert("x-kubernetes-map-type".to_owned(), "atomic".into());
    }
    let Some(Value::Object(properties)) = map.get_mut("properties") else { return };
    for field in message.fields() {
        if let (Type::Inline(inner), _) = (field.kind(), ()) {
            annotate_members(properties, inner.get());
        }
    }
    annotate_members(properties, message);
}

fn annotate_members(properties: &mut Map<String, Value>, message: &Message) {
    for field in message.fields() {
        match field.kind() {
            Type::Inline(inner) => annotate_members(properties, inner.get()),
            kind => {
                // Metadata is the server's own.
                let Some(property) = properties.get_mut(field.name()).filter(|_| field.name() != "metadata") else {
                    continue;
                };
                mark(property, field.marks());
                descend(property, kind);
            }
        }
    }
}

fn mark(property: &mut Value, marks: &Map<String, Value>) {
    if let Value::Object(property) = property {
        for (name, value) in marks {
            property.insert(name.clone(), value.clone());
        }
    }
}

fn descend(property: &mut Value, kind: &Type) {
    match kind {
        Type::Message(inner) => annotate(property, inner.get()),
        Type::Quantity => {
            // People write `cpu: 1`, and upstream's type reads numbers too.
            if let Value::Object(map) = property {
                map.remove("type");
                map.insert("x-kubernetes-int-or-string".to_owned(), true.into());
            }
        }
        Type::List(inner) => {
            if let Some(items) = property.get_mut("items") {
                descend(items, inner);
            }
        }
        Type::Map(inner) => {
            if let Some(values) = property.get_mut("additionalProperties") {
                descend(values, inner);
            }
        }
        _ => {}
    }
}
