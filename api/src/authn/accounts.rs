//! Looks whether what a token names is still there: the account, what it is bound to, the Secret of a bootstrap token.

use berth_identity::Subject;
use berth_identity::bootstrap::{self, BootstrapToken, Usage};
use berth_identity::service_account::{Bound, BoundKind, LEEWAY_SECONDS, Verified};
use serde_json::Value;

use super::bearer::Refusal;
use super::state::now;
use crate::inner::Inner;
use crate::status::ApiError;
use crate::write::{meta, store_error};

/// An object: from the cache, or (when it is not there, or not the one of `uid`) from the store itself, for a cache
/// may be a moment behind.
pub(super) async fn find(
    server: &Inner,
    (group, plural): (&str, &str),
    namespace: &str,
    name: &str,
    uid: Option<&str>,
) -> Result<Option<Value>, ApiError> {
    let rows = server.registry.snapshot();
    let Some(row) = rows.any_version(group, plural) else { return Ok(None) };
    let namespace = if row.namespaced { namespace } else { "" };
    let parse = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).map_err(ApiError::internal);
    if let Some(entry) = row.storage.cache.get(namespace, name) {
        let object = parse(&entry.json())?;
        if uid.is_none_or(|uid| meta::text(&object, "uid") == uid) {
            return Ok(Some(object));
        }
    }
    let found = server.store.get(&row.key(Some(namespace), name), None).await.map_err(store_error)?;
    found.kv.map(|kv| parse(&kv.value)).transpose()
}

/// Group and plural of what a token can be bound to.
pub(super) fn resource(kind: BoundKind) -> (&'static str, &'static str) {
    match kind {
        BoundKind::Secret => ("", "secrets"),
        BoundKind::Task => (berth_types::GROUP, "tasks"),
        BoundKind::Node => (berth_types::GROUP, "nodes"),
    }
}

/// Whether the account of a token, and what it is bound to, are still those that it names.
pub(super) async fn check(server: &Inner, token: &Verified) -> Result<(), String> {
    let Verified { namespace, name, uid, bound, .. } = token;
    let unknown = |error: ApiError| error.message().to_owned();
    let account = find(server, ("", "serviceaccounts"), namespace, name, Some(uid)).await.map_err(unknown)?;
    let account = account.ok_or_else(|| format!("serviceaccounts \"{name}\" not found"))?;
    if is_gone(&account) {
        return Err(format!("service account {namespace}/{name} has been deleted"));
    }
    let found = meta::text(&account, "uid");
    if found != uid {
        return Err(format!("service account UID ({found}) does not match claim ({uid})"));
    }
    let runs_a_task = bound.iter().any(|bound| bound.kind == BoundKind::Task);
    for Bound { kind, name, uid } in bound {
        if runs_a_task && *kind == BoundKind::Node {
            // Said for information: the task is what the token stands and falls with.
            continue;
        }
        let object = find(server, resource(*kind), namespace, name, Some(uid)).await.map_err(unknown)?;
        match object {
            Some(object) if !is_gone(&object) && meta::text(&object, "uid") == uid => {}
            _ => return Err("service account token has been invalidated".to_owned()),
        }
    }
    Ok(())
}

/// Marked for deletion longer ago than clocks may be apart.
fn is_gone(object: &Value) -> bool {
    meta::text(object, "deletionTimestamp")
        .parse::<jiff::Timestamp>()
        .is_ok_and(|at| at.as_second() < now() - LEEWAY_SECONDS)
}

/// The user of a bootstrap token.
pub(super) async fn bootstrap(server: &Inner, token: &BootstrapToken) -> Result<Subject, Refusal> {
    let name = token.secret_name();
    let found = find(server, ("", "secrets"), bootstrap::NAMESPACE, &name, None).await;
    let Ok(Some(secret)) = found else { return Err(Refusal::default()) };
    bootstrap::check(token, &secret, Usage::Authentication, now()).map_err(|refused| {
        tracing::info!(secret = name, reason = %refused, "a bootstrap token is refused");
        Refusal::from(refused)
    })
}
