//! What a definition asks of its objects beyond their schema: the numbers of the scale, and the expressions.

use berth_schema::FieldError;
use serde_json::Value;

use crate::registry::Resource;

/// Judges an object that the schema and the kind's own rules have judged, with what they found in `errors`. Failures
/// that an update did not bring in become `warnings`.
pub(crate) fn judge(
    resource: &Resource,
    object: &Value,
    old: Option<&Value>,
    errors: &mut Vec<FieldError>,
    warnings: &mut Vec<String>,
) {
    if let Some(scale) = &resource.scale {
        for pointer in [&scale.spec_replicas, &scale.status_replicas] {
            let value = object.pointer(pointer);
            if let Some(value) = value.filter(|_| value != old.and_then(|old| old.pointer(pointer))) {
                replicas(pointer, value, errors);
            }
        }
    }
    resource.structural().check_rules(object, old, errors, warnings);
}

/// Replicas are counted in 32 bits.
fn replicas(pointer: &str, value: &Value, errors: &mut Vec<FieldError>) {
    let Some(count) = value.as_i64() else { return };
    let message = match count {
        ..0 => "should be a non-negative integer".to_owned(),
        count if count > i64::from(i32::MAX) => format!("should be less than or equal to {}", i32::MAX),
        _ => return,
    };
    errors.push(FieldError::invalid(pointer.replace('/', "."), value, &message));
}

/// Takes out of `metadata.managedFields` what speaks of versions that the definition no longer has: nobody can tell
/// what those fields were.
pub(crate) fn drop_lost_owners(resource: &Resource, object: &mut Value) {
    let known = &resource.life.api_versions;
    if known.is_empty() {
        return;
    }
    let Some(entries) = object.pointer_mut("/metadata/managedFields").and_then(Value::as_array_mut) else { return };
    let is_known = |entry: &Value| match entry["apiVersion"].as_str() {
        Some(version) => known.iter().any(|known| known == version),
        None => true,
    };
    if !entries.iter().all(is_known) {
        entries.retain(is_known);
    }
}
