//! Admission: rules about a write that look at more than its object. They may change the object, or refuse it.
//!
//! The order is that of Kubernetes: what changes objects runs before the schema is checked, what only judges runs
//! after. Every write of every kind comes through here, whoever sends it.

mod attributes;
mod conditions;
mod expressions;
mod hooks;
mod limits;
mod matching;
mod policy;
mod quota;
mod scale;
mod security;
mod versions;

use std::sync::Arc;

use serde_json::Value;

use self::attributes::{Attributes, is_exempt};
#[cfg(feature = "fuzzing")]
pub(crate) use self::hooks::read_answer;
use self::hooks::{Hooks, Objects, Reinvocation};
use self::policy::Policies;
pub(crate) use self::policy::follow;
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
    policies: Derived<Policies>,
    /// Of those who charge the quotas of one namespace. Not the turns of objects: who has one of those waits here.
    quota_turns: Turns,
}

impl Default for State {
    fn default() -> Self {
        Self {
            hooks: Derived::new(hooks::SOURCES, Hooks::compute),
            policies: Derived::new(policy::SOURCES, Policies::compute),
            quota_turns: Turns::default(),
        }
    }
}

/// Whether no rule looks at such a write.
pub(crate) fn is_idle(w: &Write<'_>, operation: Operation) -> bool {
    Rules::of(w).are_none() && !limits::concern(w, operation) && !security::concerns(w) && !quota::concern(w, operation)
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
    let rules = Rules::of(w);
    if rules.change_nothing() && !limits::concern(w, operation) {
        return Ok(false);
    }
    let a = Attributes::of(w, operation, Some(object), old);
    if a.subresource == "scale" {
        return scale::mutate(w, &a, &rules, object, old).await;
    }
    Box::pin(change(w, &a, &rules, object, old.map(|old| &old.object))).await
}

/// The rules of this moment for one write; none for the kinds that rules are made of.
struct Rules {
    hooks: Option<Arc<Hooks>>,
    policies: Option<Arc<Policies>>,
}

impl Rules {
    fn of(w: &Write<'_>) -> Self {
        if is_exempt(w.resource) {
            return Self { hooks: None, policies: None };
        }
        let rows = w.server.registry.rows();
        let (hooks, policies) = (w.server.admission.hooks.get(&rows), w.server.admission.policies.get(&rows));
        Self {
            hooks: (!hooks.mutating.is_empty() || !hooks.validating.is_empty()).then_some(hooks),
            policies: (!policies.mutating.is_empty() || !policies.validating.is_empty()).then_some(policies),
        }
    }

    fn change_nothing(&self) -> bool {
        self.hooks.as_ref().is_none_or(|hooks| hooks.mutating.is_empty())
            && self.policies.as_ref().is_none_or(|policies| policies.mutating.is_empty())
    }

    fn are_none(&self) -> bool {
        self.hooks.is_none() && self.policies.is_none()
    }
}

/// All that changes objects, in order; and once more where somebody wishes to see what became of it.
async fn change(
    w: &mut Write<'_>,
    a: &Attributes,
    rules: &Rules,
    object: &mut Value,
    old: Option<&Value>,
) -> Result<bool, ApiError> {
    let mut run = Reinvocation::default();
    let mut changed = round(w, a, rules, object, old, &mut run).await?;
    if run.wanted {
        run.round = 1;
        changed |= round(w, a, rules, object, old, &mut run).await?;
    }
    Ok(changed)
}

async fn round(
    w: &mut Write<'_>,
    a: &Attributes,
    rules: &Rules,
    object: &mut Value,
    old: Option<&Value>,
    run: &mut Reinvocation,
) -> Result<bool, ApiError> {
    let mut changed = limits::fill(w, a, object);
    if let Some(policies) = &rules.policies {
        changed |= policy::mutate(w, a, policies, object, old, run).await?;
    }
    if let Some(hooks) = &rules.hooks {
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
    check_expressions(w, object, old)?;
    let rules = Rules::of(w);
    let is_judged = !rules.are_none() || object.is_some_and(|_| limits::concern(w, operation) || security::concerns(w));
    if !is_judged && !quota::concern(w, operation) {
        return Ok(());
    }
    let a = Attributes::of(w, operation, object, old);
    Box::pin(judge(w, &a, &rules, object, old)).await
}

/// A create that was let pass did not come to be, for its name is taken: it does not count. `stored` is what would
/// have been stored.
pub(crate) async fn not_created(w: &Write<'_>, stored: &[u8]) {
    if !quota::concern(w, Operation::Create) {
        return;
    }
    let Ok(object) = serde_json::from_slice::<Value>(stored) else { return };
    let a = Attributes::of(w, Operation::Create, Some(&object), None);
    if let Err(error) = Box::pin(quota::refund(w, &a, &object)).await {
        tracing::warn!(%error, namespace = %a.namespace, "could not give back what a create was charged");
    }
}

/// Lets rules refuse what is asked for and not stored: a stream to a running thing (`Connect`), or a token (`Create`).
/// `asked` is what was asked for, as an object; rules cannot change it.
///
/// # Errors
/// What a rule refuses, and rules that fail and must not.
pub(crate) async fn allow(w: &mut Write<'_>, operation: Operation, asked: &Value) -> Result<(), ApiError> {
    let rules = Rules::of(w);
    if rules.are_none() {
        return Ok(());
    }
    let a = Attributes::of(w, operation, Some(asked), None);
    let objects = Objects { object: Some(asked), old: None };
    if let Some(hooks) = &rules.hooks {
        hooks::forbid_changes(w, &a, hooks, objects).await?;
    }
    if let Some(policies) = &rules.policies {
        policy::validate(w, &a, policies, objects).await?;
    }
    if let Some(hooks) = &rules.hooks {
        hooks::validate(w, &a, hooks, objects).await?;
    }
    Ok(())
}

/// Refuses configurations whose expressions do not compile: they could only fail.
fn check_expressions(w: &Write<'_>, object: Option<&Value>, old: Option<&Current>) -> Result<(), ApiError> {
    let Some(object) = object.filter(|_| is_exempt(w.resource) && w.path.subresource.is_none()) else { return Ok(()) };
    let errors = expressions::check(&w.resource.plural, object, old.map(|old| &old.object));
    if errors.is_empty() { Ok(()) } else { Err(w.invalid(meta::text(object, "name"), errors)) }
}

/// All that judges, in order; what counts comes last, for what is refused must not be counted.
async fn judge(
    w: &mut Write<'_>,
    a: &Attributes,
    rules: &Rules,
    object: Option<&Value>,
    old: Option<&Current>,
) -> Result<(), ApiError> {
    let before = old.map(|old| &old.object);
    if let Some(object) = object {
        limits::check(w, a, object)?;
        security::check(w, a, object, before).await?;
    }
    if !rules.are_none() {
        let scaled = (a.subresource == "scale").then(|| scale::both(w, object, old));
        let objects = match &scaled {
            Some((object, old)) => Objects { object: object.as_ref(), old: old.as_ref() },
            None => Objects { object, old: before },
        };
        if let Some(hooks) = rules.hooks.as_ref().filter(|_| a.operation == Operation::Delete) {
            hooks::forbid_changes(w, a, hooks, objects).await?;
        }
        if let Some(policies) = &rules.policies {
            policy::validate(w, a, policies, objects).await?;
        }
        if let Some(hooks) = &rules.hooks {
            hooks::validate(w, a, hooks, objects).await?;
        }
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
