//! The structural rules: what a schema must look like so that pruning and defaulting have one meaning.

use serde_json::{Map, Value};

use super::compile::{Compiler, Place, flag, text};
use super::node::{Additional, Checks, Node};
use crate::error::{FieldError, Path};

/// The rules that one schema object can be asked alone.
pub(super) fn check(compiler: &mut Compiler, map: &Map<String, Value>, path: &Path<'_>, place: Place) {
    let mut forbid = |name: &str, message: &str| {
        compiler.errors.push(FieldError::forbidden(path.field(name).to_string(), message));
    };
    for name in ["$ref", "definitions", "dependencies", "id", "patternProperties", "additionalItems"] {
        if map.contains_key(name) {
            forbid(name, &format!("{name} is not supported"));
        }
    }
    if flag(map, "uniqueItems") {
        forbid("uniqueItems", "uniqueItems cannot be set to true since the runtime complexity becomes quadratic");
    }
    if map.get("additionalProperties") == Some(&Value::Bool(false)) {
        forbid("additionalProperties", "additionalProperties cannot be set to false");
    }
    let has_properties = map.get("properties").and_then(Value::as_object).is_some_and(|p| !p.is_empty());
    if has_properties && map.get("additionalProperties").is_some_and(|values| *values != Value::Bool(true)) {
        forbid("additionalProperties", "additionalProperties and properties are mutual exclusive");
    }
    match place {
        Place::Junctor { typed, .. } => check_junctor(map, typed, &mut forbid),
        Place::Root | Place::Field | Place::Item => check_structure(compiler, map, path, place),
    }
}

/// Inside allOf and the like only values may be spoken of.
fn check_junctor(map: &Map<String, Value>, typed: bool, forbid: &mut dyn FnMut(&str, &str)) {
    if map.contains_key("type") && !typed {
        forbid("type", "must be empty to be structural");
    }
    for (name, message) in [
        ("additionalProperties", "must be undefined to be structural"),
        ("default", "must be undefined to be structural"),
        ("description", "must be empty to be structural"),
        ("title", "must be empty to be structural"),
    ] {
        if map.contains_key(name) {
            forbid(name, message);
        }
    }
    for name in [
        "nullable",
        "x-kubernetes-preserve-unknown-fields",
        "x-kubernetes-embedded-resource",
        "x-kubernetes-int-or-string",
    ] {
        if flag(map, name) {
            forbid(name, "must be false to be structural");
        }
    }
    for (name, message) in [
        ("x-kubernetes-list-map-keys", "must be empty to be structural"),
        ("x-kubernetes-list-type", "must be undefined to be structural"),
        ("x-kubernetes-map-type", "must be undefined to be structural"),
        ("x-kubernetes-validations", "must be empty to be structural"),
    ] {
        if map.get(name).is_some_and(|value| value.as_array().is_none_or(|list| !list.is_empty())) {
            forbid(name, message);
        }
    }
    if map.get("properties").and_then(|all| all.get("metadata")).is_some() {
        forbid("properties[metadata]", "must not be specified in a nested context");
    }
}

fn check_structure(compiler: &mut Compiler, map: &Map<String, Value>, path: &Path<'_>, place: Place) {
    let errors = &mut compiler.errors;
    let type_path = path.field("type");
    let type_name = text(map, "type").unwrap_or_default();
    let int_or_string = flag(map, "x-kubernetes-int-or-string");
    let preserve = flag(map, "x-kubernetes-preserve-unknown-fields");
    let embedded = flag(map, "x-kubernetes-embedded-resource");
    if int_or_string {
        if !type_name.is_empty() {
            let message = "must be empty if x-kubernetes-int-or-string is specified";
            errors.push(FieldError::forbidden(type_path.to_string(), message));
        }
        for (is_set, name) in
            [(preserve, "x-kubernetes-preserve-unknown-fields"), (embedded, "x-kubernetes-embedded-resource")]
        {
            if is_set {
                let message = "must be false if x-kubernetes-int-or-string is true";
                errors.push(FieldError::invalid(path.field(name).to_string(), &Value::Bool(true), message));
            }
        }
    } else if embedded && type_name != "object" {
        let message = "must be object if x-kubernetes-embedded-resource is true";
        errors.push(match type_name {
            "" => FieldError::required(type_path.to_string(), message),
            other => FieldError::invalid(type_path.to_string(), &Value::from(other), message),
        });
    } else if place == Place::Root {
        if type_name.is_empty() {
            errors.push(FieldError::required(type_path.to_string(), "must not be empty at the root"));
        } else if type_name != "object" {
            let message = "must be object at the root";
            errors.push(FieldError::invalid(type_path.to_string(), &Value::from(type_name), message));
        }
    } else if type_name.is_empty() && !preserve {
        let what = if place == Place::Item { "array items" } else { "object fields" };
        let message = format!("must not be empty for specified {what}");
        errors.push(FieldError::required(type_path.to_string(), &message));
    }
    if map.get("x-kubernetes-preserve-unknown-fields") == Some(&Value::Bool(false)) {
        let at = path.field("x-kubernetes-preserve-unknown-fields").to_string();
        errors.push(FieldError::invalid(at, &Value::Bool(false), "must be true or undefined"));
    }
    if embedded && map.contains_key("additionalProperties") {
        let at = path.field("additionalProperties").to_string();
        errors.push(FieldError::forbidden(at, "must not be used if x-kubernetes-embedded-resource is set"));
    }
    if embedded || place == Place::Root {
        check_identity(map, path, errors);
    }
    if embedded && !preserve && !map.contains_key("properties") {
        let message = "must not be empty if x-kubernetes-embedded-resource is true without \
                       x-kubernetes-preserve-unknown-fields";
        errors.push(FieldError::required(path.field("properties").to_string(), message));
    }
    if type_name == "array" && !map.contains_key("items") {
        errors.push(FieldError::required(path.field("items").to_string(), "must be specified"));
    }
    if place == Place::Root {
        if map.contains_key("additionalProperties") {
            let at = path.field("additionalProperties").to_string();
            errors.push(FieldError::forbidden(at, "must not be used at the root"));
        }
        check_root_metadata(map, path, errors);
    }
}

