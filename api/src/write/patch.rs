//! PATCH: JSON patch, merge patch, strategic merge patch and server-side apply.

use std::sync::Arc;

use berth_schema::FieldError;
use berth_schema::managed::{ApplyError, ApplyInput, ResetFields, apply};
use berth_schema::patch::{PatchError, json_patch, merge_patch, strategic_merge_patch};
use serde_json::Value;

use super::decode::{Decoded, Format, decode};
use super::update::{Booking, Part, check_revision};
use super::{Current, Step, Wanted, Write, Written, create, meta, misfit, settled};
use crate::registry::strategy::config;
use crate::request::FieldValidation;
use crate::status::{ApiError, Cause};

/// The kinds of patch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PatchKind {
    Json,
    Merge,
    Strategic,
    Apply,
}

impl PatchKind {
    /// The kind of a Content-Type; strategic only where the resource takes it.
    pub(crate) fn of(content_type: Option<&str>, strategic: bool) -> Result<Self, ApiError> {
        let media = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
        Ok(match media {
            "application/json-patch+json" => Self::Json,
            "application/merge-patch+json" => Self::Merge,
            "application/strategic-merge-patch+json" if strategic => Self::Strategic,
            "application/apply-patch+yaml" | "application/apply-patch+json" => Self::Apply,
            _ => {
                let strategic = if strategic { ", application/strategic-merge-patch+json" } else { "" };
                return Err(ApiError::unsupported_media(&format!(
                    "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml{strategic}"
                )));
            }
        })
    }
}

/// Changes an object (or a part of it) by a patch.
pub(crate) async fn patch(w: &mut Write<'_>, kind: PatchKind, body: &[u8], part: Part) -> Result<Written, ApiError> {
    if kind == PatchKind::Apply {
        return apply_patch(w, body, part).await;
    }
    if w.options.force {
        let message = "Forbidden: may not be specified for non-apply patch".to_owned();
        return Err(ApiError::invalid_option("PatchOptions", "force", "FieldValueForbidden", message));
    }
    let Decoded { value: patch, duplicates } = decode(body, Format::Json).map_err(|error| {
        let detail = error.message().rsplit("json parse error: ").next().unwrap_or_default().to_owned();
        ApiError::bad_request(format!("error decoding patch: {detail}"))
    })?;
    if kind == PatchKind::Json && !patch.is_array() || kind != PatchKind::Json && !patch.is_object() {
        let want = if kind == PatchKind::Json { "jsonpatch.Patch" } else { "map[string]interface {}" };
        let found = match &patch {
            Value::Array(_) => "array",
            Value::Object(_) => "object",
            Value::String(_) => "string",
            Value::Number(_) => "number",
            Value::Bool(_) => "bool",
            Value::Null => "null",
        };
        let message = format!("error decoding patch: json: cannot unmarshal {found} into Go value of type {want}");
        return Err(ApiError::bad_request(message));
    }
    let is_secret = w.resource.group.is_empty() && w.resource.plural == "secrets";
    if is_secret && kind == PatchKind::Json && config::carries_secret(&patch) {
        return Err(ApiError::unprocessable("the values of a Secret cannot be moved or copied to its other fields"));
    }
    let problems = duplicates.iter().map(|path| format!("duplicate field \"{path}\"")).collect();
    w.report_fields(problems, |w, problems| w.strict_error(&problems))?;
    let name = w.name().to_owned();
    let Some(current) = w.read(&name).await? else {
        return Err(ApiError::not_found(w.resource.named(), &name));
    };
    w.change(current, |w, current| {
        let document = with_revision(current);
        let patched = apply_to(w, kind, &document, &patch)?;
        let patched = check_patched(w, patched, current)?;
        Ok(Step::Complete(Wanted { object: patched, part, booking: Booking::Track }))
    })
    .await
}

/// The document that patches see: what a GET returns.
fn with_revision(current: &Current) -> Value {
    let mut document = current.object.clone();
    meta::of(&mut document).insert("resourceVersion".into(), current.revision.to_string().into());
    document
}

