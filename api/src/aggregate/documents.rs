//! The OpenAPI documents of others: what of them becomes part of ours, and where theirs are.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Map, Value};

use super::table;
use crate::inner::Inner;

const REFERENCE: &str = "#/definitions/";

/// A part of an OpenAPI v2 document: the paths of one group and version, and what they refer to.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Definitions {
    paths: Map<String, Value>,
    definitions: Map<String, Value>,
}

/// Reads the part below `prefix` (`/apis/group/version`) of a document. `None` when it is none.
pub(super) fn part_of(document: &[u8], prefix: &str) -> Option<Definitions> {
    let document: Value = serde_json::from_slice(document).ok()?;
    let is_own = |path: &str| {
        let rest = path.strip_prefix(prefix);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let paths: Map<String, Value> = document["paths"]
        .as_object()?
        .iter()
        .filter(|(path, item)| is_own(path) && item.is_object())
        .map(|(path, item)| (path.clone(), item.clone()))
        .collect();
    let mut wanted = BTreeSet::new();
    paths.values().for_each(|item| references(item, &mut wanted));
    let mut definitions = Map::new();
    while let Some(name) = wanted.pop_first() {
        let Some(definition) = document["definitions"].get(&name) else { continue };
        let mut more = BTreeSet::new();
        references(definition, &mut more);
        definitions.insert(name, definition.clone());
        wanted.extend(more.into_iter().filter(|name| !definitions.contains_key(name)));
    }
    Some(Definitions { paths, definitions })
}

/// The definitions that a value refers to. The parser has bounded its depth.
fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            if let Some(name) = fields.get("$ref").and_then(Value::as_str).and_then(|r| r.strip_prefix(REFERENCE)) {
                found.insert(name.to_owned());
            }
            fields.values().for_each(|value| references(value, found));
        }
        Value::Array(items) => items.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

/// Everything that others have for the OpenAPI v2 document.
pub(crate) fn parts(server: &Inner) -> Vec<Arc<Definitions>> {
    let table = table(server);
    let learned = table.remotes.iter().filter_map(|remote| server.aggregate.learned(&remote.name));
    learned.filter_map(|learned| learned.v2.clone()).collect()
}

/// Adds what others have to the document of what is served here. Where a name means one thing here and another there,
/// theirs gets another name.
pub(crate) fn merge(document: &mut Value, parts: &[Arc<Definitions>]) {
    for part in parts {
        let Some(known) = document["definitions"].as_object_mut() else { return };
        let mut renamed: BTreeMap<String, String> = BTreeMap::new();
        for (name, definition) in &part.definitions {
            if known.get(name).is_some_and(|other| other != definition) {
                let free = (2..).map(|n| format!("{name}_v{n}")).find(|free| !known.contains_key(free));
                renamed.insert(name.clone(), free.unwrap_or_else(|| name.clone()));
            }
        }
        for (name, definition) in &part.definitions {
            let name = renamed.get(name).unwrap_or(name);
            known.insert(name.clone(), with_names(definition, &renamed));
        }
        let Some(paths) = document["paths"].as_object_mut() else { return };
        for (path, item) in &part.paths {
            paths.entry(path.clone()).or_insert_with(|| with_names(item, &renamed));
        }
    }
}

/// A copy that refers to the new names.
fn with_names(value: &Value, renamed: &BTreeMap<String, String>) -> Value {
    match value {
        _ if renamed.is_empty() => value.clone(),
        Value::Object(fields) => {
            let copy = |(field, value): (&String, &Value)| {
                let target = value.as_str().filter(|_| field == "$ref").and_then(|r| r.strip_prefix(REFERENCE));
                let new = target.and_then(|name| renamed.get(name));
                let value = match new {
                    Some(name) => format!("{REFERENCE}{name}").into(),
                    None => with_names(value, renamed),
                };
                (field.clone(), value)
            };
            Value::Object(fields.iter().map(copy).collect())
        }
        Value::Array(items) => items.iter().map(|value| with_names(value, renamed)).collect(),
        other => other.clone(),
    }
}

/// Where the OpenAPI v3 document of another server's group and version is; `None` when it is made here,
/// `Some(None)` when there is none.
pub(crate) fn v3_url(server: &Inner, group: &str, version: &str) -> Option<Option<String>> {
    let remote = super::find(server, group, version)?;
    let query = server.aggregate.learned(&remote.name).and_then(|learned| learned.v3.clone());
    Some(query.map(|query| {
        let mark = if query.is_empty() { "" } else { "?" };
        format!("/openapi/v3/apis/{group}/{version}{mark}{query}")
    }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_part_of_a_document_is_what_its_paths_need() {
        let document = json!({
            "paths": {
                "/apis/toys.example/v1/toys": {"get": {"schema": {"$ref": "#/definitions/Toy"}}},
                "/apis/toys.example/v10/toys": {"get": {"schema": {"$ref": "#/definitions/Other"}}},
                "/version": {},
            },
            "definitions": {
                "Toy": {"properties": {"meta": {"$ref": "#/definitions/Meta"}, "self": {"$ref": "#/definitions/Toy"}}},
                "Meta": {"type": "object"}, "Other": {},
            },
        });
        let part = part_of(document.to_string().as_bytes(), "/apis/toys.example/v1").unwrap();
        assert_eq!(part.paths.keys().collect::<Vec<_>>(), ["/apis/toys.example/v1/toys"]);
        let mut names: Vec<_> = part.definitions.keys().collect();
        names.sort();
        assert_eq!(names, ["Meta", "Toy"]);
        assert!(part_of(b"[]", "/apis/a/v1").is_none());
        assert!(part_of(b"nonsense", "/apis/a/v1").is_none());

        let mut own = json!({"paths": {}, "definitions": {"Meta": {"type": "string"}}});
        merge(&mut own, &[Arc::new(part)]);
        assert_eq!(own["definitions"]["Meta"]["type"], "string");
        assert_eq!(own["definitions"]["Meta_v2"]["type"], "object");
        assert_eq!(own["definitions"]["Toy"]["properties"]["meta"]["$ref"], "#/definitions/Meta_v2");
        assert!(own["paths"]["/apis/toys.example/v1/toys"].is_object());
    }
}
