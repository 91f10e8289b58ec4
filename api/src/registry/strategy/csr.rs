//! Requests for certificates: who asked is noted by the server, and what was asked stays as it is.

use std::collections::HashSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use berth_identity::csr::{Request, USAGES, is_signer_name};
use berth_schema::FieldError;
use serde_json::{Value, json};

use super::checks::{is_empty, items, not_supported, text};
use crate::authn::UserInfo;

/// A certificate that ends sooner is of no use.
const LIFE_SECONDS_MIN: i64 = 600;

/// Who asked, whatever the body says.
pub(super) fn stamp(object: &mut Value, user: &UserInfo) {
    let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut) else { return };
    for name in ["username", "uid", "groups", "extra"] {
        spec.remove(name);
    }
    spec.insert("username".into(), user.name.as_str().into());
    if !user.uid.is_empty() {
        spec.insert("uid".into(), user.uid.as_str().into());
    }
    if !user.groups.is_empty() {
        spec.insert("groups".into(), json!(user.groups));
    }
    if !user.extra.is_empty() {
        spec.insert("extra".into(), json!(user.extra));
    }
}

pub(super) fn prepare_update(new: &mut Value, old: &Value) {
    if let (Some(root), Some(spec)) = (new.as_object_mut(), old.get("spec")) {
        root.insert("spec".into(), spec.clone());
    }
}

pub(super) fn validate(new: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
    if old.is_some() {
        // The spec cannot have changed.
        return;
    }
    let spec = &new["spec"];
    if let Err(why) = check_request(text(&spec["request"])) {
        errors.push(FieldError::invalid("spec.request", &json!("<not shown>"), &why));
    }
    if is_empty(&spec["usages"]) {
        errors.push(FieldError::required("spec.usages", "usages must be provided"));
    }
    let mut seen = HashSet::new();
    for (index, usage) in items(&spec["usages"]) {
        let field = format!("spec.usages[{index}]");
        if !USAGES.contains(&text(usage)) {
            errors.push(not_supported(&field, usage, USAGES));
        } else if !seen.insert(text(usage)) {
            errors.push(FieldError::duplicate(field, usage));
        }
    }
    match text(&spec["signerName"]) {
        "" => errors.push(FieldError::required("spec.signerName", "")),
        "kubernetes.io/legacy-unknown" => errors.push(FieldError::invalid(
            "spec.signerName",
            &spec["signerName"],
            "the legacy signerName is not allowed via this API version",
        )),
        name if !is_signer_name(name) => errors.push(FieldError::invalid(
            "spec.signerName",
            &name.into(),
            "must be a fully qualified domain and path of the form 'example.com/signer-name'",
        )),
        _ => {}
    }
    if spec["expirationSeconds"].as_i64().is_some_and(|seconds| seconds < LIFE_SECONDS_MIN) {
        let message = "may not specify a duration less than 600 seconds (10 minutes)";
        errors.push(FieldError::invalid("spec.expirationSeconds", &spec["expirationSeconds"], message));
    }
}

fn check_request(request: &str) -> Result<(), String> {
    let bytes = STANDARD.decode(request).map_err(|error| error.to_string())?;
    let pem = String::from_utf8(bytes).map_err(|_| "PEM block type must be CERTIFICATE REQUEST".to_owned())?;
    Request::parse(&pem).map(|_| ()).map_err(|error| error.to_string())
}
