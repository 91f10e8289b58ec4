//! Requests for certificates.

use k8s_openapi::api::certificates::v1::CertificateSigningRequest;
use serde_json::Value;

use super::columns::{aged, condition, name, named, or, seconds, text, word};
use super::{BASE, CoreKind, schema};
use crate::registry::resource::{NameRule, Rules};

const GROUP: &str = "certificates.k8s.io";

pub(super) fn kinds() -> Vec<CoreKind> {
    vec![CoreKind {
        group: GROUP,
        plural: "certificatesigningrequests",
        kind: "CertificateSigningRequest",
        short_names: &["csr"],
        namespaced: false,
        has_status: true,
        schema: || schema::of::<CertificateSigningRequest>(GROUP, "CertificateSigningRequest"),
        columns: || {
            named(&[text("Age"), text("SignerName"), text("Requestor"), text("RequestedDuration"), text("Condition")])
        },
        cells: |object, now| {
            let spec = &object["spec"];
            vec![
                name(object),
                aged(object, now),
                or(word(spec, "signerName"), "<none>").into(),
                word(spec, "username").into(),
                seconds(&spec["expirationSeconds"]).into(),
                state(object).into(),
            ]
        },
        selectable: &["spec.signerName"],
        rules: Rules { name: NameRule::PathSegment, status_takes_metadata: true, ..Rules::CORE },
        ..BASE
    }]
}

/// What has been decided, and what came of it.
fn state(object: &Value) -> String {
    let has = |kind: &str| condition(object, kind).is_some();
    let decided = if has("Denied") {
        "Denied"
    } else if has("Approved") {
        "Approved"
    } else {
        "Pending"
    };
    let failed = if has("Failed") { ",Failed" } else { "" };
    let issued = if word(&object["status"], "certificate").is_empty() { "" } else { ",Issued" };
    format!("{decided}{failed}{issued}")
}
