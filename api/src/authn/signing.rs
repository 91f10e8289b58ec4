//! Requests for certificates: nobody asks for what nobody grants, what is decided stays, and only those who may decide
//! decide.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use berth_access::{Attributes, Resource};
use berth_identity::bootstrap::EXTRA_USED_BY;
use berth_identity::csr;
use berth_schema::FieldError;
use serde_json::{Value, json};

use super::{GROUP_MASTERS, NODE_USER_PREFIX};
use crate::authz;
use crate::status::ApiError;
use crate::write::update::Part;
use crate::write::{Write, meta};

const GROUP: &str = "certificates.k8s.io";
const PLURAL: &str = "certificatesigningrequests";
/// Conditions that, once there, stay.
const LASTING: [&str; 3] = ["Approved", "Denied", "Failed"];

fn is_request(w: &Write<'_>) -> bool {
    w.resource.group == GROUP && w.resource.plural == PLURAL
}

/// Refuses what nobody may ask for.
///
/// # Errors
/// 403 for a client certificate of the group `system:masters`, and for a second node with a used bootstrap token.
pub(crate) fn may_create(w: &Write<'_>, name: &str, object: &Value) -> Result<(), ApiError> {
    if !is_request(w) {
        return Ok(());
    }
    let Some(request) = request_of(object) else { return Ok(()) };
    let deny = |why: &str| Err(ApiError::forbidden(w.resource.named(), name, why));
    let for_masters = request.organizations.iter().any(|group| group == GROUP_MASTERS);
    if object["spec"]["signerName"] == csr::KUBE_APISERVER_CLIENT && for_masters {
        return deny("use of kubernetes.io/kube-apiserver-client signer with system:masters group is not allowed");
    }
    if let Some(node) = w.user.extra.get(EXTRA_USED_BY).and_then(|nodes| nodes.first())
        && request.common_name.strip_prefix(NODE_USER_PREFIX) != Some(node)
    {
        return deny(&format!(
            "the bootstrap token was used by node {node:?}: make another one with `berth token create`"
        ));
    }
    Ok(())
}

/// The request in an object; `None` when there is none that can be read, which is refused elsewhere.
fn request_of(object: &Value) -> Option<csr::Request> {
    let bytes = STANDARD.decode(object["spec"]["request"].as_str()?).ok()?;
    csr::Request::parse(&String::from_utf8(bytes).ok()?).ok()
}

/// From what an update of `status` or `approval` sends to what it may change: the spec stays, `approval` changes the
/// conditions only, and conditions get their times.
pub(crate) fn carry_over(w: &Write<'_>, new: &mut Value, old: &Value, part: Part) {
    if !is_request(w) || !matches!(part, Part::Status | Part::Approval) {
        return;
    }
    let mut status = new["status"].take();
    if part == Part::Approval {
        let conditions = status["conditions"].take();
        status = old["status"].clone();
        if !status.is_object() {
            status = json!({});
        }
        status["conditions"] = conditions;
    }
    let now = meta::timestamp(w.now);
    if let Some(conditions) = status["conditions"].as_array_mut() {
        for condition in conditions.iter_mut().filter(|condition| condition.is_object()) {
            set_times(condition, old, &now);
        }
    }
    if let Some(fields) = status.as_object_mut() {
        fields.retain(|_, value| !value.is_null());
    }
    let metadata = new["metadata"].clone();
    *new = old.clone();
    new["status"] = status;
    new["metadata"] = metadata;
}

fn set_times(condition: &mut Value, old: &Value, now: &str) {
    if condition["lastUpdateTime"].is_null() {
        condition["lastUpdateTime"] = json!(now);
    }
    if condition["lastTransitionTime"].is_null() {
        let same = |other: &&Value| other["type"] == condition["type"] && other["status"] == condition["status"];
        let before = old["status"]["conditions"].as_array().and_then(|all| all.iter().find(same));
        let kept = before.map(|other| other["lastTransitionTime"].clone()).filter(|time| !time.is_null());
        condition["lastTransitionTime"] = kept.unwrap_or_else(|| json!(now));
    }
}

