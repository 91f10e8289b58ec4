//! Namespaces: born active, kept by the finalizer `kubernetes` until their content is gone.

use berth_schema::FieldError;
use serde_json::{Value, json};

use super::checks::{items, text};
use crate::write::meta::bad_qualified_name;

/// The label that carries a namespace's own name, so that selectors can pick one.
const LABEL_NAME: &str = "kubernetes.io/metadata.name";

/// Keeps a namespace until its content is gone.
const FINALIZER: &str = "kubernetes";

/// Namespaces without which the system does not work.
const PROTECTED: &[&str] = &[
    "default",
    "kube-system",
    "kube-public",
    berth_types::names::SYSTEM_NAMESPACE,
    berth_types::names::NODE_LEASE_NAMESPACE,
];

pub(super) fn prepare_create(object: &mut Value) {
    let Some(root) = object.as_object_mut() else { return };
    // Finalizers of others stay: each is taken away by whoever asked for it.
    let spec = root.entry("spec").or_insert_with(|| json!({}));
    if !spec.is_object() {
        *spec = json!({});
    }
    match spec["finalizers"].as_array_mut() {
        Some(finalizers) if finalizers.iter().any(|name| name == FINALIZER) => {}
        Some(finalizers) => finalizers.push(FINALIZER.into()),
        None => spec["finalizers"] = json!([FINALIZER]),
    }
    root.insert("status".into(), json!({"phase": "Active"}));
    label(object);
}

pub(super) fn validate(new: &Value, _old: Option<&Value>, errors: &mut Vec<FieldError>) {
    for (index, name) in items(&new["spec"]["finalizers"]) {
        let field = format!("spec.finalizers[{index}]");
        let name = text(name);
        if let Some(why) = bad_qualified_name(name) {
            errors.push(FieldError::invalid(field, &name.into(), &why));
        } else if !name.contains('/') && !STANDARD_FINALIZERS.contains(&name) {
            let message = "name is neither a standard finalizer name nor is it fully qualified";
            errors.push(FieldError::invalid(field, &name.into(), message));
        }
    }
}

/// Finalizers without a domain.
const STANDARD_FINALIZERS: &[&str] = &[FINALIZER, "orphan", "foregroundDeletion"];

pub(super) fn prepare_update(new: &mut Value, old: &Value) {
    // Only the finalize subresource changes spec.finalizers.
    if let (Some(root), Some(spec)) = (new.as_object_mut(), old.get("spec")) {
        root.insert("spec".into(), spec.clone());
    }
    label(new);
}

fn label(object: &mut Value) {
    let name = object["metadata"]["name"].clone();
    let Some(metadata) = object["metadata"].as_object_mut() else { return };
    let labels = metadata.entry("labels").or_insert_with(|| json!({}));
    if labels.is_null() {
        *labels = json!({});
    }
    if let Some(labels) = labels.as_object_mut() {
        labels.insert(LABEL_NAME.into(), name);
    }
}

pub(super) fn forbids_delete(name: &str) -> Option<&'static str> {
    PROTECTED.contains(&name).then_some("this namespace may not be deleted")
}

pub(super) fn is_held(object: &Value) -> bool {
    object.pointer("/spec/finalizers").and_then(Value::as_array).is_some_and(|f| !f.is_empty())
}

pub(super) fn mark_deleted(object: &mut Value) {
    if let Some(root) = object.as_object_mut() {
        let status = root.entry("status").or_insert_with(|| json!({}));
        if let Some(status) = status.as_object_mut() {
            status.insert("phase".into(), json!("Terminating"));
        }
    }
}
