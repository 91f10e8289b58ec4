//! What Kubernetes knows of its own kinds beyond their JSON schema: which lists are maps, which maps are one value.

use serde_json::{Value, json};

enum Mark {
    /// A list keyed by this field.
    Keyed(&'static str),
    /// A map that is owned as one.
    AtomicMap,
}

/// Adds list and map types to the (inlined) schema of a built-in kind, so that server-side apply treats it as
/// Kubernetes does. Kinds that are not known stay as they are: lists are then atomic.
pub fn annotate_builtin(group: &str, kind: &str, schema: &mut Value) {
    let marks: &[(&str, Mark)] = match (group, kind) {
        ("", "Namespace") => &[("status.conditions", Mark::Keyed("type"))],
        ("", "ServiceAccount") => &[("secrets", Mark::Keyed("name"))],
        ("", "Event") => &[("involvedObject", Mark::AtomicMap), ("related", Mark::AtomicMap)],
        ("events.k8s.io", "Event") => &[("regarding", Mark::AtomicMap), ("related", Mark::AtomicMap)],
        ("", "ResourceQuota") => &[],
        ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") => &[("roleRef", Mark::AtomicMap)],
        ("apiextensions.k8s.io", "CustomResourceDefinition") => &[("status.conditions", Mark::Keyed("type"))],
        ("apiregistration.k8s.io", "APIService") => &[("status.conditions", Mark::Keyed("type"))],
        ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration" | "MutatingWebhookConfiguration") => {
            &[("webhooks", Mark::Keyed("name"))]
        }
        _ => &[],
    };
    for (path, mark) in marks {
        let target = path.split('.').try_fold(&mut *schema, |at, name| at.get_mut("properties")?.get_mut(name));
        let Some(Value::Object(map)) = target else { continue };
        let words = match mark {
            Mark::Keyed(key) => json!({
                "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [key],
                "x-kubernetes-patch-strategy": "merge", "x-kubernetes-patch-merge-key": key}),
            Mark::AtomicMap => json!({"x-kubernetes-map-type": "atomic"}),
        };
        for (name, value) in words.as_object().into_iter().flatten() {
            map.insert(name.clone(), value.clone());
        }
    }
}
