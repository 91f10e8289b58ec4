//! JSON merge patch (RFC 7396): members are set, `null` removes them, everything that is no object replaces.

use serde_json::{Map, Value};

use super::{PatchError, TREE_DEPTH_MAX};

/// Applies a merge patch; `patch` must be an object.
pub fn merge_patch(document: &Value, patch: &Value) -> Result<Value, PatchError> {
    if !patch.is_object() {
        let what = if patch.is_array() { "array" } else { "value" };
        let message = format!("json: cannot unmarshal {what} into Go value of type map[string]interface {{}}");
        return Err(PatchError::Malformed(message));
    }
    let mut merged = document.clone();
    merge(&mut merged, patch, 0)?;
    Ok(merged)
}

fn merge(target: &mut Value, patch: &Value, depth: usize) -> Result<(), PatchError> {
    if depth > TREE_DEPTH_MAX {
        return Err(PatchError::Malformed(format!("nested more than {TREE_DEPTH_MAX} levels deep")));
    }
    let Value::Object(members) = patch else {
        *target = patch.clone();
        return Ok(());
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(map) = target else { return Ok(()) };
    for (name, value) in members {
        if value.is_null() {
            map.remove(name);
        } else {
            merge(map.entry(name.as_str()).or_insert(Value::Null), value, depth + 1)?;
        }
    }
    Ok(())
}