fn apply_to(w: &Write<'_>, kind: PatchKind, document: &Value, patch: &Value) -> Result<Value, ApiError> {
    let result = match kind {
        PatchKind::Json => json_patch(document, patch),
        PatchKind::Merge => merge_patch(document, patch),
        PatchKind::Strategic => {
            let lists =
                w.resource.strategic().ok_or_else(|| ApiError::unsupported_media("application/merge-patch+json"))?;
            strategic_merge_patch(document, patch, lists)
        }
        PatchKind::Apply => Ok(document.clone()),
    };
    result.map_err(patch_error)
}

pub(super) fn patch_error(error: PatchError) -> ApiError {
    match &error {
        PatchError::Malformed(_) => ApiError::bad_request(error.to_string()),
        PatchError::TooManyOperations { .. } => ApiError::too_large_because(error.to_string()),
        PatchError::Rejected(why) => ApiError::unprocessable(why),
    }
}

/// What a patch may not do to an object's identity, and the optimistic lock that it may carry.
fn check_patched(w: &Write<'_>, mut patched: Value, current: &Current) -> Result<Value, ApiError> {
    if !patched.is_object() {
        return Err(ApiError::unprocessable("the patched document is not an object"));
    }
    w.check_kind(&mut patched)?;
    let old = &current.object;
    for field in ["name", "namespace"] {
        let (was, is) = (meta::text(old, field), meta::text(&patched, field));
        if was != is && !(field == "namespace" && is.is_empty()) {
            return Err(ApiError::bad_request(format!(
                "the {field} of the object ({is}) does not match the {field} on the URL ({was})"
            )));
        }
    }
    let uid = meta::text(&patched, "uid");
    if !uid.is_empty() && uid != meta::text(old, "uid") {
        let error = FieldError::invalid("metadata.uid", &uid.into(), "field is immutable");
        return Err(w.invalid(w.name(), vec![error]));
    }
    if meta::text(&patched, "resourceVersion").is_empty() && !w.resource.rules.unconditional_update {
        let error = FieldError::invalid("metadata.resourceVersion", &Value::from(0), "must be specified for an update");
        return Err(w.invalid(w.name(), vec![error]));
    }
    check_revision(w, &patched, current)?;
    Ok(patched)
}

/// Server-side apply: merges the fields that the manager wants, and takes away those it no longer wants.
async fn apply_patch(w: &mut Write<'_>, body: &[u8], part: Part) -> Result<Written, ApiError> {
    if !w.options.field_manager_given {
        let message = "Required value: is required for apply patch".to_owned();
        return Err(ApiError::invalid_option("PatchOptions", "fieldManager", "FieldValueRequired", message));
    }
    let print = settled::print(w, body, part);
    if let Some(print) = &print
        && let Some(written) = settled::answer(w, print).await?
    {
        return Ok(written);
    }
    let written = merge_and_write(w, body, part).await?;
    if let Some(print) = print {
        settled::remember(w, print, &written);
    }
    Ok(written)
}

