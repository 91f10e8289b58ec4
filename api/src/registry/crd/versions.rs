//! What a definition must say of its versions: schemas, subresources, columns and selectable fields.
//!
//! What all versions have in common is blamed once, at the top of the specification, as kube-apiserver does.

use std::collections::HashSet;

use berth_schema::table::Columns;
use berth_schema::{FieldError, Structural, field_path};
use serde_json::{Value, json};

use super::rules::label_problem;

/// Fields that objects of one version may be selected by.
const SELECTABLE_FIELDS_MAX: usize = 8;
/// Bytes of the warning of a deprecated version.
const DEPRECATION_BYTES_MAX: usize = 256;

const COLUMN_TYPES: [&str; 5] = ["boolean", "date", "integer", "number", "string"];
const COLUMN_FORMATS: [&str; 8] = ["byte", "date", "date-time", "double", "float", "int32", "int64", "password"];

/// Keywords that may stand at the root of a schema when the status is a subresource: its schema is used alone then.
const ROOT_KEYWORDS: [(&str, &str); 22] = [
    ("description", "Description"),
    ("type", "Type"),
    ("format", "Format"),
    ("title", "Title"),
    ("maximum", "Maximum"),
    ("exclusiveMaximum", "ExclusiveMaximum"),
    ("minimum", "Minimum"),
    ("exclusiveMinimum", "ExclusiveMinimum"),
    ("maxLength", "MaxLength"),
    ("minLength", "MinLength"),
    ("pattern", "Pattern"),
    ("maxItems", "MaxItems"),
    ("minItems", "MinItems"),
    ("uniqueItems", "UniqueItems"),
    ("multipleOf", "MultipleOf"),
    ("required", "Required"),
    ("items", "Items"),
    ("properties", "Properties"),
    ("externalDocs", "ExternalDocs"),
    ("example", "Example"),
    ("x-kubernetes-preserve-unknown-fields", "XPreserveUnknownFields"),
    ("x-kubernetes-validations", "XValidations"),
];

pub(super) fn validate(spec: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
    let versions = spec["versions"].as_array().map(Vec::as_slice).unwrap_or_default();
    for (i, version) in versions.iter().enumerate() {
        let field = format!("spec.versions[{i}]");
        let name = version["name"].as_str().unwrap_or_default();
        if let Some(why) = label_problem(name).filter(|_| !name.is_empty()) {
            errors.push(FieldError::invalid(format!("{field}.name"), &version["name"], &why));
        }
        deprecation(version, &field, errors);
        if version["schema"]["openAPIV3Schema"].is_null() {
            errors.push(FieldError::required(format!("{field}.schema.openAPIV3Schema"), ""));
        }
    }
    let names: Vec<&str> = versions.iter().filter_map(|version| version["name"].as_str()).collect();
    if names.iter().collect::<HashSet<_>>().len() < names.len() {
        errors.push(FieldError::invalid("spec.versions", &json!(names), "must contain unique version names"));
    }
    if versions.iter().filter(|version| version["storage"] == true).count() != 1 {
        let message = "must have exactly one version marked as storage version";
        errors.push(FieldError::invalid("spec.versions", &json!(names), message));
    }
    for (version, base) in places(versions, "schema", "spec.validation") {
        schema(version, &base, old, errors);
    }
    for (version, base) in places(versions, "subresources", "spec.subresources") {
        scale(&version["subresources"]["scale"], &base, errors);
    }
    for (version, base) in places(versions, "additionalPrinterColumns", "spec.additionalPrinterColumns") {
        columns(&version["additionalPrinterColumns"], &base, errors);
    }
    for (version, base) in places(versions, "selectableFields", "spec.selectableFields") {
        let was = old.and_then(|old| version_of(old, version)).map(|old| &old["selectableFields"]);
        selectable(version, was, &base, errors);
    }
}

