//! What of a definition is let be, but will not do what its author may expect.

use std::collections::BTreeSet;

use serde_json::Value;

/// Formats of strings that mean something, without their dashes.
const STRING_FORMATS: [&str; 26] = [
    "bsonobjectid",
    "uri",
    "email",
    "hostname",
    "ipv4",
    "ipv6",
    "cidr",
    "mac",
    "uuid",
    "uuid3",
    "uuid4",
    "uuid5",
    "isbn",
    "isbn10",
    "isbn13",
    "creditcard",
    "ssn",
    "hexcolor",
    "rgbcolor",
    "byte",
    "password",
    "date",
    "duration",
    "datetime",
    "k8sshortname",
    "k8slongname",
];

/// Warns of formats that are not checked, and of sets whose items cannot be told apart.
pub(crate) fn warnings(object: &Value, out: &mut Vec<String>) {
    let mut found = Found::default();
    for version in object["spec"]["versions"].as_array().into_iter().flatten() {
        found.visit(&version["schema"]["openAPIV3Schema"]);
    }
    out.extend(found.formats.iter().map(|format| format!("unrecognized format {}", Value::from(*format))));
    out.extend(found.sets.iter().map(|kind| {
        format!(
            "x-kubernetes-list-type: set for items of type \"{kind}\" is not supported by server-side apply or CEL validation rules"
        )
    }));
}

#[derive(Default)]
struct Found<'s> {
    formats: BTreeSet<&'s str>,
    sets: BTreeSet<&'s str>,
}

impl<'s> Found<'s> {
    fn visit(&mut self, schema: &'s Value) {
        let Value::Object(map) = schema else { return };
        let text = |name: &str| map.get(name).and_then(Value::as_str).unwrap_or_default();
        let format = text("format");
        if !format.is_empty() && !is_known(text("type"), format) {
            self.formats.insert(format);
        }
        if text("x-kubernetes-list-type") == "set" {
            let kind = map.get("items").and_then(|items| items.get("type")).and_then(Value::as_str);
            if let Some(kind @ ("object" | "array")) = kind {
                self.sets.insert(kind);
            }
        }
        for name in ["items", "additionalProperties", "not"] {
            self.visit(schema.get(name).unwrap_or(&Value::Null));
        }
        for name in ["allOf", "anyOf", "oneOf"] {
            map.get(name).and_then(Value::as_array).into_iter().flatten().for_each(|schema| self.visit(schema));
        }
        map.get("properties")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
            .for_each(|(_, schema)| self.visit(schema));
    }
}

fn is_known(kind: &str, format: &str) -> bool {
    match kind {
        "" | "string" => STRING_FORMATS.contains(&&*format.replace('-', "")),
        "integer" => matches!(format, "int32" | "int64"),
        "number" => matches!(format, "float" | "double"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn formats_that_nobody_checks_are_told_once() {
        let crd = json!({"spec": {"versions": [{"schema": {"openAPIV3Schema": {"type": "object", "properties": {
            "a": {"type": "string", "format": "date-time"}, "b": {"type": "string", "format": "nope"},
            "c": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "object", "format": "nope"}},
            "d": {"type": "integer", "format": "int32"}, "e": {"type": "boolean", "format": "x"},
        }}}}]}});
        let mut out = Vec::new();
        warnings(&crd, &mut out);
        assert_eq!(out[..2], ["unrecognized format \"nope\"", "unrecognized format \"x\""]);
        assert!(out[2].starts_with("x-kubernetes-list-type: set for items of type \"object\""), "{out:?}");
    }
}