async fn merge_and_write(w: &mut Write<'_>, body: &[u8], part: Part) -> Result<Written, ApiError> {
    let Decoded { value: mut applied, duplicates } = decode(body, Format::Yaml)?;
    check_applied(w, &mut applied)?;
    let managed = applied["metadata"].get("managedFields").is_some_and(|m| !m.is_null());
    let unknown = w.resource.structural().prune(&mut applied);
    if managed {
        return Err(ApiError::bad_request("metadata.managedFields must be nil"));
    }
    // An apply owns what it says, and nobody can own what is not there: unknown fields are errors, as upstream. Who asks
    // for warnings gets them, which upstream does not offer.
    let lenient = w.options.field_validation_given && w.options.field_validation != FieldValidation::Strict;
    if !lenient && !unknown.is_empty() {
        let lines: Vec<String> =
            unknown.iter().map(|field| format!(".{}: field not declared in schema ({field})", field.path)).collect();
        return Err(typed_patch_error(w, &lines.join(", ")));
    }
    let problems = w.field_problems(&duplicates, unknown);
    w.report_fields(problems, |w, problems| w.strict_error(&problems))?;

    let name = w.name().to_owned();
    let given_uid = meta::text(&applied, "uid").to_owned();
    let Some(current) = w.read(&name).await? else {
        if part != Part::Main {
            return Err(ApiError::not_found(w.resource.named(), &name));
        }
        if !given_uid.is_empty() {
            return Err(ApiError::plain_conflict(format!(
                "uid mismatch: the provided object specified uid {given_uid}, and no existing object was found"
            )));
        }
        let value = merged(w, None, &applied, part)?;
        let body = Decoded { value, duplicates: Vec::new() };
        return create::create(w, body, Some(&name), true).await;
    };
    w.change(current, |w, current| {
        if !given_uid.is_empty() && given_uid != meta::text(&current.object, "uid") {
            return Err(ApiError::plain_conflict(format!(
                "uid mismatch: the provided object specified uid {given_uid}, and the existing object has another"
            )));
        }
        let object = merged(w, Some(&current.object), &applied, part)?;
        check_revision(w, &applied, current)?;
        Ok(Step::Complete(Wanted { object, part, booking: Booking::Done }))
    })
    .await
}

/// The applied body must be of the endpoint's kind; its name and namespace are the URL's.
fn check_applied(w: &Write<'_>, applied: &mut Value) -> Result<(), ApiError> {
    let (version, kind) = (w.resource.api_version(), &w.resource.kind);
    let matches = applied["apiVersion"] == version.as_str() && applied["kind"] == kind.as_str();
    if !applied.is_object() || !matches {
        let given = |field: &str| applied.get(field).and_then(Value::as_str).unwrap_or_default();
        return Err(ApiError::bad_request(format!(
            "invalid object type: {}, Kind={}: this endpoint takes {version}, Kind={kind}",
            given("apiVersion"),
            given("kind")
        )));
    }
    w.check_kind(applied)?;
    let name = w.name();
    w.check_namespace(applied)?;
    meta::of(applied).insert("name".into(), name.into());
    Ok(())
}

fn typed_patch_error(w: &Write<'_>, why: &str) -> ApiError {
    ApiError::bad_request(format!(
        "failed to create typed patch object ({}/{}; {}, Kind={}): {why}",
        w.namespace().unwrap_or_default(),
        w.name(),
        w.resource.api_version(),
        w.resource.kind
    ))
}

fn merged(w: &Write<'_>, live: Option<&Value>, applied: &Value, part: Part) -> Result<Value, ApiError> {
    let resource = Arc::clone(w.resource);
    let api_version = resource.api_version();
    let reset = match part {
        Part::Status | Part::Approval => ResetFields::AllButStatus,
        Part::Main if resource.has_status => ResetFields::Status,
        Part::Main | Part::Finalize => ResetFields::None,
    };
    let input = ApplyInput {
        schema: resource.structural(),
        live,
        applied,
        manager: &w.options.field_manager,
        subresource: part.subresource(),
        api_version: &api_version,
        force: w.options.force,
        now: w.now,
        reset,
    };
    apply(&input).map_err(|error| match error {
        ApplyError::Conflict { message, conflicts } => ApiError::apply_conflict(
            message,
            conflicts
                .into_iter()
                .map(|c| Cause { reason: "FieldManagerConflict".into(), message: c.message, field: c.field })
                .collect(),
        ),
        ApplyError::Schema(why) => match misfit::all(w, live, applied, part) {
            misfits if !misfits.is_empty() => w.invalid(w.name(), misfits),
            _ if why.starts_with("failed to create typed patch object") => ApiError::bad_request(why),
            _ => typed_patch_error(w, &why),
        },
        ApplyError::ManagedFieldsSet => ApiError::bad_request("metadata.managedFields must be nil"),
    })
}
