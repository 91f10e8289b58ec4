//! PUT, and what every change of an existing object goes through.

use std::sync::Arc;

use berth_schema::FieldError;
use berth_schema::managed::{same_but_times, track_update};
use serde_json::{Map, Value};

use super::decode::Decoded;
use super::{Current, Step, Wanted, Write, Written, create, meta};
use crate::admission::{self, Operation};
use crate::authn;
use crate::registry::{Resource, crd};
use crate::status::ApiError;

/// Which part of an object an endpoint writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Everything but what a status subresource owns.
    Main,
    Status,
    /// `spec.finalizers` of a namespace.
    Finalize,
    /// The conditions of a request for a certificate.
    Approval,
}

impl Part {
    pub(crate) fn subresource(self) -> &'static str {
        match self {
            Self::Main => "",
            Self::Status => "status",
            Self::Finalize => "finalize",
            Self::Approval => "approval",
        }
    }
}

/// Replaces an object, or its status.
pub(crate) async fn update(w: &mut Write<'_>, body: Decoded, part: Part) -> Result<Written, ApiError> {
    let Decoded { value: mut sent, duplicates } = body;
    w.check_kind(&mut sent)?;
    w.check_namespace(&mut sent)?;
    let name = w.name().to_owned();
    match meta::text(&sent, "name") {
        "" => {
            return Err(ApiError::bad_request("the name of the object is undeterminable: name must be provided"));
        }
        given if given != name => {
            return Err(ApiError::bad_request(format!(
                "the name of the object ({given}) does not match the name on the URL ({name})"
            )));
        }
        _ => {}
    }
    let Some(current) = w.read(&name).await? else {
        if part == Part::Main && w.resource.rules.create_on_update {
            meta::of(&mut sent).remove("resourceVersion");
            return create::create(w, Decoded { value: sent, duplicates }, Some(&name), false).await;
        }
        return Err(ApiError::not_found(w.resource.named(), &name));
    };
    let given_revision = meta::text(&sent, "resourceVersion").to_owned();
    if given_revision.is_empty() && part == Part::Main && !w.resource.rules.unconditional_update {
        let error = FieldError::invalid("metadata.resourceVersion", &Value::from(0), "must be specified for an update");
        return Err(w.invalid(&name, vec![error]));
    }
    let managed = meta::of(&mut sent).remove("managedFields");
    let unknown = w.resource.structural().prune(&mut sent);
    let problems = w.field_problems(&duplicates, unknown);
    if let Some(managed) = managed {
        meta::of(&mut sent).insert("managedFields".into(), managed);
    }
    w.report_fields(problems, |w, problems| w.strict_error(&problems))?;
    w.check_types(&sent)?;
    w.change(current, |w, current| {
        check_revision(w, &sent, current)?;
        let given_uid = meta::text(&sent, "uid");
        let uid = meta::text(&current.object, "uid");
        if !given_uid.is_empty() && given_uid != uid {
            let why = format!("Precondition failed: UID in precondition: {given_uid}, UID in object meta: {uid}");
            return Err(ApiError::conflict(w.resource.named(), w.name(), &why));
        }
        Ok(Step::Complete(Wanted { object: sent.clone(), part, booking: Booking::Track }))
    })
    .await
}

/// 409 unless the revision that a body carries (if any) is the stored one.
pub(crate) fn check_revision(w: &Write<'_>, sent: &Value, current: &Current) -> Result<(), ApiError> {
    let given = meta::text(sent, "resourceVersion");
    if given.is_empty() || given == "0" && w.resource.rules.unconditional_update {
        return Ok(());
    }
    match given.parse::<u64>() {
        Ok(revision) if revision == current.revision => Ok(()),
        Ok(_) => Err(ApiError::stale(w.resource.named(), w.name())),
        Err(_) => {
            let error = FieldError::invalid(
                "metadata.resourceVersion",
                &Value::from(given),
                "must be a number that the server gave",
            );
            Err(w.invalid(w.name(), vec![error]))
        }
    }
}

/// Who books the changed fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Booking {
    /// They are noted as an update of the manager.
    Track,
    /// Server-side apply has done it.
    Done,
}

