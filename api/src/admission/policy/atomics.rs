//! What a merge would replace as a whole: a policy that names some of its parts would silently drop the others.

use serde_json::Value;

/// The paths in `patch` of lists and maps that the schema calls atomic.
pub(super) fn find(schema: &Value, patch: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for (field, value) in patch.as_object().into_iter().flatten() {
        // Metadata is the same for every kind, and has nothing atomic that a policy may set.
        if !matches!(field.as_str(), "apiVersion" | "kind" | "metadata") {
            walk(&schema["properties"][field.as_str()], value, &format!(".{field}"), &mut found);
        }
    }
    found
}

fn walk(schema: &Value, value: &Value, path: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            if schema["x-kubernetes-map-type"] == "atomic" {
                found.push(path.to_owned());
            }
            let values = &schema["additionalProperties"];
            for (field, value) in members {
                let schema = if values.is_object() { values } else { &schema["properties"][field.as_str()] };
                walk(schema, value, &format!("{path}.{field}"), found);
            }
        }
        Value::Array(items) if schema["type"] == "array" => {
            if !matches!(schema["x-kubernetes-list-type"].as_str(), Some("map" | "set")) {
                found.push(path.to_owned());
            }
            for (index, item) in items.iter().enumerate() {
                walk(&schema["items"], item, &format!("{path}[{index}]"), found);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lists_without_a_kind_are_replaced_as_a_whole() {
        let schema = json!({"properties": {"spec": {"type": "object", "properties": {
            "tags": {"type": "array", "x-kubernetes-list-type": "set"},
            "args": {"type": "array", "items": {"type": "string"}},
            "ref": {"type": "object", "x-kubernetes-map-type": "atomic", "properties": {"a": {"type": "string"}}},
        }}}});
        let patch = json!({"metadata": {"labels": {"a": "b"}}, "spec": {"tags": ["t"], "args": ["x"], "ref": {"a": "b"}, "size": 1}});
        assert_eq!(find(&schema, &patch), [".spec.args", ".spec.ref"]);
    }
}
