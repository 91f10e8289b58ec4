//! Admission: rules about a write that look at more than its object. They may change the object, or refuse it.
//!
//! The order is that of Kubernetes: what changes objects runs before the schema is checked, what only judges runs
//! after. Every write of every kind comes through here, whoever sends it.

mod attributes;
mod conditions;
mod hooks;
mod limits;
mod matching;
mod quota;
mod scale;
mod security;

use serde_json::Value;

use self::attributes::{Attributes, is_exempt};
use self::hooks::{Hooks, Objects, Reinvocation};
use crate::derived::Derived;
use crate::status::{ApiError, Named};
use crate::write::turns::Turns;
use crate::write::{Current, Write, meta, store_error};

const NAMESPACES: Named<'static> = Named { group: "", plural: "namespaces" };

/// What a write does, in the words of admission.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Operation {
    Create,
    Update,
    Delete,
    /// A stream to a running thing is opened: `exec`.
    Connect,
}

impl Operation {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Create => "CREATE",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
            Self::Connect => "CONNECT",
        }
    }
}

/// What admission keeps between writes.
#[derive(Debug)]
pub(crate) struct State {
    hooks: Derived<Hooks>,
    /// Of those who charge the quotas of one namespace. Not the turns of objects: who has one of those waits here.
    quota_turns: Turns,
}

impl Default for State {
    fn default() -> Self {
        Self { hooks: Derived::new(hooks::SOURCES, Hooks::compute), quota_turns: Turns::default() }
    }
}

/// Whether no rule looks at such a write.
pub(crate) fn is_idle(w: &Write<'_>, operation: Operation) -> bool {
    let hooks = w.server.admission.hooks.get(&w.server.registry.rows());
    hooks.mutating.is_empty()
        && hooks.validating.is_empty()
        && !limits::concern(w, operation)
        && !security::concerns(w)
        && !quota::concern(w, operation)
}

/// Lets rules change an object before it is checked. `old` is the stored object, in the version of the request.
/// Returns whether anything changed: the object must then be pruned and defaulted anew.
///
/// # Errors
/// What a rule refuses, and rules that fail and must not.
pub(crate) async fn mutate(
    w: &mut Write<'_>,
    operation: Operation,
    object: &mut Value,
    old: Option<&Current>,
) -> Result<bool, ApiError> {
    let hooks = w.server.admission.hooks.get(&w.server.registry.rows());
    let is_asked = !hooks.mutating.is_empty() && !is_exempt(w.resource);
    if !is_asked && !limits::concern(w, operation) {
        return Ok(false);
    }
    let a = Attributes::of(w, operation, Some(object), old);
    if a.subresource == "scale" {
        return scale::mutate(w, &a, &hooks, object, old).await;
    }
    Box::pin(change(w, &a, &hooks, object, old.map(|old| &old.object))).await
}

/// All that changes objects, in order; and once more where somebody wishes to see what became of it.
async fn change(
    w: &mut Write<'_>,
    a: &Attributes,
    hooks: &Hooks,
    object: &mut Value,
    old: Option<&Value>,
) -> Result<bool, ApiError> {
    let mut run = Reinvocation::default();
    let mut changed = round(w, a, hooks, object, old, &mut run).await?;
    if run.wanted {
        run.round = 1;
        changed |= round(w, a, hooks, object, old, &mut run).await?;
    }
    Ok(changed)
}

async fn round(
    w: &mut Write<'_>,
    a: &Attributes,
    hooks: &Hooks,
    object: &mut Value,
    old: Option<&Value>,
    run: &mut Reinvocation,
) -> Result<bool, ApiError> {
    let mut changed = limits::fill(w, a, object);
    if !is_exempt(w.resource) {
        changed |= hooks::mutate(w, a, hooks, object, old, run).await?;
    }
    Ok(changed)
}

/// Lets rules refuse a write that is valid by itself. `object` is what will be stored (`None` for a delete), `old`
/// what is stored now.
///
/// # Errors
/// What a rule refuses, and rules that fail and must not.
pub(crate) async fn validate(
    w: &mut Write<'_>,
    operation: Operation,
    object: Option<&Value>,
    old: Option<&Current>,
) -> Result<(), ApiError> {
    let hooks = w.server.admission.hooks.get(&w.server.registry.rows());
    let is_asked = !(hooks.mutating.is_empty() && hooks.validating.is_empty()) && !is_exempt(w.resource);
    let is_judged = is_asked || object.is_some_and(|_| limits::concern(w, operation) || security::concerns(w));
    if !is_judged && !quota::concern(w, operation) {
        return Ok(());
    }
    let a = Attributes::of(w, operation, object, old);
    Box::pin(judge(w, &a, &hooks, is_asked, object, old)).await
}

/// All that judges, in order; what counts comes last, for what is refused must not be counted.
async fn judge(
    w: &mut Write<'_>,
    a: &Attributes,
    hooks: &Hooks,
    is_asked: bool,
    object: Option<&Value>,
    old: Option<&Current>,
) -> Result<(), ApiError> {
    let before = old.map(|old| &old.object);
    if let Some(object) = object {
        limits::check(w, a, object)?;
        security::check(w, a, object, before).await?;
    }
    if is_asked {
        let scaled = (a.subresource == "scale").then(|| scale::both(w, object, old));
        let objects = match &scaled {
            Some((object, old)) => Objects { object: object.as_ref(), old: old.as_ref() },
            None => Objects { object, old: before },
        };
        if a.operation == Operation::Delete {
            hooks::forbid_changes(w, a, hooks, objects).await?;
        }
        hooks::validate(w, a, hooks, objects).await?;
    }
    match object {
        Some(object) => quota::charge(w, a, object, before).await,
        None => Ok(()),
    }
}

/// Whether an object may be created in its namespace: the namespace must be there and not on its way out.
///
/// # Errors
/// 404 for an absent namespace, 403 for a terminating one.
pub(crate) async fn may_create(w: &Write<'_>, name: &str) -> Result<(), ApiError> {
    let Some(namespace) = w.namespace() else { return Ok(()) };
    let rows = w.server.registry.rows();
    let Some(row) = rows.find("", "v1", "namespaces") else { return Ok(()) };
    let cached = row.storage.cache.get("", namespace);
    if let Some(entry) = &cached
        && entry.field("status.phase") != "Terminating"
        && !w.server.ending_namespaces.read().contains(namespace)
    {
        return Ok(());
    }
    // A create right after the namespace's own may be ahead of the cache, in either direction.
    let key = row.key(None, namespace);
    drop(rows);
    let found = w.server.store.get(&key, None).await.map_err(store_error)?;
    let Some(kv) = found.kv else { return Err(ApiError::not_found(NAMESPACES, namespace)) };
    let terminating = serde_json::from_slice::<Value>(&kv.value).is_ok_and(|object| meta::is_terminating(&object));
    if terminating {
        return Err(ApiError::namespace_terminating(w.resource.named(), name, namespace));
    }
    // One of the same name that was made anew.
    w.server.ending_namespaces.write().remove(namespace);
    Ok(())
}
