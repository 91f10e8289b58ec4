//! From the value of a mutation's expression to the changed object.

use berth_cel::Value as Cel;
use berth_schema::managed::{ApplyInput, ResetFields, apply};
use berth_schema::patch::{PatchError, json_patch, merge_patch};
use serde_json::{Value, json};

use super::atomics;
use crate::registry::Resource;
use crate::write::meta;

/// Policies set fields, they own none; the name never reaches an object.
const MANAGER: &str = "mutating-admission-policy";

/// Merges `Object{…}` into the object, as server-side apply would.
pub(super) fn merged(
    row: &Resource,
    is_scale: bool,
    object: &Value,
    value: &Cel<'_>,
    now: jiff::Timestamp,
) -> Result<Value, String> {
    let Cel::Object(made) = value else {
        return Err(format!("unsupported return type from ApplyConfiguration expression: {}", value.type_name()));
    };
    made.check_type_names().map_err(|why| format!("type mismatch: {why}"))?;
    let mut patch = value.to_json().map_err(|why| format!("invalid return type: {why}"))?;
    if is_scale {
        return merge_patch(object, &patch).map_err(|error| format!("error applying patch: {error}"));
    }
    for field in ["apiVersion", "kind"] {
        patch[field] = object[field].clone();
    }
    let atomics = atomics::find(row.schema.get(), &patch);
    if !atomics.is_empty() {
        return Err(format!(
            "error applying patch: invalid ApplyConfiguration: may not mutate atomic arrays, maps or structs: {}",
            atomics.join(", ")
        ));
    }
    let mut live = object.clone();
    let managed = meta::of(&mut live).remove("managedFields");
    let api_version = row.api_version();
    let input = ApplyInput {
        schema: row.structural(),
        live: Some(&live),
        applied: &patch,
        manager: MANAGER,
        subresource: "",
        api_version: &api_version,
        force: true,
        now,
        reset: ResetFields::None,
    };
    let mut merged = apply(&input).map_err(|error| format!("error applying patch: {error}"))?;
    match managed {
        Some(managed) => meta::of(&mut merged).insert("managedFields".into(), managed),
        None => meta::of(&mut merged).remove("managedFields"),
    };
    Ok(merged)
}

/// Applies `[JSONPatch{…}]`. A test that fails leaves the object as it is.
pub(super) fn patched(object: &Value, value: &Cel<'_>) -> Result<Value, String> {
    let wrong = "type mismatch: JSONPatchType.expression should evaluate to array of JSONPatch";
    let list = value.as_list().ok_or(wrong)?;
    let mut operations = Vec::with_capacity(list.len());
    for item in list.iter() {
        let item = item.map_err(|error| error.to_string())?;
        let Cel::Object(operation) = &item else { return Err(wrong.to_owned()) };
        let mut made = json!({});
        for (field, value) in &operation.fields {
            if let Cel::Object(object) = value {
                object.check_type_names().map_err(|why| format!("type mismatch: {why}"))?;
            }
            let value = value.to_json().map_err(|why| {
                format!("JSONPath valueExpression evaluated to a type that could not marshal to JSON: {why}")
            })?;
            if **field != *"from" || value != "" {
                made[&**field] = value;
            }
        }
        operations.push(made);
    }
    let operations = Value::Array(operations);
    match json_patch(object, &operations) {
        Ok(patched) => Ok(patched),
        Err(PatchError::Rejected(why)) if why.contains("test failed") => Ok(object.clone()),
        Err(error) => Err(format!("JSON Patch: {}", crate::admission::hooks::go_words(&error, &operations))),
    }
}
