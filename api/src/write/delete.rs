//! DELETE: marks an object that something still holds, removes one that nothing does.

use std::sync::Arc;

use berth_store::{OpResponse, Txn};
use serde_json::{Value, json};

use super::encode::Encoded;
use super::{Current, Write, Written, meta, store_error};
use crate::admission::{self, Operation};
use crate::request::{DeleteOptions, Preconditions, Propagation};
use crate::status::{self, ApiError};

const FINALIZER_FOREGROUND: &str = "foregroundDeletion";
const FINALIZER_ORPHAN: &str = "orphan";

/// Deletes one object.
pub(crate) async fn delete(w: &mut Write<'_>, options: &DeleteOptions) -> Result<Written, ApiError> {
    let name = w.name().to_owned();
    if let Some(why) = (w.resource.strategy.forbids_delete)(&name) {
        return Err(ApiError::forbidden(w.resource.named(), &name, why));
    }
    let Some(mut current) = w.read(&name).await? else {
        return Err(ApiError::not_found(w.resource.named(), &name));
    };
    let key: Arc<str> = w.resource.key(w.namespace(), &name).into();
    for _ in 0..super::ATTEMPTS_MAX {
        check_preconditions(w, &options.preconditions, &current)?;
        admission::validate(w, Operation::Delete, None, Some(&current)).await?;
        let marked = mark(w, options, &current.object);
        let is_held = !meta::finalizers(&marked).is_empty() || (w.resource.strategy.is_held)(&marked);
        if is_held {
            if marked == current.object {
                return Ok(w.answer(200, &Encoded::new(&marked), current.revision));
            }
            let (encoded, stored) = w.encode(marked).await?;
            if w.options.dry_run {
                return Ok(w.answer(200, &encoded, current.revision));
            }
            let txn = w.put(&key, stored, current.revision).await?;
            let done = w.server.store.txn(txn).await.map_err(store_error)?;
            if done.succeeded {
                if w.resource.group.is_empty() && w.resource.plural == "namespaces" {
                    // No create after the answer may believe an older state.
                    w.server.ending_namespaces.write().insert(name);
                }
                return Ok(w.answer(200, &encoded, done.revision));
            }
            current = live(w, &name, &done.responses).await?;
            continue;
        }
        if !w.options.dry_run {
            let done =
                w.server.store.txn(Txn::delete(Arc::clone(&key), current.revision)).await.map_err(store_error)?;
            if !done.succeeded {
                current = live(w, &name, &done.responses).await?;
                continue;
            }
        }
        if w.resource.rules.returns_deleted {
            let revision = current.revision;
            return Ok(w.answer(200, &Encoded::new(&current.object), revision));
        }
        let uid = meta::text(&current.object, "uid");
        let body = status::deleted(w.resource.named(), &name, uid).into();
        return Ok(Written { code: 200, body, is_object: false, kept: None });
    }
    Err(ApiError::stale(w.resource.named(), &name))
}

async fn live(w: &Write<'_>, name: &str, responses: &[OpResponse]) -> Result<Current, ApiError> {
    match responses.first().and_then(OpResponse::kv) {
        Some(kv) => w.current(kv).await,
        None => Err(ApiError::not_found(w.resource.named(), name)),
    }
}

fn check_preconditions(w: &Write<'_>, wanted: &Preconditions, current: &Current) -> Result<(), ApiError> {
    let name = w.name();
    let uid = meta::text(&current.object, "uid");
    if let Some(given) = wanted.uid.as_deref().filter(|given| *given != uid) {
        let why = format!(
            "the UID in the precondition ({given}) does not match the UID in record ({uid}). The object might have been deleted and then recreated"
        );
        return Err(ApiError::conflict(w.resource.named(), name, &why));
    }
    let revision = current.revision.to_string();
    if let Some(given) = wanted.revision.as_deref().filter(|given| *given != revision) {
        let why = format!(
            "the ResourceVersion in the precondition ({given}) does not match the ResourceVersion in record ({revision}). The object might have been modified"
        );
        return Err(ApiError::conflict(w.resource.named(), name, &why));
    }
    Ok(())
}

/// The object with its deletion noted: when, how much time it has, and what becomes of its dependents.
fn mark(w: &Write<'_>, options: &DeleteOptions, object: &Value) -> Value {
    let mut marked = object.clone();
    let grace = options
        .grace_seconds
        .map(|seconds| seconds.max(0))
        .or_else(|| (w.resource.strategy.grace_seconds)(object))
        .filter(|_| (w.resource.strategy.grace_seconds)(object).is_some())
        .unwrap_or(0);
    let first = !meta::is_terminating(object);
    let generation = object["metadata"]["generation"].as_i64();
    let meta = meta::of(&mut marked);
    if let Some(policy) = options.propagation {
        let wanted = match policy {
            Propagation::Background => None,
            Propagation::Foreground => Some(FINALIZER_FOREGROUND),
            Propagation::Orphan => Some(FINALIZER_ORPHAN),
        };
        let mut finalizers: Vec<Value> = meta.get("finalizers").and_then(Value::as_array).cloned().unwrap_or_default();
        finalizers.retain(|f| f != FINALIZER_FOREGROUND && f != FINALIZER_ORPHAN || wanted.is_some_and(|w| f == w));
        if let Some(wanted) = wanted.filter(|wanted| !finalizers.iter().any(|f| f == wanted)) {
            finalizers.push(json!(wanted));
        }
        if finalizers.is_empty() {
            meta.remove("finalizers");
        } else {
            meta.insert("finalizers".into(), Value::Array(finalizers));
        }
    }
    let left = meta.get("deletionGracePeriodSeconds").and_then(Value::as_i64);
    if first {
        meta.insert("deletionTimestamp".into(), meta::timestamp(w.now).into());
        meta.insert("deletionGracePeriodSeconds".into(), grace.into());
        if let Some(generation) = generation {
            meta.insert("generation".into(), (generation + 1).into());
        }
        (w.resource.strategy.mark_deleted)(&mut marked);
    } else if options.grace_seconds.is_some() && left.is_some_and(|left| grace < left) {
        // A second, more impatient delete shortens the time that is left.
        meta.insert("deletionGracePeriodSeconds".into(), grace.into());
    }
    marked
}
