//! The question that a webhook is asked, and what makes a good answer.

use base64::Engine;
use serde_json::{Value, json};

use super::table::ReviewVersion;
use crate::admission::attributes::{Attributes, kind_of, options, user_info};
use crate::admission::matching::Matched;
use crate::admission::versions::{Shown, is_other};
use crate::status::{ApiError, Cause, Details};
use crate::write::Write;

/// Causes of a refusal that are passed on, warnings, and notes for the audit log: more than anybody reads.
const CAUSES_MAX: usize = 100;
/// Bytes of one note: the audit log is not to be flooded.
const NOTE_BYTES_MAX: usize = 10 << 10;

/// The objects of a write.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Objects<'a> {
    pub object: Option<&'a Value>,
    pub old: Option<&'a Value>,
}

/// An AdmissionReview with its request.
pub(super) fn question(
    w: &Write<'_>,
    a: &Attributes,
    matched: &Matched,
    version: ReviewVersion,
    uid: &str,
    objects: Objects<'_>,
    shown: Shown,
) -> Value {
    let given = objects.object.or(objects.old);
    let request_kind = given.map_or(Value::Null, kind_of);
    let resource =
        |version: &str| json!({"group": w.resource.group, "version": version, "resource": w.resource.plural});
    let mut kind = request_kind.clone();
    if is_other(w, a, matched) {
        kind["version"] = matched.version.as_str().into();
    }
    let mut request = json!({
        "uid": uid,
        "kind": kind,
        "resource": resource(&matched.version),
        "requestKind": request_kind,
        "requestResource": resource(&w.resource.version),
        "operation": a.operation.as_str(),
        "userInfo": user_info(w),
        "object": shown.object,
        "oldObject": shown.old,
        "dryRun": a.dry_run,
        "options": options(w, a.operation),
    });
    for (field, value) in [("name", &a.name), ("namespace", &a.namespace)] {
        if !value.is_empty() {
            request[field] = value.as_str().into();
        }
    }
    if !a.subresource.is_empty() {
        request["subResource"] = a.subresource.as_str().into();
        request["requestSubResource"] = a.subresource.as_str().into();
    }
    json!({"kind": "AdmissionReview", "apiVersion": version.api_version(), "request": request})
}

/// What a webhook said.
#[derive(Debug)]
pub(super) struct Verdict {
    /// Why not, if not.
    pub refused: Option<ApiError>,
    /// The operations of a JSON patch, undecoded.
    pub patch: Vec<u8>,
    pub warnings: Vec<String>,
    pub annotations: Vec<(String, String)>,
}

