//! The rules for `x-kubernetes-list-type`, its keys, and `x-kubernetes-map-type`: server-side apply must be able to
//! tell the items of lists apart.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::compile::{Compiler, flag, text};
use crate::error::{FieldError, Path};

const LIST_TYPE: &str = "x-kubernetes-list-type";
const LIST_KEYS: &str = "x-kubernetes-list-map-keys";
const MAP_TYPE: &str = "x-kubernetes-map-type";

/// Checks one place of a schema.
pub(super) fn check(compiler: &mut Compiler, map: &Map<String, Value>, path: &Path<'_>) {
    let errors = &mut compiler.errors;
    let type_name = text(map, "type").unwrap_or_default();
    let wants = |errors: &mut Vec<FieldError>, wanted: &str, keyword: &str| {
        let at = path.field("type").to_string();
        let message = format!("must be {wanted} if {keyword} is specified");
        errors.push(match type_name {
            "" => FieldError::required(at, &message),
            other => FieldError::invalid(at, &Value::from(other), &message),
        });
    };
    if let Some(map_type) = text(map, MAP_TYPE) {
        if type_name != "object" {
            wants(errors, "object", MAP_TYPE);
        }
        if !matches!(map_type, "atomic" | "granular") {
            let known = ["atomic", "granular"].map(Value::from);
            errors.push(FieldError::not_supported(path.field(MAP_TYPE).to_string(), &Value::from(map_type), &known));
        }
    }
    let keys: Vec<&str> =
        map.get(LIST_KEYS).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    let Some(list_type) = text(map, LIST_TYPE) else {
        if !keys.is_empty() {
            let message = "must be map if x-kubernetes-list-map-keys is non-empty";
            errors.push(FieldError::required(path.field(LIST_TYPE).to_string(), message));
        }
        return;
    };
    if type_name != "array" {
        wants(errors, "array", LIST_TYPE);
    }
    if !matches!(list_type, "atomic" | "set" | "map") {
        let known = ["atomic", "set", "map"].map(Value::from);
        errors.push(FieldError::not_supported(path.field(LIST_TYPE).to_string(), &Value::from(list_type), &known));
    }
    if list_type != "map" && !keys.is_empty() {
        let message = "must be map if x-kubernetes-list-map-keys is non-empty";
        errors.push(FieldError::invalid(path.field(LIST_TYPE).to_string(), &Value::from(list_type), message));
    }
    let Some(items) = map.get("items").and_then(Value::as_object) else { return };
    if matches!(list_type, "set" | "map") && flag(items, "nullable") {
        let message = format!("cannot be nullable when x-kubernetes-list-type is {list_type}");
        errors.push(FieldError::forbidden(path.field("items").field("nullable").to_string(), &message));
    }
    match list_type {
        "set" if type_name == "array" => check_set(errors, items, &path.field("items")),
        "map" => check_keys(errors, &keys, items, path),
        _ => {}
    }
}

/// Items of a set are compared as wholes.
fn check_set(errors: &mut Vec<FieldError>, items: &Map<String, Value>, path: &Path<'_>) {
    let keyword = match text(items, "type") {
        Some("array") if text(items, LIST_TYPE).is_some_and(|kind| kind != "atomic") => LIST_TYPE,
        Some("object") if text(items, MAP_TYPE) != Some("atomic") => MAP_TYPE,
        _ => return,
    };
    let message = "must be atomic as item of a list with x-kubernetes-list-type=set";
    // Of objects, too, upstream shows the list type.
    let shown = text(items, LIST_TYPE).map_or(Value::Null, Value::from);
    errors.push(FieldError::invalid(path.field(keyword).to_string(), &shown, message));
}

/// Items of a map are told apart by scalars that are always there.
fn check_keys(errors: &mut Vec<FieldError>, keys: &[&str], items: &Map<String, Value>, path: &Path<'_>) {
    let keys_path = path.field(LIST_KEYS).to_string();
    if keys.is_empty() {
        errors.push(FieldError::required(keys_path, "must not be empty if x-kubernetes-list-type is map"));
        return;
    }
    let items_path = path.field("items");
    let item_type = text(items, "type").unwrap_or_default();
    if item_type != "object" {
        let message = "must be object if parent array's x-kubernetes-list-type is map";
        errors.push(FieldError::invalid(items_path.field("type").to_string(), &Value::from(item_type), message));
        return;
    }
    let properties = items_path.field("properties");
    let is_required = |key: &str| {
        items.get("required").and_then(Value::as_array).into_iter().flatten().any(|required| required == key)
    };
    let mut seen = HashSet::new();
    for key in keys {
        let at = properties.key(key);
        let shown = Value::from(keys.to_vec());
        if !seen.insert(*key) {
            errors.push(FieldError::invalid(keys_path.clone(), &shown, "must not contain duplicate entries"));
        }
        let Some(property) = items.get("properties").and_then(|all| all.get(*key)).and_then(Value::as_object) else {
            let message = "entries must all be names of item properties";
            errors.push(FieldError::invalid(keys_path.clone(), &shown, message));
            continue;
        };
        if matches!(text(property, "type"), Some("array" | "object")) {
            let message = "must be a scalar type if parent array's x-kubernetes-list-type is map";
            errors.push(FieldError::invalid(at.field("type").to_string(), &Value::from(item_type), message));
        }
        if !is_required(key) && property.get("default").is_none_or(Value::is_null) {
            let message =
                "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property";
            errors.push(FieldError::required(at.field("default").to_string(), message));
        }
        if flag(property, "nullable") {
            let message = "this property is in x-kubernetes-list-map-keys, so it cannot be nullable";
            errors.push(FieldError::forbidden(at.field("nullable").to_string(), message));
        }
    }
}
