//! The scale subresource: a kind's replicas as `autoscaling/v1` Scale, by the paths that its definition names.

use berth_schema::FieldError;
use berth_schema::patch::{json_patch, merge_patch};
use bytes::Bytes;
use serde_json::{Value, json};

use super::decode::{Decoded, Format, decode};
use super::patch::{PatchKind, patch_error};
use super::update::{Booking, Part, check_revision};
use super::{Step, Wanted, Write, Written, meta};
use crate::registry::ScalePaths;
use crate::status::ApiError;

/// The Scale of an object.
pub(crate) fn of(object: &Value, revision: u64, paths: &ScalePaths) -> Value {
    let mut metadata = json!({"resourceVersion": revision.to_string()});
    for field in ["name", "namespace", "uid", "creationTimestamp"] {
        if let Some(value) = object["metadata"].get(field) {
            metadata[field] = value.clone();
        }
    }
    let number = |path: &str| object.pointer(path).and_then(Value::as_i64).unwrap_or(0);
    let mut status = json!({"replicas": number(&paths.status_replicas)});
    if let Some(selector) = paths.label_selector.as_deref().and_then(|path| object.pointer(path)) {
        status["selector"] = selector.clone();
    }
    json!({
        "kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": metadata,
        "spec": {"replicas": number(&paths.spec_replicas)}, "status": status,
    })
}

fn paths<'a>(w: &'a Write<'_>) -> Result<&'a ScalePaths, ApiError> {
    w.resource.scale.as_ref().ok_or_else(|| ApiError::not_found(w.resource.named(), w.name()))
}

/// GET.
pub(crate) async fn get(w: &Write<'_>) -> Result<Bytes, ApiError> {
    let paths = paths(w)?;
    let current = w.read(w.name()).await?.ok_or_else(|| ApiError::not_found(w.resource.named(), w.name()))?;
    Ok(of(&current.object, current.revision, paths).to_string().into())
}

/// What is written to a Scale.
pub(crate) enum Input<'a> {
    Whole(Decoded),
    Patch(PatchKind, &'a [u8]),
}

/// PUT and PATCH.
pub(crate) async fn write(w: &mut Write<'_>, input: Input<'_>) -> Result<Written, ApiError> {
    let scale_paths = paths(w)?.clone();
    let name = w.name().to_owned();
    let patch = match &input {
        Input::Whole(decoded) => decoded.value.clone(),
        Input::Patch(PatchKind::Json, bytes) => decode(bytes, Format::Json)?.value,
        Input::Patch(PatchKind::Merge | PatchKind::Strategic, bytes) => decode(bytes, Format::Json)?.value,
        Input::Patch(PatchKind::Apply, bytes) => decode(bytes, Format::Yaml)?.value,
    };
    let current = w.read(&name).await?.ok_or_else(|| ApiError::not_found(w.resource.named(), &name))?;
    let written = w
        .change(current, |w, current| {
            let before = of(&current.object, current.revision, &scale_paths);
            let wanted = match &input {
                Input::Whole(_) => patch.clone(),
                Input::Patch(PatchKind::Json, _) => json_patch(&before, &patch).map_err(patch_error)?,
                Input::Patch(_, _) => merge_patch(&before, &patch).map_err(patch_error)?,
            };
            check_revision(w, &wanted, current)?;
            let replicas = wanted["spec"]["replicas"].as_i64().unwrap_or(0);
            if replicas < 0 {
                let error = FieldError::invalid(
                    scale_paths.spec_replicas.replace('/', "."),
                    &json!(replicas),
                    "should be a non-negative integer",
                );
                return Err(w.invalid(w.name(), vec![error]));
            }
            let mut object = current.object.clone();
            set(&mut object, &scale_paths.spec_replicas, json!(replicas));
            Ok(Step::Complete(Wanted { object, part: Part::Main, booking: Booking::Track }))
        })
        .await?;
    let object: Value = serde_json::from_slice(&written.body).map_err(ApiError::internal)?;
    let revision = meta::text(&object, "resourceVersion").parse().unwrap_or_default();
    Ok(Written {
        code: 200,
        body: of(&object, revision, &scale_paths).to_string().into(),
        is_object: false,
        kept: None,
    })
}

/// Sets the value at a pointer, with the objects on the way.
pub(crate) fn set(object: &mut Value, pointer: &str, value: Value) {
    let mut at = object;
    for name in pointer.split('/').skip(1) {
        if !at.is_object() {
            *at = json!({});
        }
        at = &mut at[name];
    }
    *at = value;
}
