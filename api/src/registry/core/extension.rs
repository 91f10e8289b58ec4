//! What adds kinds to the server: definitions, and services of other servers.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::APIService;
use serde_json::{Value, json};

use super::columns::{aged, condition, name, named, text, word};
use super::{BASE, CoreKind, schema};
use crate::registry::resource::{NameRule, Rules};

const DEFINITIONS: &str = "apiextensions.k8s.io";
const SERVICES: &str = "apiregistration.k8s.io";

pub(super) fn kinds() -> Vec<CoreKind> {
    vec![
        CoreKind {
            group: DEFINITIONS,
            plural: "customresourcedefinitions",
            kind: "CustomResourceDefinition",
            short_names: &["crd", "crds"],
            categories: &["api-extensions"],
            namespaced: false,
            has_status: true,
            schema: definition_schema,
            rules: Rules { generation: true, unconditional_update: false, returns_deleted: true, ..Rules::CORE },
            ..BASE
        },
        CoreKind {
            group: SERVICES,
            plural: "apiservices",
            kind: "APIService",
            categories: &["api-extensions"],
            namespaced: false,
            has_status: true,
            schema: || schema::of::<APIService>(SERVICES, "APIService"),
            columns: || named(&[text("Service"), text("Available"), text("Age")]),
            cells: |object, now| vec![name(object), backend(object), availability(object), aged(object, now)],
            rules: Rules { name: NameRule::PathSegment, unconditional_update: false, ..Rules::CORE },
            ..BASE
        },
    ]
}

/// The schema of definitions. Below `openAPIV3Schema` anything may stand: it refers to itself, and what counts is
/// checked when the definition is.
fn definition_schema() -> Value {
    let mut schema = schema::of::<CustomResourceDefinition>(DEFINITIONS, "CustomResourceDefinition");
    let version = "/properties/spec/properties/versions/items/properties/schema/properties/openAPIV3Schema";
    if let Some(place) = schema.pointer_mut(version) {
        let description = place["description"].clone();
        *place = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true, "description": description});
    }
    schema
}

fn backend(object: &Value) -> Value {
    match &object["spec"]["service"] {
        Value::Object(_) => {
            let service = &object["spec"]["service"];
            format!("{}/{}", word(service, "namespace"), word(service, "name")).into()
        }
        _ => "Local".into(),
    }
}

fn availability(object: &Value) -> Value {
    let Some(available) = condition(object, "Available") else { return "Unknown".into() };
    let (status, reason) = (word(available, "status"), word(available, "reason"));
    if status == "True" || reason.is_empty() { status.into() } else { format!("{status} ({reason})").into() }
}
