//! Between the form that an object is stored in and the version that a request speaks.
//!
//! Most reads never come here: bytes that were written under the present definition, in the version that is asked
//! for, go out as they are. What was written before the definition changed is fitted to it (new defaults appear,
//! fields that are gone go), and what is stored in another version is converted: by its shape for built-in kinds, by
//! the definition's webhook, or by `apiVersion` alone.

use berth_store::Revision;
use bytes::Bytes;
use serde_json::Value;

use crate::inner::Inner;
use crate::registry::Resource;
use crate::status::ApiError;
use crate::write::meta;

/// An object on its way from the store to a request.
pub(crate) struct Stored {
    pub object: Value,
    pub revision: Revision,
}

/// Whether an object written at this revision can be shown as it is stored.
pub(crate) fn is_as_stored(resource: &Resource, revision: Revision) -> bool {
    revision > resource.life.form.since() && resource.is_stored_version()
}

/// Brings objects from their stored form into the version of the resource.
///
/// # Errors
/// When the definition's webhook fails; nothing is changed then.
pub(crate) async fn to_request(
    server: &Inner,
    resource: &Resource,
    stored: Vec<Stored>,
) -> Result<Vec<Value>, ApiError> {
    let wanted = resource.api_version();
    let is_other = |object: &Value| object["apiVersion"] != wanted.as_str();
    let fits: Vec<bool> = stored.iter().map(|s| s.revision > resource.life.form.since()).collect();
    let mut objects: Vec<Value> = stored.into_iter().map(|s| s.object).collect();
    match &resource.life.conversion {
        Some(webhook) if objects.iter().any(is_other) => webhook.convert(server, &wanted, &mut objects).await?,
        Some(_) => {}
        None => objects.iter_mut().filter(|object| is_other(object)).for_each(|o| resource.to_request_version(o)),
    }
    for (object, fits) in objects.iter_mut().zip(fits) {
        // A webhook's answer may be anything.
        if !fits || resource.life.conversion.is_some() {
            fit(resource, object);
        }
    }
    Ok(objects)
}

/// One object.
pub(crate) async fn object_to_request(
    server: &Inner,
    resource: &Resource,
    object: Value,
    revision: Revision,
) -> Result<Value, ApiError> {
    if revision > resource.life.form.since() && object["apiVersion"] == resource.api_version() {
        return Ok(object);
    }
    let mut objects = to_request(server, resource, vec![Stored { object, revision }]).await?;
    objects.pop().ok_or_else(|| ApiError::internal("a conversion lost its object"))
}

/// The bytes of one object, with its resourceVersion in it.
pub(crate) async fn bytes_to_request(
    server: &Inner,
    resource: &Resource,
    bytes: Bytes,
    revision: Revision,
) -> Result<Bytes, ApiError> {
    if is_as_stored(resource, revision) {
        return Ok(bytes);
    }
    let object = crate::http::convert::parse(&bytes)?;
    Ok(object_to_request(server, resource, object, revision).await?.to_string().into())
}

/// An object of the version of the resource, in the form that is stored.
///
/// # Errors
/// When the definition's webhook fails.
pub(crate) async fn to_stored(server: &Inner, resource: &Resource, mut object: Value) -> Result<Value, ApiError> {
    match &resource.life.conversion {
        Some(webhook) => {
            let mut objects = vec![object];
            webhook.convert(server, &resource.storage.api_version, &mut objects).await?;
            objects.pop().ok_or_else(|| ApiError::internal("a conversion lost its object"))
        }
        None => {
            resource.to_stored_version(&mut object);
            Ok(object)
        }
    }
}

/// Takes away what the schema does not know and fills in what it has a default for.
fn fit(resource: &Resource, object: &mut Value) {
    let managed = meta::of(object).remove("managedFields");
    resource.structural().prune(object);
    if !resource.structural().default(object) {
        tracing::warn!(kind = %resource.kind, "the defaults of a definition make a stored object too large to show whole");
    }
    if let Some(managed) = managed {
        meta::of(object).insert("managedFields".into(), managed);
    }
}
