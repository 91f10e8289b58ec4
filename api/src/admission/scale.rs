//! The scale subresource: rules are shown a Scale, and change its replicas.

use serde_json::Value;

use super::Rules;
use super::attributes::Attributes;
use crate::status::ApiError;
use crate::write::{Current, Write, scale};

/// The Scale of an object; `None` where its kind has none.
fn of(w: &Write<'_>, object: &Value, revision: u64) -> Option<Value> {
    w.resource.scale.as_ref().map(|paths| scale::of(object, revision, paths))
}

/// The Scales of what will be stored, and of what is.
pub(super) fn both(w: &Write<'_>, object: Option<&Value>, old: Option<&Current>) -> (Option<Value>, Option<Value>) {
    let revision = old.map_or(0, |old| old.revision);
    (object.and_then(|object| of(w, object, revision)), old.and_then(|old| of(w, &old.object, revision)))
}

/// Lets rules change the replicas. Returns whether they did.
///
/// # Errors
/// What a rule refuses.
pub(super) async fn mutate(
    w: &mut Write<'_>,
    a: &Attributes,
    rules: &Rules,
    object: &mut Value,
    old: Option<&Current>,
) -> Result<bool, ApiError> {
    let (Some(mut shown), before) = both(w, Some(object), old) else { return Ok(false) };
    if !Box::pin(super::change(w, a, rules, &mut shown, before.as_ref())).await? {
        return Ok(false);
    }
    if let Some(paths) = &w.resource.scale {
        scale::set(object, &paths.spec_replicas, shown["spec"]["replicas"].clone());
    }
    Ok(true)
}