/// From the object that a client wants to the one that is stored: carries over what is not the endpoint's,
/// prunes, defaults, admits, validates everything at once, counts the generation, books the fields.
pub(crate) async fn complete(w: &mut Write<'_>, current: &Current, wanted: Wanted) -> Result<Step, ApiError> {
    let Wanted { object: mut new, part, booking } = wanted;
    let old = &current.object;
    carry_over(w, &mut new, old, part);
    fit(w, &mut new, Unknown::Report)?;
    if admission::mutate(w, Operation::Update, &mut new, Some(current)).await? {
        // A rule may change what the endpoint owns, nothing else.
        carry_over(w, &mut new, old, part);
        fit(w, &mut new, Unknown::Drop)?;
    }
    let resource = Arc::clone(w.resource);
    let mut errors = Vec::new();
    if part == Part::Main {
        meta::validate(&new, Some(old), &resource, &mut errors, &mut w.warnings);
    }
    errors.extend(resource.structural().validate(&new, Some(old)));
    if part == Part::Main {
        (resource.strategy.validate)(&new, Some(old), &mut errors);
    }
    authn::signing::validate_part(w, part, &new, old, &mut errors);
    crd::judge(&resource, &new, Some(old), &mut errors, &mut w.warnings);
    if !errors.is_empty() {
        return Err(w.invalid(w.name(), errors));
    }
    crate::authz::may_update(w, old, &new)?;
    authn::signing::may_update(w, part, old, &new)?;
    let spec_changed = differs_beyond_status(&resource, old, &new);
    if resource.rules.generation && spec_changed {
        let generation = old["metadata"]["generation"].as_i64().unwrap_or(0) + 1;
        meta::of(&mut new).insert("generation".into(), generation.into());
    }
    if booking == Booking::Track {
        let api_version = resource.api_version();
        let manager = &w.options.field_manager;
        track_update(resource.structural(), Some(old), &mut new, manager, &api_version, part.subresource(), w.now);
    }
    if part == Part::Main && spec_changed {
        (resource.strategy.warnings)(&new, &mut w.warnings);
    }
    admission::validate(w, Operation::Update, Some(&new), Some(current)).await?;
    if meta::is_terminating(&new) && meta::finalizers(&new).is_empty() && !(resource.strategy.is_held)(&new) {
        return Ok(Step::Remove(new));
    }
    Ok(if same_but_times(old, &new) { Step::Keep } else { Step::Put(new) })
}

/// Puts back what this endpoint does not write.
fn carry_over(w: &Write<'_>, new: &mut Value, old: &Value, part: Part) {
    keep_managed_fields(new, old);
    crd::drop_lost_owners(w.resource, new);
    match part {
        Part::Status | Part::Approval => only_field(w.resource, new, old, "status"),
        Part::Finalize => only_field(w.resource, new, old, "spec"),
        Part::Main if w.resource.has_status => set_or_remove(new, "status", old.get("status").cloned()),
        Part::Main => {}
    }
    authn::signing::carry_over(w, new, old, part);
    meta::prepare_update(new, old);
    if part == Part::Main {
        (w.resource.strategy.prepare_update)(new, old);
    }
}

/// What becomes of fields that the schema does not know.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unknown {
    /// What a patch brought in is told to the client; a full body was pruned before.
    Report,
    /// They go silently: they are not the client's.
    Drop,
}

/// Fits an object to its schema: prunes and defaults it.
fn fit(w: &mut Write<'_>, new: &mut Value, unknown: Unknown) -> Result<(), ApiError> {
    let resource = Arc::clone(w.resource);
    let managed = meta::of(new).remove("managedFields");
    let problems = resource.structural().prune(new);
    if unknown == Unknown::Report {
        let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
        w.report_fields(problems, |w, problems| {
            let message = format!("Invalid value: \"the patched object\": strict decoding error: {problems}");
            let cause = crate::status::Cause {
                reason: "FieldValueInvalid".into(),
                message: format!("{message} ({})", w.resource.kind),
                field: "patch".into(),
            };
            ApiError::invalid("", "", "", vec![cause])
        })?;
    }
    if !resource.structural().default(new) {
        return Err(ApiError::too_large_because(super::DEFAULTS_TOO_LARGE));
    }
    if let Some(managed) = managed {
        meta::of(new).insert("managedFields".into(), managed);
    }
    Ok(())
}

/// No managedFields (or an empty list) in a body means "as they are".
fn keep_managed_fields(new: &mut Value, old: &Value) {
    let given = &new["metadata"]["managedFields"];
    if given.as_array().is_some_and(|fields| !fields.is_empty()) {
        return;
    }
    let kept = old["metadata"].get("managedFields").cloned();
    let meta = meta::of(new);
    match kept {
        Some(kept) => meta.insert("managedFields".into(), kept),
        None => meta.remove("managedFields"),
    };
}

/// The old object with these fields (and the booking of fields) of the new one.
fn only_field(resource: &Resource, new: &mut Value, old: &Value, field: &str) {
    let mut result = old.clone();
    set_or_remove(&mut result, field, new.get(field).cloned().filter(|v| !v.is_null()));
    let taken: &[&str] = match resource.rules.status_takes_metadata {
        true => &["managedFields", "labels", "annotations", "finalizers", "ownerReferences"],
        false => &["managedFields"],
    };
    for name in taken {
        match new["metadata"].get(*name).cloned() {
            Some(value) => drop(meta::of(&mut result).insert((*name).to_owned(), value)),
            None if *name == "managedFields" => {}
            None => drop(meta::of(&mut result).remove(*name)),
        }
    }
    *new = result;
}

fn set_or_remove(object: &mut Value, field: &str, value: Option<Value>) {
    let Some(root) = object.as_object_mut() else { return };
    match value {
        Some(value) => root.insert(field.into(), value),
        None => root.remove(field),
    };
}

/// Whether anything but the metadata and (where it is a subresource) the status changed.
fn differs_beyond_status(resource: &Resource, old: &Value, new: &Value) -> bool {
    let empty = Map::new();
    let (old, new) = (old.as_object().unwrap_or(&empty), new.as_object().unwrap_or(&empty));
    let is_beside =
        |field: &str| matches!(field, "apiVersion" | "kind" | "metadata") || resource.has_status && field == "status";
    let counts = |field: &str| !is_beside(field);
    old.iter().filter(|(f, _)| counts(f)).any(|(f, v)| new.get(f) != Some(v))
        || new.keys().filter(|f| counts(f)).any(|f| !old.contains_key(f.as_str()))
}
