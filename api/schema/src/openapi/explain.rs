//! Documentation of a field out of a v3 document: what a client that has only the document can say.

use serde_json::{Map, Value};

use crate::structural::{Explained, ExplainedField};

/// References followed into each other.
const REFERENCES_MAX: usize = 16;

/// Looks up `path` (names only: lists and maps are stepped through) below the kind `group/version/kind`.
/// `None` when the document has no such kind or field.
pub fn explain_v3(document: &Value, group: &str, version: &str, kind: &str, path: &[&str]) -> Option<Explained> {
    let schemas = document.get("components")?.get("schemas")?.as_object()?;
    let is_kind = |schema: &&Value| {
        let list = schema.get("x-kubernetes-group-version-kind").and_then(Value::as_array);
        list.into_iter().flatten().any(|gvk| gvk["group"] == group && gvk["version"] == version && gvk["kind"] == kind)
    };
    let reader = Reader { schemas };
    let mut schema = schemas.values().find(is_kind)?;
    let mut required = true;
    for name in path {
        let object = reader.innermost(schema);
        required = is_required(object, name);
        schema = object.get("properties")?.get(name)?;
    }
    let object = reader.innermost(schema);
    let children = object.get("properties").and_then(Value::as_object).into_iter().flatten();
    let children = children
        .map(|(name, child)| ExplainedField {
            name: name.clone(),
            type_name: reader.type_name(child),
            description: reader.description(child),
            required: is_required(object, name),
        })
        .collect();
    Some(Explained { type_name: reader.type_name(schema), description: reader.description(schema), required, children })
}

fn is_required(object: &Value, name: &str) -> bool {
    object.get("required").and_then(Value::as_array).is_some_and(|list| list.iter().any(|r| r == name))
}

struct Reader<'d> {
    schemas: &'d Map<String, Value>,
}

impl<'d> Reader<'d> {
    fn name_of_reference(schema: &'d Value) -> Option<&'d str> {
        let alone = schema.get("allOf").and_then(Value::as_array).filter(|list| list.len() == 1);
        let reference = schema.get("$ref").or_else(|| alone.and_then(|list| list[0].get("$ref")))?;
        reference.as_str()?.strip_prefix("#/components/schemas/")
    }

    fn resolve(&self, mut schema: &'d Value) -> &'d Value {
        for _ in 0..REFERENCES_MAX {
            let target = Self::name_of_reference(schema).and_then(|name| self.schemas.get(name));
            match target {
                Some(target) => schema = target,
                None => break,
            }
        }
        schema
    }

    fn innermost(&self, schema: &'d Value) -> &'d Value {
        let mut schema = self.resolve(schema);
        while let Some(inner) = schema.get("items").or_else(|| {
            schema.get("additionalProperties").filter(|a| a.is_object() && schema.get("properties").is_none())
        }) {
            schema = self.resolve(inner);
        }
        schema
    }

    fn description(&self, schema: &'d Value) -> String {
        let own = schema.get("description").and_then(Value::as_str);
        let text = own.or_else(|| self.resolve(schema).get("description").and_then(Value::as_str));
        text.unwrap_or_default().to_owned()
    }

    fn type_name(&self, schema: &'d Value) -> String {
        if let Some(name) = Self::name_of_reference(schema) {
            return name.rsplit('.').next().unwrap_or(name).to_owned();
        }
        let map_of = schema.get("additionalProperties").filter(|a| a.is_object());
        match (schema.get("type").and_then(Value::as_str), schema.get("items"), map_of) {
            (Some("array"), Some(items), _) => format!("[]{}", self.type_name(items)),
            (Some("object"), _, Some(inner)) if schema.get("properties").is_none() => {
                format!("map[string]{}", self.type_name(inner))
            }
            (Some("object") | None, ..) => {
                let either = schema.get("x-kubernetes-int-or-string") == Some(&Value::Bool(true));
                if either { "IntOrString".to_owned() } else { "Object".to_owned() }
            }
            (Some(scalar), ..) => scalar.to_owned(),
        }
    }
}