/// What every object says of itself has types of its own.
fn check_identity(map: &Map<String, Value>, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let properties = path.field("properties");
    for (name, wanted) in [("kind", "string"), ("apiVersion", "string"), ("metadata", "object")] {
        let Some(schema) = map.get("properties").and_then(|all| all.get(name)) else { continue };
        let given = schema.get("type").and_then(Value::as_str).unwrap_or_default();
        if given != wanted {
            let at = properties.key(name).field("type").to_string();
            errors.push(FieldError::invalid(at, &Value::from(given), &format!("must be {wanted}")));
        }
    }
}

/// The metadata is implied; only names may be restricted.
fn check_root_metadata(map: &Map<String, Value>, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let Some(metadata) = map.get("properties").and_then(|p| p.get("metadata")).and_then(Value::as_object) else {
        return;
    };
    let props = metadata.get("properties").and_then(Value::as_object);
    let others = props.into_iter().flatten().any(|(name, _)| name != "name" && name != "generateName");
    let own = metadata.keys().any(|k| !matches!(k.as_str(), "type" | "properties" | "description"));
    if others || own {
        let properties = path.field("properties");
        let at = properties.key("metadata").to_string();
        let message =
            "must not specify anything other than name and generateName, but metadata is implicitly specified";
        errors.push(FieldError::forbidden(at, message));
    }
}

/// What allOf and the like mention must be specified outside of them.
pub(super) fn check_complete(compiler: &mut Compiler, node: &Node, path: &Path<'_>) {
    let Some(checks) = &node.checks else { return };
    let Checks { all_of, any_of, one_of, not, .. } = &**checks;
    let lists = [("allOf", all_of), ("anyOf", any_of), ("oneOf", one_of)];
    for (name, list) in lists {
        let here = path.field(name);
        for (i, part) in list.iter().enumerate() {
            complete(compiler, part, node, &here.index(i), path);
        }
    }
    if let Some(not) = not {
        complete(compiler, not, node, &path.field("not"), path);
    }
}

fn complete(compiler: &mut Compiler, part: &Node, node: &Node, part_path: &Path<'_>, path: &Path<'_>) {
    let properties = path.field("properties");
    let part_properties = part_path.field("properties");
    for prop in &part.props {
        let here = properties.key(&prop.name);
        let there = part_properties.key(&prop.name);
        match (node.prop(&prop.name), &node.additional) {
            (Some(child), _) => complete(compiler, &prop.node, child, &there, &here),
            (None, Additional::Schema(child)) => {
                complete(compiler, &prop.node, child, &there, &path.field("additionalProperties"));
            }
            (None, _) => {
                let message = format!("because it is defined in {there}");
                compiler.errors.push(FieldError::required(here.to_string(), &message));
            }
        }
    }
    if let Some(part_items) = &part.items {
        match &node.items {
            Some(items) => complete(compiler, part_items, items, &part_path.field("items"), &path.field("items")),
            None => {
                let message = format!("because it is defined in {}", part_path.field("items"));
                compiler.errors.push(FieldError::required(path.field("items").to_string(), &message));
            }
        }
    }
    if let Some(checks) = &part.checks {
        for (name, list) in [("allOf", &checks.all_of), ("anyOf", &checks.any_of), ("oneOf", &checks.one_of)] {
            let here = part_path.field(name);
            for (i, inner) in list.iter().enumerate() {
                complete(compiler, inner, node, &here.index(i), path);
            }
        }
        if let Some(not) = &checks.not {
            complete(compiler, not, node, &part_path.field("not"), path);
        }
    }
}
