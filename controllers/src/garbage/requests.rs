//! What the collector reads and writes: metadata of objects of any kind.

use http::{Method, Request};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Client;
use serde_json::{Value, json};

use super::MANAGER;
use crate::driver::kind::Metadata;
use crate::driver::{Error, Key, Row, api};

/// What becomes of dependents of what is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Policy {
    Background,
    Foreground,
    Orphan,
}

/// Reads an object's metadata. `None` only when the server says that this very object is not there: a 404 about
/// something else (a kind that is not served just now) is an error.
pub(crate) async fn get(client: &Client, row: &Row, key: &Key) -> Result<Option<ObjectMeta>, Error> {
    let text = match api::get(client, row, key).await {
        Ok(text) => text,
        Err(error) if is_absence(&error, &key.name) => return Ok(None),
        Err(error) => return Err(error),
    };
    let fail = |source| Error::Decode { what: format!("the answer about {} {key}", row.kind), source };
    serde_json::from_str::<Metadata>(&text).map(|object| Some(object.metadata)).map_err(fail)
}

fn is_absence(error: &Error, name: &str) -> bool {
    let Error::Api { source, .. } = error else { return false };
    let kube::Error::Api(status) = &**source else { return false };
    status.code == 404 && status.details.as_ref().is_some_and(|details| details.name == name)
}

/// Deletes the object as it was read.
pub(crate) async fn delete(client: &Client, row: &Row, meta: &ObjectMeta, policy: Policy) -> Result<(), Error> {
    let key = Key::of(meta);
    let options = json!({
        "apiVersion": "v1", "kind": "DeleteOptions",
        "propagationPolicy": format!("{policy:?}"),
        "preconditions": { "uid": meta.uid, "resourceVersion": meta.resource_version },
    });
    let uri = format!("{}/{}", api::path(row, &key.namespace), key.name);
    let request = Request::builder()
        .method(Method::DELETE)
        .uri(&uri)
        .header(http::header::CONTENT_TYPE, "application/json")
        .body(options.to_string().into_bytes())
        .map_err(|error| Error::Other(format!("could not build a request for {uri}: {error}")))?;
    match client.request_text(request).await {
        Ok(_) => Ok(()),
        Err(source) => {
            let error = Error::Api { verb: "delete", kind: row.kind.to_string(), key, source: Box::new(source) };
            if error.is_not_found() { Ok(()) } else { Err(error) }
        }
    }
}

/// Changes metadata of the object as it was read; gone is no error.
pub(crate) async fn change(client: &Client, row: &Row, meta: &ObjectMeta, fields: Value) -> Result<(), Error> {
    let mut metadata = fields;
    metadata["resourceVersion"] = json!(meta.resource_version);
    metadata["uid"] = json!(meta.uid);
    let patch = json!({ "metadata": metadata });
    match api::patch(client, row, &Key::of(meta), None, api::Patch::Merge, &patch, MANAGER).await {
        Err(error) if error.is_not_found() => Ok(()),
        other => other.map(drop),
    }
}
