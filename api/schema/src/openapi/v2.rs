//! OpenAPI v2 (swagger): one document for everything, for clients older than v3.

use serde_json::{Map, Value, json};

use super::KindDoc;
use super::names::gvk;
use super::operations::{self, Operation, query_parameter};
use super::schemas;

/// The v2 document of everything that is served.
pub fn v2_json(title: &str, version: &str, kinds: &[KindDoc]) -> Value {
    let mut paths = Map::new();
    for doc in kinds {
        for path in operations::of(doc) {
            let mut item = Map::new();
            for operation in &path.operations {
                item.insert(operation.method.to_owned(), print(doc, operation));
            }
            let parameters: Vec<Value> = path
                .parameters
                .iter()
                .map(
                    |name| json!({"name": name, "in": "path", "required": true, "type": "string", "uniqueItems": true}),
                )
                .collect();
            if !parameters.is_empty() {
                item.insert("parameters".to_owned(), Value::Array(parameters));
            }
            paths.insert(path.path, Value::Object(item));
        }
    }
    let definitions: Map<String, Value> =
        schemas::all(kinds).into_iter().map(|(name, schema)| (name, downgrade(schema))).collect();
    json!({
        "swagger": "2.0",
        "info": {"title": title, "version": version},
        "paths": paths,
        "definitions": definitions,
    })
}

fn print(doc: &KindDoc, operation: &Operation) -> Value {
    let mut parameters = Vec::new();
    if let Some(body) = &operation.body {
        parameters.push(json!({"name": "body", "in": "body", "required": operation.method != "delete",
            "schema": {"$ref": format!("#/definitions/{body}")}}));
    }
    for name in &operation.query {
        let (kind, description) = query_parameter(name);
        parameters.push(json!({"name": name, "in": "query", "type": kind, "uniqueItems": true,
            "description": description}));
    }
    json!({
        "description": operation.description,
        "operationId": operation.id,
        "consumes": operation.consumes,
        "produces": ["application/json", "application/yaml"],
        "schemes": ["https"],
        "parameters": parameters,
        "responses": {"200": {"description": "OK",
            "schema": {"$ref": format!("#/definitions/{}", operation.answer)}}},
        "x-kubernetes-action": operation.action,
        "x-kubernetes-group-version-kind": operation.gvk.clone().unwrap_or_else(|| gvk(doc)),
    })
}

/// A v3 schema with only what v2 can say: words that it lacks would make old clients refuse good objects.
fn downgrade(schema: Value) -> Value {
    let Value::Object(mut map) = schema else { return schema };
    let is_set = |map: &Map<String, Value>, name: &str| map.get(name) == Some(&Value::Bool(true));
    if let Some(target) = single_reference(&map) {
        let mut out = Map::new();
        out.insert("$ref".to_owned(), Value::from(target));
        if let Some(description) = map.remove("description") {
            out.insert("description".to_owned(), description);
        }
        return Value::Object(out);
    }
    let untyped = is_set(&map, "x-kubernetes-int-or-string")
        || is_set(&map, "x-kubernetes-preserve-unknown-fields")
        || is_set(&map, "nullable");
    for name in ["nullable", "oneOf", "anyOf", "not", "default", "allOf", "exclusiveMinimum", "exclusiveMaximum"] {
        map.remove(name);
    }
    if untyped {
        for name in ["type", "items", "properties", "additionalProperties", "format", "required"] {
            map.remove(name);
        }
    }
    if let Some(Value::Object(props)) = map.get_mut("properties") {
        for value in props.values_mut() {
            *value = downgrade(value.take());
        }
    }
    for name in ["items", "additionalProperties"] {
        if let Some(inner) = map.get_mut(name) {
            *inner = downgrade(inner.take());
        }
    }
    Value::Object(map)
}

fn single_reference(map: &Map<String, Value>) -> Option<String> {
    let target = match map.get("allOf").and_then(Value::as_array).map(Vec::as_slice) {
        Some([one]) => one.get("$ref"),
        _ => map.get("$ref"),
    };
    let name = target?.as_str()?.strip_prefix("#/components/schemas/")?;
    Some(format!("#/definitions/{name}"))
}