/// The versions that have a part, with the path of it: one of them for all when the part is everywhere the same.
fn places<'v>(versions: &'v [Value], part: &str, shared: &str) -> Vec<(&'v Value, String)> {
    match versions {
        [first, rest @ ..] if rest.iter().all(|version| version[part] == first[part]) => {
            if first[part].is_null() {
                Vec::new()
            } else {
                vec![(first, shared.to_owned())]
            }
        }
        _ => {
            let own = versions.iter().enumerate().filter(|(_, version)| !version[part].is_null());
            own.map(|(i, version)| (version, format!("spec.versions[{i}].{part}"))).collect()
        }
    }
}

/// The version of the same name in another specification.
fn version_of<'o>(spec: &'o Value, version: &Value) -> Option<&'o Value> {
    spec["versions"].as_array()?.iter().find(|other| other["name"] == version["name"])
}

fn schema(version: &Value, base: &str, old: Option<&Value>, errors: &mut Vec<FieldError>) {
    let schema = &version["schema"]["openAPIV3Schema"];
    if schema.is_null() {
        return;
    }
    let was = old.and_then(|old| version_of(old, version)).map(|old| &old["schema"]["openAPIV3Schema"]);
    // What was accepted is not judged again: rules may have become stricter since.
    if was == Some(schema) {
        return;
    }
    let path = format!("{base}.openAPIV3Schema");
    let mut found = Vec::new();
    if !version["subresources"]["status"].is_null() {
        root_keywords(schema, &path, &mut found);
    }
    if schema["nullable"] == true {
        found.push(FieldError::forbidden(format!("{path}.nullable"), "nullable cannot be true at the root"));
    }
    found.extend(Structural::check_definition(schema, &path, false));
    if let Some(was) = was.filter(|was| !was.is_null() && !found.is_empty()) {
        let known = Structural::check_definition(was, &path, false);
        found.retain(|error| !known.contains(error));
    }
    errors.append(&mut found);
}

fn root_keywords(schema: &Value, path: &str, errors: &mut Vec<FieldError>) {
    let stands = |value: &Value| match value {
        Value::Null | Value::Bool(false) => false,
        Value::Array(list) => !list.is_empty(),
        Value::Object(map) => !map.is_empty(),
        Value::String(text) => !text.is_empty(),
        _ => true,
    };
    let is_allowed = |name: &str| ROOT_KEYWORDS.iter().any(|(known, _)| *known == name);
    let other = schema.as_object().into_iter().flatten().any(|(name, value)| stands(value) && !is_allowed(name));
    if other {
        let known: Vec<&str> = ROOT_KEYWORDS.iter().map(|(_, name)| *name).collect();
        let message = format!(
            "only [{}] fields are allowed at the root of the schema if the status subresource is enabled",
            known.join(" ")
        );
        errors.push(FieldError::invalid(path, schema, &message));
    }
}

fn deprecation(version: &Value, field: &str, errors: &mut Vec<FieldError>) {
    let Some(warning) = version["deprecationWarning"].as_str() else { return };
    let mut blame = |message: &str| {
        errors.push(FieldError::invalid(format!("{field}.deprecationWarning"), &json!(warning), message));
    };
    if version["deprecated"] != true {
        blame("can only be set for deprecated versions");
        return;
    }
    if warning.len() > DEPRECATION_BYTES_MAX {
        blame(&format!("must be <= {DEPRECATION_BYTES_MAX} characters long"));
    }
    if warning.is_empty() {
        blame("must not be an empty string");
    }
    if let Some((at, _)) = warning.char_indices().find(|(_, c)| c.is_control() || (c.is_whitespace() && *c != ' ')) {
        let message =
            format!("must only contain printable UTF-8 characters; non-printable character found at index {at}");
        blame(&message);
    }
}

