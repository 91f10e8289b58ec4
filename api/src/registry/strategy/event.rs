//! Events: what they tell of must live in their namespace.

use berth_schema::FieldError;
use serde_json::Value;

pub(super) fn validate(new: &Value, _old: Option<&Value>, errors: &mut Vec<FieldError>) {
    let involved = new.pointer("/involvedObject/namespace").unwrap_or(&Value::Null);
    let own = new.pointer("/metadata/namespace").and_then(Value::as_str).unwrap_or_default();
    let named = involved.as_str().unwrap_or_default();
    // Events of cluster-wide objects go to `default`.
    if named != own && !(named.is_empty() && own == "default") {
        errors.push(FieldError::invalid("involvedObject.namespace", involved, "does not match event.namespace"));
    }
}
