//! Admission: rules about a write that look at more than its object. They may change the object, or refuse it.
//!
//! The order is that of Kubernetes: what changes objects runs before the schema is checked, what only judges runs
//! after. Every write of every kind comes through here, whoever sends it.

use serde_json::Value;

use crate::status::{ApiError, Named};
use crate::write::{Write, meta, store_error};

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

/// Lets rules change an object before it is checked. `old` is the stored object, in the version of the request.
/// Returns whether anything changed: the object must then be pruned and defaulted anew.
///
/// # Errors
/// What a rule refuses, and rules that fail and must not.
pub(crate) async fn mutate(
    w: &mut Write<'_>,
    operation: Operation,
    object: &mut Value,
    old: Option<&Value>,
) -> Result<bool, ApiError> {
    let (_, _, _, _) = (w, operation, object, old);
    Ok(false)
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
    old: Option<&Value>,
) -> Result<(), ApiError> {
    let (_, _, _, _) = (w, operation, object, old);
    Ok(())
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
