//! The schemas of a document, in OpenAPI v3 form: kinds, their lists and what all of them share.

use serde_json::{Map, Value, json};

use super::KindDoc;
use super::names::{DELETE_OPTIONS, LIST_META, OBJECT_META, PATCH, SCALE, STATUS, gvk, kind_name, list_name};
use crate::structural::object_meta_schema;

const API_VERSION_TEXT: &str = "APIVersion defines the versioned schema of this representation of an object.";
const KIND_TEXT: &str = "Kind is a string value representing the kind of this object, in CamelCase.";

pub(super) fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

/// All schemas of these kinds by name.
pub(super) fn all(kinds: &[KindDoc]) -> Map<String, Value> {
    let mut schemas = shared();
    for doc in kinds {
        schemas.insert(kind_name(doc), kind(doc));
        schemas.insert(list_name(doc), list(doc));
    }
    schemas
}

fn kind(doc: &KindDoc) -> Value {
    let mut schema = (*doc.schema).clone();
    mark_int_or_string(&mut schema);
    let Value::Object(map) = &mut schema else { return json!({"type": "object"}) };
    let props = map.entry("properties").or_insert_with(|| json!({}));
    if let Value::Object(props) = props {
        props.insert("apiVersion".to_owned(), json!({"type": "string", "description": API_VERSION_TEXT}));
        props.insert("kind".to_owned(), json!({"type": "string", "description": KIND_TEXT}));
        let text = "Standard object's metadata.";
        props.insert("metadata".to_owned(), json!({"description": text, "allOf": [reference(OBJECT_META)]}));
    }
    if let Some(Value::Array(required)) = map.get_mut("required") {
        // kubectl 1.20 checks the manifest as it was written: the server can fill these in.
        required.retain(|name| name != "metadata");
    }
    map.insert("x-kubernetes-group-version-kind".to_owned(), json!([gvk(doc)]));
    schema
}

fn list(doc: &KindDoc) -> Value {
    json!({
        "type": "object",
        "description": format!("{} is a list of {}", doc.list_kind, doc.kind),
        "required": ["items"],
        "properties": {
            "apiVersion": {"type": "string", "description": API_VERSION_TEXT},
            "kind": {"type": "string", "description": KIND_TEXT},
            "metadata": {"description": "Standard list metadata.", "allOf": [reference(LIST_META)]},
            "items": {"type": "array", "description": format!("List of {}.", doc.plural),
                "items": {"allOf": [reference(&kind_name(doc))]}},
        },
        "x-kubernetes-group-version-kind": [
            {"group": doc.group, "kind": doc.list_kind, "version": doc.version}],
    })
}

fn shared() -> Map<String, Value> {
    let gvk = |group: &str, kind: &str| json!([{"group": group, "kind": kind, "version": "v1"}]);
    let text = || json!({"type": "string"});
    let schemas = [
        (OBJECT_META, object_meta_schema()),
        (
            LIST_META,
            json!({"type": "object", "description": "Metadata of a list.", "properties": {
                "continue": text(), "remainingItemCount": {"type": "integer", "format": "int64"},
                "resourceVersion": text(), "selfLink": text()}}),
        ),
        (
            STATUS,
            json!({"type": "object", "description": "The answer to a call that returns no other object.",
                "properties": {
                    "apiVersion": text(), "kind": text(), "metadata": {"allOf": [reference(LIST_META)]},
                    "status": text(), "message": text(), "reason": text(),
                    "code": {"type": "integer", "format": "int32"},
                    "details": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}},
                "x-kubernetes-group-version-kind": gvk("", "Status")}),
        ),
        (
            DELETE_OPTIONS,
            json!({"type": "object", "description": "How to delete.", "properties": {
                "apiVersion": text(), "kind": text(),
                "dryRun": {"type": "array", "items": text()},
                "gracePeriodSeconds": {"type": "integer", "format": "int64"},
                "orphanDependents": {"type": "boolean"}, "propagationPolicy": text(),
                "preconditions": {"type": "object", "properties": {"uid": text(), "resourceVersion": text()}}},
                "x-kubernetes-group-version-kind": gvk("", "DeleteOptions")}),
        ),
        (PATCH, json!({"type": "object", "description": "A patch; its form is told by the content type."})),
        (
            SCALE,
            json!({"type": "object", "description": "A scaling request for a resource.", "properties": {
                "apiVersion": text(), "kind": text(), "metadata": {"allOf": [reference(OBJECT_META)]},
                "spec": {"type": "object", "properties": {"replicas": {"type": "integer", "format": "int32"}}},
                "status": {"type": "object", "required": ["replicas"], "properties": {
                    "replicas": {"type": "integer", "format": "int32"}, "selector": text()}}},
                "x-kubernetes-group-version-kind": gvk("autoscaling", "Scale")}),
        ),
    ];
    schemas.into_iter().map(|(name, schema)| (name.to_owned(), schema)).collect()
}

/// Clients that know no extension learn it from anyOf.
fn mark_int_or_string(schema: &mut Value) {
    let Value::Object(map) = schema else { return };
    let marked = map.get("x-kubernetes-int-or-string").and_then(Value::as_bool).unwrap_or(false);
    if marked && !map.contains_key("anyOf") {
        map.insert("anyOf".to_owned(), json!([{"type": "integer"}, {"type": "string"}]));
    }
    if let Some(Value::Object(props)) = map.get_mut("properties") {
        props.values_mut().for_each(mark_int_or_string);
    }
    for name in ["items", "additionalProperties"] {
        if let Some(inner) = map.get_mut(name) {
            mark_int_or_string(inner);
        }
    }
}
