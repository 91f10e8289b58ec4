//! What the server writes into a definition: names that follow from others, the status, the finalizer.

use serde_json::{Value, json};

use super::FINALIZER_CLEANUP;
use crate::registry::builtin::storage_version;

/// Where a webhook's service listens, unless said.
const SERVICE_PORT: u32 = 443;

/// Fills in the names that can be derived, the conversion, and the finalizer that waits for the objects.
pub(crate) fn prepare_create(object: &mut Value) {
    fill_in(object);
    let versions: Vec<Value> = storage_version(object).into_iter().map(Value::from).collect();
    let root = &mut *object;
    root["status"] = json!({"conditions": [], "acceptedNames": {"plural": "", "kind": ""}, "storedVersions": versions});
    let finalizers = &mut root["metadata"]["finalizers"];
    match finalizers.as_array_mut() {
        Some(list) if list.iter().any(|f| f == FINALIZER_CLEANUP) => {}
        Some(list) => list.push(json!(FINALIZER_CLEANUP)),
        None => *finalizers = json!([FINALIZER_CLEANUP]),
    }
}

/// Fills in the names again, and notes a new storage version.
pub(crate) fn prepare_update(new: &mut Value, _old: &Value) {
    fill_in(new);
    let version = storage_version(new).map(str::to_owned);
    if let Some(version) = version
        && let Some(stored) = new["status"]["storedVersions"].as_array_mut()
        && !stored.iter().any(|v| *v == version)
    {
        stored.push(version.into());
    }
}

fn fill_in(object: &mut Value) {
    if !object["spec"].is_object() {
        return;
    }
    let spec = &mut object["spec"];
    let kind = spec["names"]["kind"].as_str().unwrap_or_default().to_owned();
    if !kind.is_empty() && spec["names"].is_object() {
        let names = &mut spec["names"];
        if names["singular"].as_str().unwrap_or_default().is_empty() {
            names["singular"] = kind.to_lowercase().into();
        }
        if names["listKind"].as_str().unwrap_or_default().is_empty() {
            names["listKind"] = format!("{kind}List").into();
        }
    }
    if spec["conversion"].is_null() {
        spec["conversion"] = json!({"strategy": "None"});
    }
    if let Some(service) = spec.pointer_mut("/conversion/webhook/clientConfig/service").filter(|s| s.is_object())
        && service["port"].is_null()
    {
        service["port"] = SERVICE_PORT.into();
    }
}
