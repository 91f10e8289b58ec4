//! OpenAPI v2 and v3: made when asked for, kept compressed until the rows change.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::discovery::hash;
use super::negotiate::entries;
use super::respond::{self, ApiResponse};
use crate::aggregate;
use crate::inner::Inner;
use crate::registry::Rows;
use crate::request::Query;
use crate::status::ApiError;

const TITLE: &str = "Berth";
const V2_PROTOBUF_ASKED: &str = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
const V2_PROTOBUF: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

/// Documents by name, for one generation of the rows and of what others serve. Compressed: they are large and seldom read.
#[derive(Debug, Default)]
pub(crate) struct Documents {
    kept: Mutex<(Generation, HashMap<String, Document>)>,
}

/// Of the rows, and of what others serve.
type Generation = (u64, u64);

#[derive(Clone, Debug)]
struct Document {
    gzip: Bytes,
    etag: String,
}

impl Documents {
    /// The document of this name, made by `make` unless it is kept.
    async fn get(
        &self,
        server: &Inner,
        rows: &Arc<Rows>,
        name: &str,
        make: impl FnOnce(&Rows, &str) -> Vec<u8> + Send + 'static,
    ) -> Result<Document, ApiError> {
        let generation = (rows.generation, server.aggregate.generation());
        {
            let mut kept = self.kept.lock();
            if kept.0 != generation {
                *kept = (generation, HashMap::new());
            }
            if let Some(document) = kept.1.get(name) {
                return Ok(document.clone());
            }
        }
        let (rows_too, name_too) = (Arc::clone(rows), name.to_owned());
        // Tens of milliseconds: not on a thread that serves requests.
        let made = tokio::task::spawn_blocking(move || {
            let plain = make(&rows_too, &name_too);
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(&plain)?;
            Ok::<_, std::io::Error>(Document { gzip: encoder.finish()?.into(), etag: hash(&plain) })
        });
        let document = made.await.map_err(ApiError::internal)?.map_err(ApiError::internal)?;
        let mut kept = self.kept.lock();
        if kept.0 == generation {
            kept.1.insert(name.to_owned(), document.clone());
        }
        Ok(document)
    }
}

fn docs_of(rows: &Rows, group_version: Option<(&str, &str)>) -> Vec<berth_schema::openapi::KindDoc> {
    rows.ordered
        .iter()
        .filter(|row| group_version.is_none_or(|(group, version)| row.group == group && row.version == version))
        .map(|row| row.kind_doc())
        .collect()
}

fn answer(document: &Document, content_type: &'static str, headers: &HeaderMap) -> Result<ApiResponse, ApiError> {
    let etag = format!("\"{}\"", document.etag);
    let accepts_gzip =
        headers.get(header::ACCEPT_ENCODING).and_then(|v| v.to_str().ok()).is_some_and(|text| text.contains("gzip"));
    let mut response = if headers.get(header::IF_NONE_MATCH).is_some_and(|v| v.as_bytes() == etag.as_bytes()) {
        respond::with(304, content_type, "")
    } else if accepts_gzip {
        let mut response = respond::with(200, content_type, document.gzip.clone());
        response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        response
    } else {
        let mut plain = Vec::new();
        flate2::read::GzDecoder::new(&document.gzip[..]).read_to_end(&mut plain).map_err(ApiError::internal)?;
        respond::with(200, content_type, plain)
    };
    let headers = response.headers_mut();
    if let Ok(etag) = HeaderValue::from_str(&etag) {
        headers.insert(header::ETAG, etag);
    }
    headers.insert(header::VARY, HeaderValue::from_static("Accept, Accept-Encoding"));
    Ok(response)
}

