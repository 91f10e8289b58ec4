//! Makes a schema structural that was written with references, as derived schemas of library types are.

use serde_json::{Map, Value, json};

/// References followed into each other; a chain longer than this is a circle.
const DEPTH_MAX: usize = 64;

/// Replaces `$ref` to `$defs`, `definitions` or `components/schemas` by what they refer to, so that the schema becomes structural.
///
/// A reference into itself becomes an object that preserves unknown fields, and so does `{}` or `true`. `null` in
/// types goes, as do words that CRDs may not have (`$schema`, `title`, Rust's number formats).
pub fn inline_refs(schema: Value) -> Value {
    let defs = Defs { root: schema.clone() };
    defs.inline(schema, &mut Vec::new(), 0)
}

struct Defs {
    root: Value,
}

fn anything() -> Value {
    json!({"x-kubernetes-preserve-unknown-fields": true})
}

impl Defs {
    fn lookup(&self, reference: &str) -> Option<Value> {
        let name = reference.rsplit('/').next()?.replace("~1", "/").replace("~0", "~");
        // The last is where generators in OpenAPI's dialect put them.
        let places = ["/$defs", "/definitions", "/components/schemas"];
        places.iter().find_map(|place| self.root.pointer(place)?.get(&name)).cloned()
    }

    fn inline(&self, schema: Value, open: &mut Vec<String>, depth: usize) -> Value {
        let Value::Object(mut map) = schema else { return anything() };
        if depth > DEPTH_MAX {
            return json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
        }
        for name in ["$schema", "$id", "$defs", "definitions", "title"] {
            map.remove(name);
        }
        if let Some(reference) = map.remove("$ref").and_then(|r| r.as_str().map(str::to_owned)) {
            return self.follow(&reference, map, open, depth);
        }
        self.unwrap_alone(&mut map, open, depth);
        drop_null_type(&mut map);
        let format = map.get("format").and_then(Value::as_str).unwrap_or_default();
        if format.starts_with("uint") || format == "int8" || format == "int16" {
            map.remove("format");
        }
        if let Some(constant) = map.remove("const") {
            map.insert("enum".to_owned(), json!([constant]));
        }
        if let Some(Value::Object(props)) = map.get_mut("properties") {
            for value in props.values_mut() {
                *value = self.inline(value.take(), open, depth + 1);
            }
        }
        if let Some(items) = map.get_mut("items") {
            *items = self.inline(items.take(), open, depth + 1);
        }
        match map.get_mut("additionalProperties") {
            Some(Value::Bool(_)) => {
                let allowed = map.remove("additionalProperties") == Some(Value::Bool(true));
                if allowed {
                    map.insert("x-kubernetes-preserve-unknown-fields".to_owned(), Value::Bool(true));
                }
            }
            Some(inner) => *inner = self.inline(inner.take(), open, depth + 1),
            None => {}
        }
        let says_type = map.contains_key("type") || map.contains_key("x-kubernetes-int-or-string");
        if !says_type {
            if map.contains_key("properties") {
                map.insert("type".to_owned(), Value::from("object"));
            } else {
                map.insert("x-kubernetes-preserve-unknown-fields".to_owned(), Value::Bool(true));
            }
        }
        Value::Object(map)
    }

    /// What a reference means, with the words beside it laid over.
    fn follow(&self, reference: &str, beside: Map<String, Value>, open: &mut Vec<String>, depth: usize) -> Value {
        let is_circle = open.iter().any(|r| r == reference);
        let mut target = match self.lookup(reference).filter(|_| !is_circle) {
            None => json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true}),
            Some(found) => {
                open.push(reference.to_owned());
                let found = self.inline(found, open, depth + 1);
                open.pop();
                found
            }
        };
        if let Value::Object(map) = &mut target {
            for name in ["description", "default"] {
                if let Some(value) = beside.get(name) {
                    map.insert(name.to_owned(), value.clone());
                }
            }
        }
        target
    }

    /// `allOf: [X]` and `anyOf: [X, null]` are only ways to say X.
    fn unwrap_alone(&self, map: &mut Map<String, Value>, open: &mut Vec<String>, depth: usize) {
        for name in ["allOf", "anyOf", "oneOf"] {
            let Some(Value::Array(list)) = map.get(name) else { continue };
            let real: Vec<&Value> = list.iter().filter(|v| v.get("type") != Some(&Value::from("null"))).collect();
            let [one] = real.as_slice() else {
                // Several shapes are not one structure: what they share is that anything may stand here.
                let has_shape = |v: &&Value| ["$ref", "properties", "items"].iter().any(|word| v.get(word).is_some());
                if real.iter().any(has_shape) {
                    map.remove(name);
                    map.remove("type");
                }
                continue;
            };
            let Value::Object(inner) = self.inline((*one).clone(), open, depth + 1) else { continue };
            map.remove(name);
            for (name, value) in inner {
                map.entry(name).or_insert(value);
            }
        }
    }
}

fn drop_null_type(map: &mut Map<String, Value>) {
    map.remove("nullable");
    if let Some(Value::Array(types)) = map.get("type") {
        let real: Vec<Value> = types.iter().filter(|t| *t != "null").cloned().collect();
        match real.as_slice() {
            [one] => {
                map.insert("type".to_owned(), one.clone());
            }
            [a, b] if [a, b].iter().any(|t| *t == "string") && [a, b].iter().any(|t| *t == "integer") => {
                map.remove("type");
                map.insert("x-kubernetes-int-or-string".to_owned(), Value::Bool(true));
            }
            _ => {
                map.remove("type");
            }
        }
    }
    if let Some(Value::Array(allowed)) = map.get_mut("enum") {
        allowed.retain(|v| !v.is_null());
    }
}
