//! Service accounts: what they refer to is kept by name only.

use serde_json::{Map, Value};

pub(super) fn prepare(object: &mut Value) {
    let Some(secrets) = object.get_mut("secrets").and_then(Value::as_array_mut) else { return };
    for secret in secrets.iter_mut().filter(|secret| secret.is_object()) {
        let name = secret["name"].clone();
        let mut kept = Map::new();
        if !name.is_null() {
            kept.insert("name".into(), name);
        }
        *secret = Value::Object(kept);
    }
}
