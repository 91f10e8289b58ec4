//! Rows of the standard Kubernetes kinds that tools need: they are not described by stored definitions.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Event, Namespace, Secret, ServiceAccount};
use schemars::JsonSchema;
use serde_json::{Value, json};

use super::resource::{LazySchema, NameRule, Resource, Rules, Storage};
use super::strategy;

/// How long an Event lives after its last write.
const EVENT_TTL: Duration = Duration::from_secs(3600);

/// What sets one standard kind apart.
#[derive(Debug)]
pub(crate) struct CoreKind {
    pub group: &'static str,
    pub plural: &'static str,
    kind: &'static str,
    short_names: &'static [&'static str],
    namespaced: bool,
    has_status: bool,
    schema: fn() -> Value,
    columns: fn() -> Value,
    /// Dotted paths for field selectors.
    pub selectable: &'static [&'static str],
    rules: Rules,
}

/// The standard kinds.
pub(crate) fn kinds() -> Vec<CoreKind> {
    vec![
        CoreKind {
            group: "",
            plural: "namespaces",
            kind: "Namespace",
            short_names: &["ns"],
            namespaced: false,
            has_status: true,
            schema: schema_of::<Namespace>,
            columns: || json!([column("Status", "string", ".status.phase"), age()]),
            selectable: &["status.phase"],
            rules: Rules { name: NameRule::Label, returns_deleted: true, delete_collection: false, ..Rules::CORE },
        },
        CoreKind {
            group: "",
            plural: "secrets",
            kind: "Secret",
            short_names: &[],
            namespaced: true,
            has_status: false,
            schema: schema_of::<Secret>,
            columns: || json!([column("Type", "string", ".type"), age()]),
            selectable: &["type"],
            rules: Rules::CORE,
        },
        CoreKind {
            group: "",
            plural: "configmaps",
            kind: "ConfigMap",
            short_names: &["cm"],
            namespaced: true,
            has_status: false,
            schema: schema_of::<ConfigMap>,
            columns: || json!([age()]),
            selectable: &[],
            rules: Rules::CORE,
        },
        CoreKind {
            group: "",
            plural: "serviceaccounts",
            kind: "ServiceAccount",
            short_names: &["sa"],
            namespaced: true,
            has_status: false,
            schema: schema_of::<ServiceAccount>,
            columns: || json!([age()]),
            selectable: &[],
            rules: Rules { returns_deleted: true, ..Rules::CORE },
        },
        CoreKind {
            group: "",
            plural: "events",
            kind: "Event",
            short_names: &["ev"],
            namespaced: true,
            has_status: false,
            schema: schema_of::<Event>,
            columns: || {
                json!([
                    column("Last Seen", "date", ".lastTimestamp"),
                    column("Type", "string", ".type"),
                    column("Reason", "string", ".reason"),
                    column("Kind", "string", ".involvedObject.kind"),
                    column("Object", "string", ".involvedObject.name"),
                    column("Message", "string", ".message"),
                    wide("Source", "string", ".reportingComponent"),
                    wide("Count", "integer", ".count"),
                ])
            },
            selectable: &[
                "involvedObject.kind",
                "involvedObject.namespace",
                "involvedObject.name",
                "involvedObject.uid",
                "involvedObject.apiVersion",
                "involvedObject.resourceVersion",
                "involvedObject.fieldPath",
                "reason",
                "reportingComponent",
                "source",
                "type",
            ],
            rules: Rules { create_on_update: true, ttl: Some(EVENT_TTL), ..Rules::CORE },
        },
        CoreKind {
            group: "coordination.k8s.io",
            plural: "leases",
            kind: "Lease",
            short_names: &[],
            namespaced: true,
            has_status: false,
            schema: schema_of::<Lease>,
            columns: || json!([column("Holder", "string", ".spec.holderIdentity"), age()]),
            selectable: &[],
            rules: Rules { unconditional_update: false, create_on_update: true, ..Rules::CORE },
        },
        CoreKind {
            group: "apiextensions.k8s.io",
            plural: "customresourcedefinitions",
            kind: "CustomResourceDefinition",
            short_names: &["crd", "crds"],
            namespaced: false,
            has_status: true,
            schema: definition_schema,
            columns: || json!([column("Created At", "string", ".metadata.creationTimestamp")]),
            selectable: &[],
            rules: Rules { generation: true, unconditional_update: false, returns_deleted: true, ..Rules::CORE },
        },
    ]
}

