//! The core group and leases: what every client expects of any cluster.

use berth_schema::table::Cells;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, LimitRange, Namespace, ResourceQuota, Secret, ServiceAccount};
use serde_json::Value;

use super::columns::{aged, count, name, named, text, word};
use super::{BASE, CoreKind, schema};
use crate::registry::resource::{NameRule, Rules};

pub(super) fn kinds() -> Vec<CoreKind> {
    vec![
        CoreKind {
            plural: "namespaces",
            kind: "Namespace",
            short_names: &["ns"],
            namespaced: false,
            has_status: true,
            schema: || schema::of::<Namespace>("", "Namespace"),
            columns: || named(&[text("Status"), text("Age")]),
            cells: |object, now| vec![name(object), object["status"]["phase"].clone(), aged(object, now)],
            selectable: &["status.phase"],
            rules: Rules {
                name: NameRule::Label,
                returns_deleted: true,
                delete_collection: false,
                status_takes_metadata: true,
                ..Rules::CORE
            },
            ..BASE
        },
        CoreKind {
            plural: "secrets",
            kind: "Secret",
            schema: || schema::of::<Secret>("", "Secret"),
            columns: || named(&[text("Type"), text("Data"), text("Age")]),
            cells: |object, now| {
                vec![name(object), object["type"].clone(), count(&object["data"]).into(), aged(object, now)]
            },
            selectable: &["type"],
            ..BASE
        },
        CoreKind {
            plural: "configmaps",
            kind: "ConfigMap",
            short_names: &["cm"],
            schema: || schema::of::<ConfigMap>("", "ConfigMap"),
            columns: || named(&[text("Data"), text("Age")]),
            cells: |object, now| {
                let entries = count(&object["data"]) + count(&object["binaryData"]);
                vec![name(object), entries.into(), aged(object, now)]
            },
            ..BASE
        },
        CoreKind {
            plural: "serviceaccounts",
            kind: "ServiceAccount",
            short_names: &["sa"],
            schema: || schema::of::<ServiceAccount>("", "ServiceAccount"),
            columns: || named(&[text("Secrets"), text("Age")]),
            cells: |object, now| vec![name(object), count(&object["secrets"]).into(), aged(object, now)],
            rules: Rules { returns_deleted: true, status_takes_metadata: true, ..Rules::CORE },
            ..BASE
        },
        CoreKind {
            plural: "resourcequotas",
            kind: "ResourceQuota",
            short_names: &["quota"],
            has_status: true,
            schema: || schema::of::<ResourceQuota>("", "ResourceQuota"),
            columns: || named(&[text("Request"), text("Limit"), text("Age")]),
            cells: QUOTA_CELLS,
            rules: Rules { returns_deleted: true, ..Rules::CORE },
            ..BASE
        },
        CoreKind {
            plural: "limitranges",
            kind: "LimitRange",
            short_names: &["limits"],
            schema: || schema::of::<LimitRange>("", "LimitRange"),
            rules: Rules { create_on_update: true, ..Rules::CORE },
            ..BASE
        },
        CoreKind {
            group: "coordination.k8s.io",
            plural: "leases",
            kind: "Lease",
            schema: || schema::of::<Lease>("coordination.k8s.io", "Lease"),
            columns: || named(&[text("Holder"), text("Age")]),
            cells: |object, now| vec![name(object), word(&object["spec"], "holderIdentity").into(), aged(object, now)],
            rules: Rules { unconditional_update: false, create_on_update: true, ..Rules::CORE },
            ..BASE
        },
    ]
}

/// `used/hard` of every resource: what limits a sum of limits in one column, everything else in the other.
const QUOTA_CELLS: Cells = |object, now| {
    let status = &object["status"];
    let shown = |limits: bool| {
        let hard = status["hard"].as_object().into_iter().flatten();
        let parts: Vec<String> = hard
            .filter(|(resource, _)| resource.starts_with("limits.") == limits)
            .map(|(resource, hard)| {
                let used = amount(&status["used"][resource.as_str()]);
                format!("{resource}: {used}/{}", amount(hard))
            })
            .collect();
        Value::from(parts.join(", "))
    };
    vec![name(object), shown(false), shown(true), aged(object, now)]
};

fn amount(quantity: &Value) -> &str {
    quantity.as_str().unwrap_or("0")
}
