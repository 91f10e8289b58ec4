//! OpenAPI v3: one document for each group and version.

use serde_json::{Map, Value, json};

use super::KindDoc;
use super::names::gvk;
use super::operations::{self, Operation, query_parameter};
use super::schemas::{self, reference};

/// The v3 document of one group and version; `kinds` are those of that group and version.
///
/// It serves `kubectl explain` (operations and schemas carry their kind) and `kubectl apply` (patch operations
/// have the parameter `fieldValidation`, which tells kubectl that the server checks fields).
pub fn v3(title: &str, version: &str, kinds: &[KindDoc]) -> Value {
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
                .map(|name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}}))
                .collect();
            if !parameters.is_empty() {
                item.insert("parameters".to_owned(), Value::Array(parameters));
            }
            paths.insert(path.path, Value::Object(item));
        }
    }
    json!({
        "openapi": "3.0.0",
        "info": {"title": title, "version": version},
        "paths": paths,
        "components": {"schemas": schemas::all(kinds)},
    })
}

fn print(doc: &KindDoc, operation: &Operation) -> Value {
    let parameters: Vec<Value> = operation
        .query
        .iter()
        .map(|name| {
            let (kind, description) = query_parameter(name);
            json!({"name": name, "in": "query", "description": description,
                "schema": {"type": kind, "uniqueItems": true}})
        })
        .collect();
    let answer = json!({"application/json": {"schema": reference(&operation.answer)}});
    let mut out = json!({
        "description": operation.description,
        "operationId": operation.id,
        "parameters": parameters,
        "responses": {"200": {"description": "OK", "content": answer}},
        "x-kubernetes-action": operation.action,
        "x-kubernetes-group-version-kind": operation.gvk.clone().unwrap_or_else(|| gvk(doc)),
    });
    if let Some(body) = &operation.body {
        let content: Map<String, Value> =
            operation.consumes.iter().map(|t| ((*t).to_owned(), json!({"schema": reference(body)}))).collect();
        out["requestBody"] = json!({"content": content});
    }
    out
}