fn scale(scale: &Value, base: &str, errors: &mut Vec<FieldError>) {
    if scale.is_null() {
        return;
    }
    for (name, roots, under, required) in [
        ("specReplicasPath", &[".spec."][..], ".spec", true),
        ("statusReplicasPath", &[".status."][..], ".status", true),
        ("labelSelectorPath", &[".spec.", ".status."][..], "either .spec or .status", false),
    ] {
        let field = format!("{base}.scale.{name}");
        let path = scale[name].as_str().unwrap_or_default();
        if path.is_empty() {
            if required {
                errors.push(FieldError::required(field, ""));
            }
        } else if !path.starts_with('.') {
            let message = "must be a simple json path starting with .";
            errors.push(FieldError::invalid(field, &scale[name], message));
        } else if !roots.iter().any(|root| path.starts_with(root)) || path.contains('[') {
            errors.push(FieldError::invalid(field, &scale[name], &format!("should be a json path under {under}")));
        }
    }
}

fn columns(columns: &Value, base: &str, errors: &mut Vec<FieldError>) {
    let before = errors.len();
    for (i, column) in columns.as_array().into_iter().flatten().enumerate() {
        let field = |name: &str| format!("{base}[{i}].{name}");
        let text = |name: &str| column[name].as_str().unwrap_or_default();
        if text("name").is_empty() {
            errors.push(FieldError::required(field("name"), ""));
        }
        let message = format!("must be one of {}", COLUMN_TYPES.join(","));
        match text("type") {
            "" => errors.push(FieldError::required(field("type"), &message)),
            known if COLUMN_TYPES.contains(&known) => {}
            _ => errors.push(FieldError::invalid(field("type"), &column["type"], &message)),
        }
        if !text("format").is_empty() && !COLUMN_FORMATS.contains(&text("format")) {
            let message = format!("must be one of {}", COLUMN_FORMATS.join(","));
            errors.push(FieldError::invalid(field("format"), &column["format"], &message));
        }
        match text("jsonPath") {
            "" => errors.push(FieldError::required(field("JSONPath"), "")),
            path if !path.starts_with('.') => {
                let message = "must be a simple json path starting with .";
                errors.push(FieldError::invalid(field("JSONPath"), &column["jsonPath"], message));
            }
            _ => {}
        }
    }
    if errors.len() == before
        && let Err(why) = Columns::compile(columns)
    {
        errors.push(FieldError::invalid(base, columns, &why));
    }
}

fn selectable(version: &Value, old: Option<&Value>, base: &str, errors: &mut Vec<FieldError>) {
    let schema = &version["schema"]["openAPIV3Schema"];
    if schema.is_null() {
        let message = "may only be set when validations.schema is included";
        errors.push(FieldError::invalid(base, &json!(""), message));
        return;
    }
    let mut seen = HashSet::new();
    for (i, field) in version["selectableFields"].as_array().into_iter().flatten().enumerate() {
        let at = format!("{base}[{i}].jsonPath");
        let given = &field["jsonPath"];
        let path = given.as_str().unwrap_or_default();
        if path.is_empty() {
            errors.push(FieldError::required(at, ""));
            continue;
        }
        let found = match field_path(path, schema, false) {
            Ok(found) => found,
            Err(why) => {
                errors.push(FieldError::invalid(at, given, &format!("is an invalid path: {why}")));
                continue;
            }
        };
        if found.root == "metadata" {
            errors.push(FieldError::invalid(at.clone(), given, "must not point to fields in metadata"));
        }
        if !matches!(found.schema["type"].as_str(), Some("string" | "boolean" | "integer")) {
            let message = "must point to a field of type string, boolean or integer. Enum string fields and strings with \
                           formats are allowed.";
            errors.push(FieldError::invalid(at.clone(), given, message));
        }
        if !seen.insert(found.text) {
            errors.push(FieldError::duplicate(at, given));
        }
    }
    let is_known = old == Some(&version["selectableFields"]);
    if seen.len() > SELECTABLE_FIELDS_MAX && !is_known {
        errors.push(FieldError::too_many(base, seen.len() as u64, SELECTABLE_FIELDS_MAX as u64));
    }
}
