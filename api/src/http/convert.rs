//! Other shapes of an object than the stored one: another version, only its metadata, a row of a Table, YAML.
//! Nothing of this is on the way of a plain read.

use berth_store::cache::Entry;
use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::negotiate::{Accepted, Media, Shape};
use crate::registry::Resource;
use crate::status::ApiError;

/// What of each object goes into a Table's rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IncludeObject {
    None,
    Metadata,
    Object,
}

impl IncludeObject {
    pub(crate) fn parse(text: Option<&str>) -> Result<Self, ApiError> {
        match text {
            None | Some("" | "Metadata") => Ok(Self::Metadata),
            Some("None") => Ok(Self::None),
            Some("Object") => Ok(Self::Object),
            Some(other) => Err(ApiError::bad_request(format!(
                "Unable to convert to Table as requested: includeObject: Invalid value: {other:?}: must be one of None, Metadata, Object"
            ))),
        }
    }
}

pub(crate) fn parse(body: &[u8]) -> Result<Value, ApiError> {
    serde_json::from_slice(body).map_err(|error| {
        tracing::error!(%error, "a stored object cannot be read");
        ApiError::internal("a stored object cannot be read")
    })
}

/// Only the metadata of an object.
pub(crate) fn partial(object: &Value) -> Value {
    json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"]})
}

/// The same as text, spliced from the object's bytes.
pub(crate) fn write_partial(entry: &Entry, out: &mut Vec<u8>) {
    out.extend_from_slice(br#"{"apiVersion":"meta.k8s.io/v1","kind":"PartialObjectMetadata","metadata":"#);
    if !entry.write_metadata_json(out) {
        out.extend_from_slice(b"null");
    }
    out.push(b'}');
}

/// One object, in the version of the request, in the accepted shape.
pub(crate) fn object(
    resource: &Resource,
    body: Bytes,
    accepted: Accepted,
    include: IncludeObject,
) -> Result<Bytes, ApiError> {
    match accepted.shape {
        Shape::Object => Ok(body),
        Shape::Metadata => Ok(partial(&parse(&body)?).to_string().into()),
        Shape::MetadataList => Err(ApiError::not_acceptable(format!(
            "you requested PartialObjectMetadataList, but the requested object is not a list ({})",
            resource.kind
        ))),
        Shape::Table { beta } => {
            let object = parse(&body)?;
            let revision = object["metadata"]["resourceVersion"].clone();
            let rows = vec![row(resource, &object, include, jiff::Timestamp::now())];
            let metadata = json!({"resourceVersion": revision});
            Ok(table(resource, beta, metadata, rows, true).to_string().into())
        }
    }
}

/// One row of a Table.
pub(crate) fn row(resource: &Resource, object: &Value, include: IncludeObject, now: jiff::Timestamp) -> Value {
    let shown = match include {
        IncludeObject::None => Value::Null,
        IncludeObject::Metadata => partial(object),
        IncludeObject::Object => object.clone(),
    };
    json!({"cells": resource.columns().cells(object, now), "object": shown})
}

/// A Table.
pub(crate) fn table(resource: &Resource, beta: bool, metadata: Value, rows: Vec<Value>, definitions: bool) -> Value {
    let version = if beta { "meta.k8s.io/v1beta1" } else { "meta.k8s.io/v1" };
    let definitions = if definitions { resource.columns().definitions() } else { Value::Null };
    let mut table = Map::new();
    table.insert("kind".into(), "Table".into());
    table.insert("apiVersion".into(), version.into());
    table.insert("metadata".into(), metadata);
    table.insert("columnDefinitions".into(), definitions);
    table.insert("rows".into(), Value::Array(rows));
    Value::Object(table)
}

/// The bytes in the accepted format.
pub(crate) fn encode(body: Bytes, media: Media, pretty: bool) -> Result<(Bytes, &'static str), ApiError> {
    match media {
        Media::Json if !pretty => Ok((body, "application/json")),
        Media::Json => {
            let text = serde_json::to_string_pretty(&parse(&body)?).map_err(ApiError::internal)?;
            Ok(((text + "\n").into(), "application/json"))
        }
        Media::Yaml => {
            let text = serde_saphyr::to_string(&parse(&body)?).map_err(ApiError::internal)?;
            Ok((text.into(), "application/yaml"))
        }
    }
}