/// `/openapi/v2`, as JSON or as protobuf.
pub(super) async fn v2(server: &Inner, headers: &HeaderMap) -> Result<ApiResponse, ApiError> {
    let rows = server.registry.snapshot();
    let accept = headers.get(header::ACCEPT).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let best = entries(accept).into_iter().find(|entry| {
        matches!(entry.media, "application/json" | "application/*" | "*/*" | V2_PROTOBUF_ASKED | V2_PROTOBUF)
    });
    match best {
        None if !accept.is_empty() => Err(ApiError::not_acceptable("only application/json and protobuf are given")),
        Some(entry) if entry.media == V2_PROTOBUF_ASKED || entry.media == V2_PROTOBUF => {
            let parts = aggregate::documents::parts(server);
            let make = move |rows: &Rows, _: &str| berth_schema::openapi::v2_protobuf(&v2_of(rows, &parts));
            let document = server.documents.get(server, &rows, "v2.pb", make).await?;
            answer(&document, V2_PROTOBUF, headers)
        }
        _ => {
            let parts = aggregate::documents::parts(server);
            let make = move |rows: &Rows, _: &str| v2_of(rows, &parts).to_string().into_bytes();
            let document = server.documents.get(server, &rows, "v2", make).await?;
            answer(&document, "application/json", headers)
        }
    }
}

fn v2_of(rows: &Rows, parts: &[Arc<aggregate::documents::Definitions>]) -> Value {
    let mut document = berth_schema::openapi::v2_json(TITLE, env!("CARGO_PKG_VERSION"), &docs_of(rows, None));
    aggregate::documents::merge(&mut document, parts);
    document
}

/// `api/v1` or `apis/{group}/{version}`.
fn path_of(group: &str, version: &str) -> String {
    if group.is_empty() { format!("api/{version}") } else { format!("apis/{group}/{version}") }
}

fn split(name: &str) -> (&str, &str) {
    match name.strip_prefix("apis/").and_then(|rest| rest.split_once('/')) {
        Some(found) => found,
        None => ("", name.strip_prefix("api/").unwrap_or_default()),
    }
}

fn v3_of(rows: &Rows, name: &str) -> Vec<u8> {
    let (group, version) = split(name);
    berth_schema::openapi::v3(TITLE, env!("CARGO_PKG_VERSION"), &docs_of(rows, Some((group, version))))
        .to_string()
        .into_bytes()
}

/// `/openapi/v3`: where the documents are, with their hashes.
pub(super) async fn v3_root(server: &Inner) -> Result<ApiResponse, ApiError> {
    let rows = server.registry.snapshot();
    let mut paths = serde_json::Map::new();
    for (group, versions) in aggregate::discovery::groups(server, &rows) {
        for version in versions {
            let path = path_of(&group, &version);
            let url = match aggregate::documents::v3_url(server, &group, &version) {
                Some(Some(url)) => url,
                Some(None) => continue,
                None => {
                    let document = server.documents.get(server, &rows, &path, v3_of).await?;
                    format!("/openapi/v3/{path}?hash={}", document.etag)
                }
            };
            paths.insert(path, json!({"serverRelativeURL": url}));
        }
    }
    Ok(respond::json(200, json!({ "paths": paths }).to_string()))
}

/// `/openapi/v3/{path}`: a document. With the right hash it may be kept for ever.
pub(super) async fn v3(
    server: &Inner,
    path: &str,
    query: &Query,
    headers: &HeaderMap,
) -> Result<ApiResponse, ApiError> {
    let rows = server.registry.snapshot();
    let (group, version) = split(path);
    if rows.version(group, version).is_none() {
        return Err(ApiError::page_not_found());
    }
    let document = server.documents.get(server, &rows, path, v3_of).await?;
    let cache = match query.filled("hash") {
        Some(hash) if hash == document.etag => "public, immutable",
        Some(_) => {
            let mut response = respond::with(301, "text/plain; charset=utf-8", "");
            let location = format!("/openapi/v3/{path}?hash={}", document.etag);
            if let Ok(location) = HeaderValue::from_str(&location) {
                response.headers_mut().insert(header::LOCATION, location);
            }
            return Ok(response);
        }
        None => "no-cache, private",
    };
    let mut response = answer(&document, "application/json", headers)?;
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    Ok(response)
}
