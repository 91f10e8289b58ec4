//! The first owner of a new object owns all of it: its entry is written straight from the object. The result is the
//! one that a comparison with nothing would give, at a fraction of the cost; creates are the hot path.

use serde_json::{Map, Value};

use super::element;
use super::entries::metadata_mut;
use super::time_text;
use super::typed::{Shape, item_elements, item_node, items, member, members, shape};
use crate::structural::node::Node;

/// Writes `metadata.managedFields` of a new object that has none yet.
pub(super) fn write_owner_of_all(
    root: &Node,
    object: &mut Value,
    manager: &str,
    api_version: &str,
    subresource: &str,
    now: jiff::Timestamp,
) {
    let mut fields = below(Some(root), object);
    strip_identity(&mut fields);
    if fields.is_empty() {
        return;
    }
    let mut entry = Map::new();
    entry.insert("manager".to_owned(), manager.into());
    entry.insert("operation".to_owned(), "Update".into());
    entry.insert("apiVersion".to_owned(), api_version.into());
    entry.insert("time".to_owned(), time_text(now).into());
    entry.insert("fieldsType".to_owned(), "FieldsV1".into());
    entry.insert("fieldsV1".to_owned(), Value::Object(fields));
    if !subresource.is_empty() {
        entry.insert("subresource".to_owned(), subresource.into());
    }
    if let Some(metadata) = metadata_mut(object) {
        metadata.insert("managedFields".to_owned(), Value::Array(vec![Value::Object(entry)]));
    }
}

/// The wire form of everything below a value, all of it owned.
fn below(node: Option<&Node>, value: &Value) -> Map<String, Value> {
    let mut out = Map::new();
    match shape(node, value) {
        Shape::Leaf => {}
        Shape::Map => {
            for (name, value) in members(value).into_iter().flatten() {
                let child = owned(below(member(node, name).node, value));
                let mut step = String::with_capacity(name.len() + 2);
                step.push_str("f:");
                step.push_str(name);
                out.insert(step, child);
            }
        }
        Shape::List => {
            let list = items(value);
            let mut twice = Vec::new();
            for (element, item) in item_elements(node, list).into_iter().zip(list) {
                let child = owned(below(item_node(node), item));
                if out.insert(element.to_string(), child).is_some() {
                    twice.push(element);
                }
            }
            // More than one item of a key: they are owned as one.
            for element in twice {
                out.insert(element.into(), Value::Object(Map::new()));
            }
        }
    }
    out
}

/// A place that is owned itself, with what lies below it.
fn owned(mut below: Map<String, Value>) -> Value {
    if !below.is_empty() {
        below.insert(".".to_owned(), Value::Object(Map::new()));
    }
    Value::Object(below)
}

/// Takes out what is nobody's to own.
fn strip_identity(fields: &mut Map<String, Value>) {
    for name in ["f:apiVersion", "f:kind"] {
        fields.remove(name);
    }
    let Some(Value::Object(metadata)) = fields.get_mut("f:metadata") else { return };
    metadata.remove(".");
    for name in super::IDENTITY_FIELDS {
        metadata.remove(&*element::field(name));
    }
    if metadata.is_empty() {
        fields.remove("f:metadata");
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::compare::compare;
    use super::*;
    use crate::structural::Structural;

    #[test]
    fn the_owner_of_all_owns_what_a_comparison_with_nothing_finds() {
        let schema = Structural::compile(&json!({"type": "object", "properties": {
            "metadata": {"type": "object"},
            "spec": {"type": "object", "properties": {
                "any": {"x-kubernetes-preserve-unknown-fields": true},
                "list": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
                    "items": {"type": "object", "required": ["name"], "properties": {
                        "name": {"type": "string"}, "tags": {"type": "array", "items": {"type": "string"}}}}},
                "set": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
                "map": {"type": "object", "additionalProperties": {"type": "string"}},
                "whole": {"type": "object", "x-kubernetes-map-type": "atomic", "properties": {"a": {"type": "string"}}},
            }},
        }}))
        .unwrap();
        let metadata = json!({"name": "n", "namespace": "d", "uid": "u", "labels": {"a": "b"}, "annotations": {}});
        for spec in [
            json!({}),
            json!(null),
            json!({"list": [{"name": "a", "tags": ["x"]}, {"name": "b"}], "set": ["p", "q"], "map": {"k": "v"}}),
            json!({"list": [{"name": "a", "tags": ["x"]}, {"name": "a"}], "set": ["p", "p"], "whole": {"a": "1"}}),
            json!({"list": [], "set": null, "map": {}, "any": {"x": [1, {"y": 2}], "z": {}}, "unknown": {"q": 1}}),
        ] {
            for metadata in [metadata.clone(), json!({"name": "n"}), json!({})] {
                let object = json!({"apiVersion": "v1", "kind": "K", "metadata": metadata, "spec": spec});
                let mut written = compare(schema.root(), &json!({}), &object).written();
                written.strip_identity();
                let mut fields = below(Some(schema.root()), &object);
                strip_identity(&mut fields);
                assert_eq!(Value::Object(fields), written.to_fields_v1(), "{object}");
            }
        }
    }
}