/// Whether the user may decide about, or sign, this request.
///
/// # Errors
/// 403 without the verb on the request's signer.
pub(crate) fn may_update(w: &Write<'_>, part: Part, old: &Value, new: &Value) -> Result<(), ApiError> {
    if !is_request(w) {
        return Ok(());
    }
    let verb = match part {
        Part::Approval => "approve",
        Part::Status if old["status"] != new["status"] => "sign",
        _ => return Ok(()),
    };
    let signer = old["spec"]["signerName"].as_str().unwrap_or_default();
    let domain = signer.split('/').next().unwrap_or_default();
    let every = format!("{domain}/*");
    let may = |name: &str| {
        let wanted =
            Resource { verb, group: GROUP, resource: "signers", subresource: "", namespace: "", name, fields: &[] };
        authz::decide(w.server, w.user, &Attributes::Resource(wanted)).allowed
    };
    if may(signer) || may(&every) {
        return Ok(());
    }
    let why = format!("user not permitted to {verb} requests with signerName {signer:?}");
    Err(ApiError::forbidden(w.resource.named(), w.name(), &why))
}

/// What is wrong with an update of `status` or `approval`.
pub(crate) fn validate_part(w: &Write<'_>, part: Part, new: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    if !is_request(w) || !matches!(part, Part::Status | Part::Approval) {
        return;
    }
    conditions(new, errors);
    let of = |object: &Value, kind: &str| -> Vec<Value> {
        let all = object["status"]["conditions"].as_array();
        all.into_iter().flatten().filter(|condition| condition["type"] == kind).cloned().collect()
    };
    for kind in LASTING {
        let (before, after) = (of(old, kind), of(new, kind));
        let forbid = |what: &str| {
            FieldError::forbidden("status.conditions", &format!("updates may not {what} a condition of type {kind:?}"))
        };
        if after.len() < before.len() {
            errors.push(forbid("remove"));
        } else if part == Part::Status && kind != "Failed" {
            if after.len() > before.len() {
                errors.push(forbid("add"));
            } else if after != before {
                errors.push(forbid("modify"));
            }
        }
    }
    let (before, after) = (&old["status"]["certificate"], &new["status"]["certificate"]);
    if before == after {
        return;
    }
    if part == Part::Approval {
        errors.push(FieldError::forbidden("status.certificate", "updates may not set certificate content"));
    } else if before.as_str().is_some_and(|text| !text.is_empty()) {
        errors.push(FieldError::forbidden("status.certificate", "updates may not modify existing certificate content"));
    } else if let Some(why) = bad_certificate(after) {
        errors.push(FieldError::invalid("status.certificate", &json!("<certificate data>"), why));
    }
}

/// What is wrong with conditions by themselves.
fn conditions(new: &Value, errors: &mut Vec<FieldError>) {
    let mut seen: Vec<&str> = Vec::new();
    for (index, condition) in new["status"]["conditions"].as_array().into_iter().flatten().enumerate() {
        let path = |field: &str| format!("status.conditions[{index}].{field}");
        let said = |field: &str| condition[field].as_str().unwrap_or_default();
        let (kind, status) = (said("type"), said("status"));
        if kind.is_empty() {
            errors.push(FieldError::required(path("type"), ""));
        }
        let allowed: &[&str] = if LASTING.contains(&kind) { &["True"] } else { &["False", "True", "Unknown"] };
        let values: Vec<Value> = allowed.iter().map(|value| json!(value)).collect();
        if status.is_empty() {
            errors.push(FieldError::required(path("status"), ""));
        } else if !allowed.contains(&status) {
            errors.push(FieldError::not_supported(path("status"), &json!(status), &values));
        }
        let opposite = match kind {
            "Approved" => "Denied",
            "Denied" => "Approved",
            _ => "",
        };
        if !opposite.is_empty() && seen.contains(&opposite) {
            let why = "Approved and Denied conditions are mutually exclusive";
            errors.push(FieldError::invalid(path("type"), &condition["type"], why));
        }
        if seen.contains(&kind) {
            errors.push(FieldError::duplicate(path("type"), &condition["type"]));
        }
        seen.push(kind);
    }
}

/// Why a text is no chain of certificates in PEM form.
fn bad_certificate(value: &Value) -> Option<&'static str> {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;
    let text = value.as_str().filter(|text| !text.is_empty())?;
    let Ok(pem) = STANDARD.decode(text) else { return Some("must be base64") };
    if String::from_utf8_lossy(&pem).matches("-----BEGIN ").count()
        != String::from_utf8_lossy(&pem).matches("-----BEGIN CERTIFICATE-----").count()
    {
        return Some("only CERTIFICATE PEM blocks are allowed");
    }
    let Ok(chain) = CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>() else {
        return Some("a PEM block is malformed");
    };
    if chain.is_empty() {
        return Some("must contain at least one CERTIFICATE PEM block");
    }
    let readable = |der: &CertificateDer<'_>| x509_parser::parse_x509_certificate(der).is_ok();
    (!chain.iter().all(readable)).then_some("a certificate cannot be read")
}
