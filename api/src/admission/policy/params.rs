//! Parameters: objects that tell a policy how strict to be.

use std::sync::Arc;

use berth_schema::selector::LabelSelector;
use serde_json::Value;

use super::table::{ParamKind, ParamRef};
use crate::admission::attributes::Attributes;
use crate::registry::Resource;
use crate::write::Write;

/// Parameters of one binding that are looked at: each is a round of evaluations.
const PARAMS_MAX: usize = 1000;

/// Why there are no parameters.
#[derive(Debug)]
pub(super) enum Problem {
    /// With the policy itself.
    Policy(String),
    /// With the binding.
    Binding(String),
}

/// The row of a kind of parameters; `None` for a policy without.
pub(super) fn row_of(w: &Write<'_>, kind: Option<&ParamKind>) -> Result<Option<Arc<Resource>>, Problem> {
    let Some(kind) = kind else { return Ok(None) };
    let rows = w.server.registry.rows();
    let found = rows.ordered.iter().find(|row| row.kind == kind.kind && row.api_version() == kind.api_version);
    found.cloned().map(Some).ok_or_else(|| {
        let (group, version) = kind.api_version.split_once('/').unwrap_or(("", &kind.api_version));
        let slash = if group.is_empty() { "" } else { "/" };
        Problem::Policy(format!(
            "failed to find resource referenced by paramKind: '{group}{slash}{version}, Kind={}'",
            kind.kind
        ))
    })
}

/// What a binding gives to its policy: each parameter is evaluated by itself, `None` is evaluated once without.
pub(super) async fn collect(
    w: &Write<'_>,
    a: &Attributes,
    row: Option<&Arc<Resource>>,
    reference: Option<&ParamRef>,
) -> Result<Vec<Option<Value>>, Problem> {
    let (Some(row), Some(reference)) = (row, reference) else { return Ok(vec![None]) };
    let wrong = |why: &str| Err(Problem::Binding(why.to_owned()));
    let namespace = match (row.namespaced, reference.namespace.as_str()) {
        (false, "") => None,
        (false, _) => return wrong("paramRef.namespace must not be provided for a cluster-scoped `paramKind`"),
        (true, "") if a.namespace.is_empty() => {
            return wrong("cannot use namespaced paramRef in policy binding that matches cluster-scoped resources");
        }
        (true, "") => Some(a.namespace.as_str()),
        (true, namespace) => Some(namespace),
    };
    let found = match (&reference.selector, reference.name.as_str()) {
        (Some(selector), "") => select(row, namespace, selector)?,
        (None, name) if !name.is_empty() => named(w, row, namespace, name).await?.into_iter().collect(),
        (Some(_), _) => return wrong("paramRef.name and paramRef.selector are mutually exclusive"),
        (None, _) => return wrong("one of name or selector must be provided"),
    };
    if found.is_empty() && reference.denies_absent {
        return wrong("no params found for policy binding with `Deny` parameterNotFoundAction");
    }
    Ok(found.into_iter().map(Some).collect())
}

/// From the cache, or from the store where the cache may lag.
async fn named(
    w: &Write<'_>,
    row: &Arc<Resource>,
    namespace: Option<&str>,
    name: &str,
) -> Result<Option<Value>, Problem> {
    let bytes = match row.storage.cache.get(namespace.unwrap_or_default(), name) {
        Some(entry) => entry.json(),
        None => {
            let found = w.server.store.get(&row.key(namespace, name), None).await;
            match found.map_err(|error| Problem::Binding(error.to_string()))?.kv {
                Some(kv) => kv.value.clone(),
                None => return Ok(None),
            }
        }
    };
    Ok(read(row, &bytes))
}

fn select(row: &Arc<Resource>, namespace: Option<&str>, selector: &Value) -> Result<Vec<Value>, Problem> {
    let selector = LabelSelector::from_json(selector).map_err(|error| Problem::Binding(error.to_string()))?;
    let snapshot = row.storage.cache.snapshot();
    let entries = snapshot.after(namespace, None).filter(|entry| selector.matches(|key| entry.label(key)));
    Ok(entries.take(PARAMS_MAX).filter_map(|entry| read(row, &entry.json())).collect())
}

fn read(row: &Resource, bytes: &[u8]) -> Option<Value> {
    let mut object: Value = serde_json::from_slice(bytes).ok()?;
    if !row.is_stored_version() {
        row.to_request_version(&mut object);
    }
    Some(object)
}
