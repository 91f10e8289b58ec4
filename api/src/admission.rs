//! Admission: rules about a write that look at other objects. For now the life of namespaces.

use serde_json::Value;

use crate::status::{ApiError, Named};
use crate::write::{Write, meta, store_error};

const NAMESPACES: Named<'static> = Named { group: "", plural: "namespaces" };

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