/// Reads an answer and checks that it is one to our question.
///
/// # Errors
/// What is wrong with it, to follow `failed calling webhook "…": `.
pub(super) fn verdict(
    hook: &str,
    version: ReviewVersion,
    uid: &str,
    mutating: bool,
    body: &[u8],
) -> Result<Verdict, String> {
    let review: Value = crate::write::decode::decode(body, crate::write::decode::Format::Json)
        .map_err(|error| format!("failed to call webhook: couldn't get version/kind; json parse error: {error}"))?
        .value;
    let text = |value: &Value, field: &str| value[field].as_str().unwrap_or_default().to_owned();
    let (api_version, kind) = (text(&review, "apiVersion"), text(&review, "kind"));
    // Old webhooks answer without saying what they answer with; v1 demands it.
    let is_silent = version == ReviewVersion::V1beta1 && api_version.is_empty() && kind.is_empty();
    if kind.is_empty() && !is_silent {
        return Err("failed to call webhook: Object 'Kind' is missing in the answer".to_owned());
    }
    let invalid = |why: String| Err(told_invalid(&why));
    let response = &review["response"];
    if !response.is_object() {
        return invalid("webhook response was absent".to_owned());
    }
    let given = text(response, "uid");
    if given != uid && !(version == ReviewVersion::V1beta1 && given.is_empty()) {
        return invalid(format!("expected response.uid={uid:?}, got {given:?}"));
    }
    if !is_silent && (api_version != version.api_version() || kind != "AdmissionReview") {
        return invalid(format!(
            "expected webhook response of {}, Kind=AdmissionReview, got {api_version}, Kind={kind}",
            version.api_version()
        ));
    }
    let patch = match response["patch"].as_str() {
        None | Some("") => Vec::new(),
        Some(encoded) => match base64::engine::general_purpose::STANDARD.decode(encoded) {
            Ok(patch) => patch,
            Err(error) => {
                return Err(format!("failed to call webhook: illegal base64 data in response.patch: {error}"));
            }
        },
    };
    let patch_type = response["patchType"].as_str();
    if mutating {
        check_patch(version, &patch, patch_type).map_err(|why| told_invalid(&why))?;
    } else if !patch.is_empty() && version == ReviewVersion::V1 {
        return invalid("validating webhook may not return response.patch".to_owned());
    } else if patch_type.is_some() && version == ReviewVersion::V1 {
        return invalid("validating webhook may not return response.patchType".to_owned());
    }
    let warnings = response["warnings"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let annotations = response["auditAnnotations"].as_object().into_iter().flatten().take(CAUSES_MAX);
    let note = |value: &Value| {
        let text = value.as_str()?;
        Some(text[..text.floor_char_boundary(NOTE_BYTES_MAX)].to_owned())
    };
    Ok(Verdict {
        refused: (response["allowed"] != true).then(|| refusal(hook, &response["status"])),
        patch,
        warnings: warnings.take(CAUSES_MAX).map(str::to_owned).collect(),
        annotations: annotations.filter_map(|(key, value)| Some((format!("{hook}/{key}"), note(value)?))).collect(),
    })
}

/// Whether an answer to the question `u` is taken, and the patch in it.
#[cfg(feature = "fuzzing")]
pub(crate) fn read_answer(old: bool, mutating: bool, body: &[u8]) -> Result<(bool, Vec<u8>), String> {
    let version = if old { ReviewVersion::V1beta1 } else { ReviewVersion::V1 };
    verdict("h.example.com", version, "u", mutating, body).map(|verdict| (verdict.refused.is_none(), verdict.patch))
}

fn told_invalid(why: &str) -> String {
    format!("received invalid webhook response: {why}")
}

fn check_patch(version: ReviewVersion, patch: &[u8], patch_type: Option<&str>) -> Result<(), String> {
    if version == ReviewVersion::V1beta1 {
        return Ok(());
    }
    match (patch.is_empty(), patch_type) {
        (true, None) | (false, Some("JSONPatch")) => Ok(()),
        (false, None) => Err("webhook returned response.patch but not response.patchType".to_owned()),
        (_, Some("")) => Err("webhook returned invalid response.patchType of \"\"".to_owned()),
        (true, Some(_)) => Err("webhook returned response.patchType but not response.patch".to_owned()),
        (false, Some(other)) => Err(format!("unsupported patch type {other:?}")),
    }
}

/// The error that a client gets.
fn refusal(hook: &str, status: &Value) -> ApiError {
    let text = |field: &str| status[field].as_str().unwrap_or_default();
    let denied = format!("admission webhook {hook:?} denied the request");
    let message = match (text("message"), text("reason")) {
        ("", "") => format!("{denied} without explanation"),
        ("", reason) => format!("{denied}: {reason}"),
        (message, _) => format!("{denied}: {message}"),
    };
    let code =
        status["code"].as_u64().and_then(|code| u16::try_from(code).ok()).filter(|code| (400..600).contains(code));
    ApiError::refused(code.unwrap_or(400), text("reason"), message, details(&status["details"]))
}

fn details(given: &Value) -> Option<Details> {
    let object = given.as_object()?;
    let text = |value: &Value, field: &str| value[field].as_str().unwrap_or_default().to_owned();
    let causes = object.get("causes").and_then(Value::as_array).into_iter().flatten().take(CAUSES_MAX);
    Some(Details {
        name: text(given, "name"),
        group: text(given, "group"),
        kind: text(given, "kind"),
        uid: text(given, "uid"),
        causes: causes
            .map(|cause| Cause {
                reason: text(cause, "reason").into(),
                message: text(cause, "message"),
                field: text(cause, "field"),
            })
            .collect(),
        retry_after_seconds: object
            .get("retryAfterSeconds")
            .and_then(Value::as_u64)
            .and_then(|s| u32::try_from(s).ok()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(mutating: bool, response: Value) -> Result<Verdict, String> {
        let review = json!({"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "response": response});
        verdict("h.example.com", ReviewVersion::V1, "u", mutating, review.to_string().as_bytes())
    }

    #[test]
    fn a_refusal_carries_the_webhooks_code_and_words() {
        let error = |status: Value| {
            read(false, json!({"uid": "u", "allowed": false, "status": status})).unwrap().refused.unwrap()
        };
        let told = error(json!({"code": 418, "message": "nope", "reason": "Teapot"}));
        assert_eq!((told.code(), told.reason()), (418, "Teapot"));
        assert_eq!(told.message(), r#"admission webhook "h.example.com" denied the request: nope"#);
        let silent = error(Value::Null);
        assert_eq!(silent.code(), 400);
        assert_eq!(silent.message(), r#"admission webhook "h.example.com" denied the request without explanation"#);
        assert_eq!(
            error(json!({"code": 200, "reason": "Why"})).message(),
            r#"admission webhook "h.example.com" denied the request: Why"#
        );
    }

    #[test]
    fn an_answer_to_another_question_is_none() {
        let why = read(false, json!({"uid": "x", "allowed": true})).unwrap_err();
        assert_eq!(why, r#"received invalid webhook response: expected response.uid="u", got "x""#);
        let why = read(true, json!({"uid": "u", "allowed": true, "patch": "W10="})).unwrap_err();
        assert_eq!(
            why,
            "received invalid webhook response: webhook returned response.patch but not response.patchType"
        );
        let why = read(false, json!({"uid": "u", "allowed": true, "patchType": "JSONPatch"})).unwrap_err();
        assert_eq!(why, "received invalid webhook response: validating webhook may not return response.patchType");
        let other =
            json!({"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1beta1", "response": {"uid": "u"}});
        let why = verdict("h", ReviewVersion::V1, "u", false, other.to_string().as_bytes()).unwrap_err();
        assert_eq!(
            why,
            "received invalid webhook response: expected webhook response of admission.k8s.io/v1, Kind=AdmissionReview, got admission.k8s.io/v1beta1, Kind=AdmissionReview"
        );
        assert!(verdict("h", ReviewVersion::V1, "u", false, b"hello").unwrap_err().contains("json parse error"));
    }

    #[test]
    fn an_old_webhook_may_leave_out_what_it_answers_with() {
        let body = json!({"response": {"allowed": true, "patch": "W10="}}).to_string();
        let verdict = verdict("h", ReviewVersion::V1beta1, "u", true, body.as_bytes()).unwrap();
        assert_eq!((verdict.refused.is_none(), verdict.patch.as_slice()), (true, b"[]".as_slice()));
    }
}
