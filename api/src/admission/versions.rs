//! The objects of a write in the version that a rule speaks.

use serde_json::Value;

use super::attributes::Attributes;
use super::hooks::Objects;
use super::matching::Matched;
use crate::status::ApiError;
use crate::version::{Stored, to_request};
use crate::write::{Write, meta};

/// The objects of a write as a rule is shown them: in its version, with their revision; null where there is none.
#[derive(Clone, Debug)]
pub(crate) struct Shown {
    pub object: Value,
    pub old: Value,
}

impl Shown {
    /// Converts where the rule speaks another version than the request.
    ///
    /// # Errors
    /// When the definition's conversion webhook fails.
    pub(crate) async fn of(
        w: &Write<'_>,
        a: &Attributes,
        matched: &Matched,
        objects: Objects<'_>,
    ) -> Result<Self, ApiError> {
        Ok(Self { object: show(w, a, matched, objects.object).await?, old: show(w, a, matched, objects.old).await? })
    }
}

/// Whether a rule speaks another version than the request. A Scale has one only.
pub(crate) fn is_other(w: &Write<'_>, a: &Attributes, matched: &Matched) -> bool {
    matched.version != w.resource.version && a.subresource != "scale"
}

/// One object.
pub(crate) async fn show(
    w: &Write<'_>,
    a: &Attributes,
    matched: &Matched,
    object: Option<&Value>,
) -> Result<Value, ApiError> {
    let Some(object) = object else { return Ok(Value::Null) };
    let mut object = object.clone();
    if is_other(w, a, matched) {
        object = convert(w, object, &w.resource.version, &matched.version).await?;
    }
    a.add_revision(&mut object);
    Ok(object)
}

/// An object that a rule has made, in the version of the request again.
///
/// # Errors
/// When the definition's conversion webhook fails.
pub(crate) async fn take_back(
    w: &Write<'_>,
    a: &Attributes,
    matched: &Matched,
    object: Value,
) -> Result<Value, ApiError> {
    if !is_other(w, a, matched) {
        return Ok(object);
    }
    convert(w, object, &matched.version, &w.resource.version).await
}

async fn convert(w: &Write<'_>, mut object: Value, from: &str, to: &str) -> Result<Value, ApiError> {
    let rows = w.server.registry.snapshot();
    let row = |version: &str| rows.find(&w.resource.group, version, &w.resource.plural);
    let (Some(from), Some(to)) = (row(from), row(to)) else { return Ok(object) };
    if to.life.conversion.is_none() {
        from.to_stored_version(&mut object);
        to.to_request_version(&mut object);
        return Ok(object);
    }
    // The webhook turns any version into any other; its answer is fitted to the schema.
    let managed = meta::of(&mut object).remove("managedFields");
    let converted = to_request(w.server, to, vec![Stored { object, revision: u64::MAX }]).await?;
    let mut object = converted.into_iter().next().ok_or_else(|| ApiError::internal("a conversion lost its object"))?;
    if let Some(managed) = managed {
        meta::of(&mut object).insert("managedFields".into(), managed);
    }
    Ok(object)
}