impl CoreKind {
    /// The row.
    pub(crate) fn row(&self, storage: &Arc<Storage>) -> Resource {
        let strategy = strategy::of(self.group, self.kind);
        Resource {
            group: self.group.to_owned(),
            version: "v1".to_owned(),
            kind: self.kind.to_owned(),
            list_kind: format!("{}List", self.kind),
            plural: self.plural.to_owned(),
            singular: self.kind.to_lowercase(),
            short_names: self.short_names.iter().map(|s| (*s).to_owned()).collect(),
            categories: Vec::new(),
            namespaced: self.namespaced,
            schema: LazySchema::later(self.schema),
            printer_columns: (self.columns)(),
            has_status: self.has_status,
            scale: None,
            other_subresources: strategy.subresources,
            selectable: self.selectable.iter().map(|s| (*s).to_owned()).collect(),
            built_in: true,
            rules: self.rules,
            strategy,
            answer: None,
            deprecation: None,
            terminating: false,
            storage: Arc::clone(storage),
            compiled: OnceLock::new(),
            columns: OnceLock::new(),
        }
    }
}

fn column(name: &str, kind: &str, path: &str) -> Value {
    json!({"name": name, "type": kind, "jsonPath": path})
}

fn wide(name: &str, kind: &str, path: &str) -> Value {
    json!({"name": name, "type": kind, "jsonPath": path, "priority": 1})
}

fn age() -> Value {
    column("Age", "date", ".metadata.creationTimestamp")
}

/// The schema of a Kubernetes type, with references replaced and without what is not structural.
pub(crate) fn schema_of<T: JsonSchema>() -> Value {
    let schema = schemars::generate::SchemaSettings::openapi3().into_generator().into_root_schema_for::<T>();
    let mut value = berth_schema::openapi::inline_refs(schema.to_value());
    if let Value::Object(root) = &mut value {
        for name in ["$schema", "title", "definitions", "components", "$defs"] {
            root.remove(name);
        }
        if let Some(Value::Object(properties)) = root.get_mut("properties") {
            for name in ["apiVersion", "kind"] {
                properties.insert(name.to_owned(), json!({"type": "string"}));
            }
            // The server knows object metadata better than a schema can say.
            properties.insert("metadata".to_owned(), json!({"type": "object"}));
        }
        root.remove("required");
    }
    drop_byte_format(&mut value);
    value
}

/// Base64 is checked by the strategies, which never repeat a value in an error: it may be a secret.
fn drop_byte_format(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            if map.get("format").is_some_and(|f| f == "byte") {
                map.remove("format");
            }
            map.values_mut().for_each(drop_byte_format);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_byte_format),
        _ => {}
    }
}

/// The schema of CustomResourceDefinition. Written by hand: the derived one recurses, and what counts is checked
/// by [`super::crd::validate`].
fn definition_schema() -> Value {
    let text = || json!({"type": "string"});
    let texts = || json!({"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "atomic"});
    let free = || json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    let names = json!({"type": "object", "properties": {
        "plural": text(), "singular": text(), "kind": text(), "listKind": text(),
        "shortNames": texts(), "categories": texts(),
    }});
    let column = json!({"type": "object", "properties": {
        "name": text(), "type": text(), "format": text(), "description": text(), "jsonPath": text(),
        "priority": {"type": "integer"},
    }});
    let version = json!({"type": "object", "required": ["name", "served", "storage"], "properties": {
        "name": text(), "served": {"type": "boolean"}, "storage": {"type": "boolean"},
        "deprecated": {"type": "boolean"}, "deprecationWarning": text(),
        "schema": {"type": "object", "properties": {"openAPIV3Schema": free()}},
        "subresources": {"type": "object", "properties": {
            "status": free(),
            "scale": {"type": "object", "properties": {
                "specReplicasPath": text(), "statusReplicasPath": text(), "labelSelectorPath": text(),
            }},
        }},
        "additionalPrinterColumns": {"type": "array", "items": column, "x-kubernetes-list-type": "atomic"},
        "selectableFields": {"type": "array", "x-kubernetes-list-type": "atomic",
            "items": {"type": "object", "properties": {"jsonPath": text()}}},
    }});
    json!({
        "description": "CustomResourceDefinition represents a kind that users bring: it is served as soon as it is accepted.",
        "type": "object",
        "properties": {
            "apiVersion": text(), "kind": text(), "metadata": {"type": "object"},
            "spec": {"type": "object", "required": ["group", "names", "scope", "versions"], "properties": {
                "group": text(), "scope": {"type": "string", "enum": ["Cluster", "Namespaced"]},
                "names": names.clone(),
                "versions": {"type": "array", "items": version, "x-kubernetes-list-type": "atomic"},
                "conversion": free(), "preserveUnknownFields": {"type": "boolean"},
            }},
            "status": {"type": "object", "properties": {
                "acceptedNames": names, "storedVersions": texts(), "observedGeneration": {"type": "integer"},
                "conditions": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"],
                    "items": {"type": "object", "required": ["type", "status"], "properties": {
                        "type": text(), "status": text(), "reason": text(), "message": text(),
                        "lastTransitionTime": text(), "observedGeneration": {"type": "integer"},
                    }}},
            }},
        },
    })
}
