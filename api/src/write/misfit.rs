//! All that is wrong with an applied configuration which could not be merged.
//!
//! The typed merge of server-side apply ends at the first value whose type is wrong, and would tell nothing else.
//! Then the schema is asked about the object as the client wants it, so that a manifest is mended in one go.

use berth_schema::patch::merge_patch;
use berth_schema::{CauseReason, FieldError};
use serde_json::Value;

use super::update::Part;
use super::{Write, meta};

/// Every breach of the schema and of the kind's own rules; empty when the merge failed for another reason.
pub(super) fn all(w: &Write<'_>, live: Option<&Value>, applied: &Value, part: Part) -> Vec<FieldError> {
    let resource = w.resource;
    let mut wanted = match live {
        Some(live) => merge_patch(live, applied).unwrap_or_else(|_| applied.clone()),
        None => applied.clone(),
    };
    if part == Part::Main
        && resource.has_status
        && let Some(root) = wanted.as_object_mut()
    {
        root.remove("status");
    }
    if live.is_none() {
        meta::prepare_create(&mut wanted, resource, w.now);
        (resource.strategy.prepare_create)(&mut wanted);
    }
    resource.structural().default(&mut wanted);
    let mut errors = Vec::new();
    if part == Part::Main {
        meta::validate(&wanted, live, resource, &mut errors, &mut Vec::new());
    }
    errors.extend(resource.structural().validate(&wanted, live));
    if part == Part::Main {
        (resource.strategy.validate)(&wanted, live, &mut errors);
    }
    if live.is_some() {
        // Apply merges the items of keyed lists, the merge above replaces them: what an item lacks may be stored.
        errors.retain(|error| error.reason != CauseReason::Required || !error.field.contains('['));
    }
    errors
}
