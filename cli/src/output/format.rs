//! `-o`: what the user asked for.

use std::path::Path;

use berth_client::Resource;
use serde_json::{Value, json};

use super::columns::Columns;
use super::yaml;
use crate::failure::{Failure, Outcome};

/// A parsed `-o`.
#[derive(Clone, Debug, Default)]
pub(crate) enum Format {
    /// Rows that the server makes.
    #[default]
    Table,
    /// The same, with columns of lower priority.
    Wide,
    Yaml,
    Json,
    /// `kind.group/name`.
    Name,
    /// A JSONPath template.
    JsonPath(berth_schema::jsonpath::Template),
    /// Own columns.
    Columns(Columns),
}

/// Names of the formats, for help and errors.
const NAMES: &str = "wide, yaml, json, name, jsonpath=…, jsonpath-file=…, custom-columns=…, custom-columns-file=…";

impl Format {
    /// Reads `-o`.
    ///
    /// # Errors
    /// When it is no format, or its template does not parse.
    pub(crate) fn parse(text: Option<&str>) -> Outcome<Self> {
        let Some(text) = text else { return Ok(Self::Table) };
        let (name, rest) = text.split_once('=').map_or((text, None), |(n, r)| (n, Some(r)));
        let template = |what: &str| rest.ok_or_else(|| Failure::usage(format!("-o {name} needs {what}: -o {name}=…")));
        let file = |path: &str| {
            std::fs::read_to_string(Path::new(path)).map_err(|e| Failure::new(format!("could not read {path}: {e}")))
        };
        Ok(match name {
            "" | "table" => Self::Table,
            "wide" => Self::Wide,
            "yaml" => Self::Yaml,
            "json" => Self::Json,
            "name" => Self::Name,
            "jsonpath" => Self::JsonPath(jsonpath(template("a template such as '{.metadata.name}'")?)?),
            "jsonpath-file" => Self::JsonPath(jsonpath(&file(template("a file")?)?)?),
            "custom-columns" => Self::Columns(Columns::parse(template("columns such as NAME:.metadata.name")?)?),
            "custom-columns-file" => Self::Columns(Columns::parse_file(&file(template("a file")?)?)?),
            _ => return Err(Failure::usage(format!("-o {text:?} is not a format; there are: {NAMES}"))),
        })
    }

    /// Whether the server makes the rows.
    pub(crate) fn is_table(&self) -> bool {
        matches!(self, Self::Table | Self::Wide)
    }

    /// Prints one object, or a `List` of several, in any format but the tables.
    pub(crate) fn object(&self, resource: Option<&Resource>, object: &Value) -> Outcome<String> {
        Ok(match self {
            Self::Yaml => yaml::emit(object),
            Self::Json => pretty(object),
            Self::Name => {
                let items = object["items"].as_array().filter(|_| is_list(object));
                let names = items.map_or_else(|| vec![object], |items| items.iter().collect());
                names.into_iter().map(|o| full_name(resource, o) + "\n").collect()
            }
            Self::JsonPath(template) => {
                let mut text = template.render(object).map_err(|e| Failure::new(e.to_string()))?;
                if !text.is_empty() && !text.ends_with('\n') {
                    text.push('\n');
                }
                text
            }
            Self::Columns(columns) => {
                let items = object["items"].as_array().filter(|_| is_list(object));
                columns.render(items.map_or_else(|| std::slice::from_ref(object), Vec::as_slice))
            }
            Self::Table | Self::Wide => String::new(),
        })
    }
}

/// Reads a template; bare paths such as `.metadata.name` are taken, too.
pub(crate) fn jsonpath(text: &str) -> Outcome<berth_schema::jsonpath::Template> {
    let template = if text.contains('{') {
        berth_schema::jsonpath::Template::parse(text)
    } else {
        berth_schema::jsonpath::Template::parse_relaxed(text.trim())
    };
    let refused = |e| Failure::usage(format!("{text:?} is not a JSONPath template: {e}"));
    Ok(template.map_err(refused)?.allow_missing(true))
}

/// A list of objects that came from several requests.
pub(crate) fn list_of(items: Vec<Value>) -> Value {
    json!({"apiVersion": "v1", "kind": "List", "items": items, "metadata": {"resourceVersion": ""}})
}

fn is_list(object: &Value) -> bool {
    object["kind"].as_str().is_some_and(|kind| kind.ends_with("List"))
}

/// JSON for people, as kubectl indents it.
pub(crate) fn pretty(object: &Value) -> String {
    let mut bytes = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(b"    ");
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, formatter);
    serde::Serialize::serialize(object, &mut serializer).expect("a Value has string keys only");
    bytes.push(b'\n');
    String::from_utf8(bytes).expect("serde_json writes UTF-8")
}

/// `service.berth.dev/hello`, as `kubectl -o name` prints it.
pub(crate) fn full_name(resource: Option<&Resource>, object: &Value) -> String {
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    let kind = object["kind"].as_str().unwrap_or_default().to_lowercase();
    let kind = if kind.is_empty() { resource.map_or(String::new(), |r| r.singular.clone()) } else { kind };
    let group = object["apiVersion"].as_str().and_then(|v| v.split_once('/')).map(|(group, _)| group.to_owned());
    match group.or_else(|| resource.map(|r| r.group.clone())).filter(|g| !g.is_empty()) {
        Some(group) => format!("{kind}.{group}/{name}"),
        None => format!("{kind}/{name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_read_and_others_named() {
        assert!(Format::parse(None).unwrap().is_table());
        assert!(matches!(Format::parse(Some("name")).unwrap(), Format::Name));
        let error = Format::parse(Some("xml")).unwrap_err();
        assert_eq!(error.code, 2);
        assert!(error.message.contains("custom-columns"), "{}", error.message);
        assert_eq!(Format::parse(Some("jsonpath")).unwrap_err().code, 2);
    }

    #[test]
    fn names_carry_their_group() {
        let object = json!({"apiVersion": "berth.dev/v1", "kind": "Service", "metadata": {"name": "hello"}});
        let list = list_of(vec![object.clone(), object.clone()]);
        assert_eq!(Format::Name.object(None, &object).unwrap(), "service.berth.dev/hello\n");
        assert_eq!(Format::Name.object(None, &list).unwrap(), "service.berth.dev/hello\n".repeat(2));
    }

    #[test]
    fn json_is_indented_as_kubectl_does() {
        assert_eq!(pretty(&json!({"a": [1]})), "{\n    \"a\": [\n        1\n    ]\n}\n");
    }
}
