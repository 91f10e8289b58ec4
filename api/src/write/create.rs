//! POST: a new object, with a given or a generated name.

use std::sync::Arc;

use berth_schema::managed::track_update;
use serde_json::Value;

use super::decode::Decoded;
use super::{Write, Written, meta, store_error};
use crate::admission::{self, Operation};
use crate::registry::crd;
use crate::status::ApiError;

/// How often a generated name is tried before "already exists" is the answer.
const GENERATED_NAMES_MAX: usize = 8;

/// Creates an object. `named` is the name from the URL when a PUT or an apply creates.
pub(crate) async fn create(
    w: &mut Write<'_>,
    body: Decoded,
    named: Option<&str>,
    tracked: bool,
) -> Result<Written, ApiError> {
    let Decoded { value: mut object, duplicates } = body;
    w.check_kind(&mut object)?;
    w.check_namespace(&mut object)?;
    if let Some(name) = named {
        meta::of(&mut object).insert("name".into(), name.into());
    } else if !meta::text(&object, "resourceVersion").is_empty() {
        return Err(ApiError::bad_request("resourceVersion should not be set on objects to be created"));
    }
    let prefix = meta::text(&object, "generateName").to_owned();
    let generated = meta::text(&object, "name").is_empty() && !prefix.is_empty();
    if generated {
        meta::of(&mut object).insert("name".into(), meta::generate_name(&prefix).into());
    }
    let name = meta::text(&object, "name").to_owned();
    w.trail.names(&name);
    crate::authz::may_create(w, &name, &object)?;
    admission::may_create(w, &name).await?;

    let managed = object["metadata"].get("managedFields").cloned();
    prepare(w, &mut object, duplicates)?;
    if admission::mutate(w, Operation::Create, &mut object, None).await? {
        fit(w, &mut object)?;
    }
    check(w, &object)?;
    crate::authz::may_grant(w, &name, &object)?;
    crate::authn::signing::may_create(w, &name, &object)?;
    if let Some(managed) = managed.filter(|_| tracked) {
        meta::of(&mut object).insert("managedFields".into(), managed);
    }

    let attempts = if generated { GENERATED_NAMES_MAX } else { 1 };
    for attempt in 1..=attempts {
        // The last attempt, which is usually the only one, needs no copy.
        let mut attempted = if attempt == attempts { std::mem::take(&mut object) } else { object.clone() };
        if !tracked {
            let resource = Arc::clone(w.resource);
            let api_version = resource.api_version();
            track_update(
                resource.structural(),
                None,
                &mut attempted,
                &w.options.field_manager,
                &api_version,
                "",
                w.now,
            );
        }
        admission::validate(w, Operation::Create, Some(&attempted), None).await?;
        let name = meta::text(&attempted, "name").to_owned();
        let key: Arc<str> = w.resource.key(w.namespace(), &name).into();
        let (encoded, stored) = w.encode(attempted).await?;
        if w.options.dry_run {
            let taken = w.read(&name).await?;
            if let Some(existing) = taken {
                let terminating = meta::is_terminating(&existing.object);
                return Err(ApiError::already_exists(w.resource.named(), &name, terminating));
            }
            return Ok(w.answer(201, &encoded, 0));
        }
        let txn = w.put(&key, stored, 0).await?;
        let done = w.server.store.txn(txn).await.map_err(store_error)?;
        if done.succeeded {
            return Ok(w.answer(201, &encoded, done.revision));
        }
        admission::not_created(w, &encoded.stored()).await;
        if attempt == attempts {
            let existing = done.responses.first().and_then(|r| r.kv().cloned());
            let terminating = existing
                .and_then(|kv| serde_json::from_slice::<Value>(&kv.value).ok())
                .is_some_and(|object| meta::is_terminating(&object));
            return Err(ApiError::already_exists(w.resource.named(), &name, terminating));
        }
        meta::of(&mut object).insert("name".into(), meta::generate_name(&prefix).into());
    }
    unreachable!("the last attempt returns")
}

/// From a body to an object: prune, report, complete the metadata, default.
fn prepare(w: &mut Write<'_>, object: &mut Value, duplicates: Vec<String>) -> Result<(), ApiError> {
    let resource = Arc::clone(w.resource);
    if resource.has_status
        && let Some(root) = object.as_object_mut()
    {
        root.remove("status");
    }
    meta::of(object).remove("managedFields");
    let problems = w.field_problems(&duplicates, resource.structural().prune(object));
    w.report_fields(problems, |w, problems| w.strict_error(&problems))?;
    w.check_types(object)?;
    complete(w, object)
}

/// Fits an object to its schema again after a rule has changed it. What is the server's to say (the status, when and by
/// whom it was made) is said again: a rule speaks for its author, not for the server.
fn fit(w: &Write<'_>, object: &mut Value) -> Result<(), ApiError> {
    meta::of(object).remove("managedFields");
    w.resource.structural().prune(object);
    complete(w, object)
}

/// Adds what the server says of a new object, and what the schema says where nobody does.
fn complete(w: &Write<'_>, object: &mut Value) -> Result<(), ApiError> {
    if w.resource.has_status
        && let Some(root) = object.as_object_mut()
    {
        root.remove("status");
    }
    meta::prepare_create(object, w.resource, w.now);
    (w.resource.strategy.prepare_create)(object);
    (w.resource.strategy.stamp)(object, w.user);
    default(w, object)
}

fn default(w: &Write<'_>, object: &mut Value) -> Result<(), ApiError> {
    if w.resource.structural().default(object) {
        return Ok(());
    }
    Err(ApiError::too_large_because(super::DEFAULTS_TOO_LARGE))
}

/// Finds everything that is wrong at once.
fn check(w: &mut Write<'_>, object: &Value) -> Result<(), ApiError> {
    let resource = Arc::clone(w.resource);
    let mut errors = Vec::new();
    meta::validate(object, None, &resource, &mut errors, &mut w.warnings);
    errors.extend(resource.structural().validate(object, None));
    (resource.strategy.validate)(object, None, &mut errors);
    crd::judge(&resource, object, None, &mut errors, &mut w.warnings);
    if !errors.is_empty() {
        return Err(w.invalid(meta::text(object, "name"), errors));
    }
    (resource.strategy.warnings)(object, &mut w.warnings);
    Ok(())
}
