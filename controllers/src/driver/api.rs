//! Requests to the API server, as text in and text out: compiled once for all kinds.

use std::time::Duration;

use http::{Method, Request};
use kube::Client;
use serde_json::{Value, json};

use super::{Error, Key, Row};

/// A write or read that takes longer has failed. Longer than any fsync, shorter than people's patience.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// How a patch is meant.
#[derive(Clone, Copy, Debug)]
pub enum Patch<'a> {
    /// JSON merge patch (RFC 7386).
    Merge,
    /// JSON patch (RFC 6902).
    Json,
    /// Server-side apply, forced, by this field manager.
    Apply(&'a str),
}

/// The path of a kind's objects in a namespace; of all of them when the namespace is empty.
pub fn path(row: &Row, namespace: &str) -> String {
    let root = if row.group.is_empty() {
        format!("/api/{}", row.version)
    } else {
        format!("/apis/{}/{}", row.group, row.version)
    };
    if namespace.is_empty() {
        format!("{root}/{}", row.plural)
    } else {
        format!("{root}/namespaces/{namespace}/{}", row.plural)
    }
}

fn object_path(row: &Row, key: &Key, subresource: Option<&str>) -> String {
    let path = format!("{}/{}", path(row, &key.namespace), key.name);
    match subresource {
        Some(name) => format!("{path}/{name}"),
        None => path,
    }
}

/// Posts a new object.
pub async fn create(client: &Client, row: &Row, key: &Key, body: Vec<u8>, manager: &str) -> Result<String, Error> {
    let uri = format!("{}?fieldManager={manager}", path(row, &key.namespace));
    send(client, "create", row, key, request(Method::POST, uri, "application/json", body)).await
}

/// Reads an object.
pub async fn get(client: &Client, row: &Row, key: &Key) -> Result<String, Error> {
    let uri = object_path(row, key, None);
    send(client, "get", row, key, request(Method::GET, uri, "application/json", vec![])).await
}

/// Deletes the object of this uid, its dependents in the background.
pub async fn delete(client: &Client, row: &Row, key: &Key, uid: &str) -> Result<String, Error> {
    let uri = object_path(row, key, None);
    let options = json!({
        "apiVersion": "v1", "kind": "DeleteOptions",
        "propagationPolicy": "Background", "preconditions": { "uid": uid },
    });
    let body = options.to_string().into_bytes();
    send(client, "delete", row, key, request(Method::DELETE, uri, "application/json", body)).await
}

/// Patches an object or a subresource of it.
pub async fn patch(
    client: &Client,
    row: &Row,
    key: &Key,
    subresource: Option<&str>,
    how: Patch<'_>,
    patch: &Value,
    manager: &str,
) -> Result<String, Error> {
    let path = object_path(row, key, subresource);
    let (uri, content) = match how {
        Patch::Merge => (format!("{path}?fieldManager={manager}"), "application/merge-patch+json"),
        Patch::Json => (format!("{path}?fieldManager={manager}"), "application/json-patch+json"),
        Patch::Apply(manager) => (format!("{path}?fieldManager={manager}&force=true"), "application/apply-patch+yaml"),
    };
    let body = patch.to_string().into_bytes();
    send(client, "patch", row, key, request(Method::PATCH, uri, content, body)).await
}

/// What is accepted when only metadata is wanted.
const METADATA: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
const METADATA_LIST: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";

/// One page of all objects, or of their metadata.
pub async fn list(
    client: &Client,
    row: &Row,
    limit: u32,
    after: Option<&str>,
    metadata_only: bool,
) -> Result<String, Error> {
    let mut uri = format!("{}?limit={limit}", path(row, ""));
    select(&mut uri, row);
    if let Some(token) = after {
        uri.push_str("&continue=");
        uri.extend(token.bytes().map(escaped));
    }
    let mut request = request(Method::GET, uri, "application/json", vec![])?;
    if metadata_only {
        request.headers_mut().insert(http::header::ACCEPT, http::HeaderValue::from_static(METADATA_LIST));
    }
    send(client, "list", row, &Key::all(), Ok(request)).await
}

/// Opens a watch from a revision, of whole objects or of their metadata.
pub async fn watch(
    client: &Client,
    row: &Row,
    revision: u64,
    timeout_seconds: u64,
    metadata_only: bool,
) -> Result<impl futures::AsyncBufRead + Send + Unpin + use<>, Error> {
    let mut uri = format!(
        "{}?watch=true&allowWatchBookmarks=true&resourceVersion={revision}&timeoutSeconds={timeout_seconds}",
        path(row, "")
    );
    select(&mut uri, row);
    let mut request = request(Method::GET, uri, "application/json", vec![])?;
    // A compressed watch would wait for its block to fill.
    request.headers_mut().insert(http::header::ACCEPT_ENCODING, http::HeaderValue::from_static("identity"));
    if metadata_only {
        request.headers_mut().insert(http::header::ACCEPT, http::HeaderValue::from_static(METADATA));
    }
    let opened = tokio::time::timeout(REQUEST_TIMEOUT, client.request_stream(request)).await;
    let stream = opened
        .map_err(|_| timed_out("watch", row, &Key::all()))?
        .map_err(|source| failed("watch", row, &Key::all(), source))?;
    Ok(Box::pin(stream))
}

/// Asks only for what the row picks.
fn select(uri: &mut String, row: &Row) {
    if !row.only.is_empty() {
        uri.push_str("&fieldSelector=");
        uri.extend(row.only.bytes().map(escaped));
    }
}

/// A byte of a query value, escaped unless it is plainly safe.
fn escaped(byte: u8) -> String {
    match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    }
}

fn request(method: Method, uri: String, content: &str, body: Vec<u8>) -> Result<Request<Vec<u8>>, Error> {
    Request::builder()
        .method(method)
        .uri(&uri)
        .header(http::header::ACCEPT, "application/json")
        .header(http::header::CONTENT_TYPE, content)
        .body(body)
        .map_err(|error| Error::Other(format!("could not build a request for {uri}: {error}")))
}

async fn send(
    client: &Client,
    verb: &'static str,
    row: &Row,
    key: &Key,
    request: Result<Request<Vec<u8>>, Error>,
) -> Result<String, Error> {
    let sent = tokio::time::timeout(REQUEST_TIMEOUT, client.request_text(request?)).await;
    sent.map_err(|_| timed_out(verb, row, key))?.map_err(|source| failed(verb, row, key, source))
}

fn failed(verb: &'static str, row: &Row, key: &Key, source: kube::Error) -> Error {
    Error::Api { verb, kind: row.kind.to_string(), key: key.clone(), source: Box::new(source) }
}

fn timed_out(verb: &str, row: &Row, key: &Key) -> Error {
    Error::Other(format!("could not {verb} {} {key}: no answer within {} s", row.kind, REQUEST_TIMEOUT.as_secs()))
}
