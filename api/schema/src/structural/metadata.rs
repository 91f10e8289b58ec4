//! The schema of `metadata`, which no kind writes down and every kind has.

use std::sync::OnceLock;

use serde_json::{Value, json};

use super::node::Node;

/// ObjectMeta as an OpenAPI schema, with the list types that server-side apply needs.
pub(crate) fn object_meta_schema() -> Value {
    let text = |description: &str| json!({"type": "string", "description": description});
    json!({
        "type": "object",
        "description": "Standard object's metadata.",
        "properties": {
            "annotations": {
                "type": "object", "additionalProperties": {"type": "string"},
                "description": "Free text that tools and libraries keep with an object; not used to select."},
            "creationTimestamp": {"type": "string", "format": "date-time", "description":
                "When the object was created, in UTC. Set by the server."},
            "deletionGracePeriodSeconds": {"type": "integer", "format": "int64", "description":
                "Seconds that the object has to end gracefully. Set with deletionTimestamp."},
            "deletionTimestamp": {"type": "string", "format": "date-time", "description":
                "When the object was asked to go away. It goes when no finalizers are left. Set by the server."},
            "finalizers": {
                "type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set",
                "x-kubernetes-patch-strategy": "merge",
                "description": "What must be done before the object is removed; each is taken off by the one who did it."},
            "generateName": text("A prefix: the server appends five characters to make a unique name."),
            "generation": {"type": "integer", "format": "int64", "description":
                "Counts the changes of the desired state. Set by the server."},
            "labels": {
                "type": "object", "additionalProperties": {"type": "string"},
                "description": "Words to organize and select objects by."},
            "managedFields": {
                "type": "array", "x-kubernetes-list-type": "atomic",
                "description": "Who manages which fields. Kept by the server.",
                "items": {"type": "object", "properties": {
                    "apiVersion": text("The version that the field set belongs to."),
                    "fieldsType": text("The form of the field set: FieldsV1."),
                    "fieldsV1": {"type": "object", "x-kubernetes-preserve-unknown-fields": true,
                        "description": "The field set."},
                    "manager": text("Who manages these fields."),
                    "operation": text("Apply or Update."),
                    "subresource": text("The subresource that was used."),
                    "time": {"type": "string", "format": "date-time", "description": "When the entry changed last."},
                }}},
            "name": text("Unique among the objects of its kind in its namespace; cannot be changed."),
            "namespace": text("The namespace that the object is in; empty for cluster-wide kinds."),
            "ownerReferences": {
                "type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["uid"],
                "x-kubernetes-patch-strategy": "merge", "x-kubernetes-patch-merge-key": "uid",
                "description": "The objects that this one depends on: when all of them are gone, it is removed.",
                "items": {
                    "type": "object", "x-kubernetes-map-type": "atomic",
                    "required": ["apiVersion", "kind", "name", "uid"],
                    "properties": {
                        "apiVersion": text("API version of the owner."),
                        "blockOwnerDeletion": {"type": "boolean", "description":
                            "Whether a foreground deletion of the owner waits for this object."},
                        "controller": {"type": "boolean", "description":
                            "Whether the owner is the controller of this object; at most one is."},
                        "kind": text("Kind of the owner."),
                        "name": text("Name of the owner."),
                        "uid": text("UID of the owner."),
                    }}},
            "resourceVersion": text("The revision at which the object was written last; opaque. Set by the server."),
            "selfLink": text("No longer used."),
            "uid": text("Unique over time and space. Set by the server."),
        }
    })
}

/// The compiled form, made once.
pub(crate) fn object_meta() -> &'static Node {
    static NODE: OnceLock<Node> = OnceLock::new();
    NODE.get_or_init(|| super::compile::compile_trusted(&object_meta_schema()))
}
