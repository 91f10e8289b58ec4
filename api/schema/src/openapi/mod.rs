//! OpenAPI documents, made from the list of kinds that are served.

use std::sync::Arc;

use serde_json::Value;

/// What the documents need to know of a kind.
#[derive(Clone, Debug)]
pub struct KindDoc {
    /// Empty for the core group.
    pub group: String,
    pub version: String,
    pub kind: String,
    pub list_kind: String,
    pub plural: String,
    pub singular: String,
    pub namespaced: bool,
    /// The `openAPIV3Schema`, without references (see [`inline_refs`]).
    pub schema: Arc<Value>,
    pub status: bool,
    pub scale: bool,
    /// Built-in kinds only: `application/strategic-merge-patch+json` is offered.
    pub strategic: bool,
    /// As in discovery: get, list, watch, create, update, patch, delete, deletecollection.
    pub verbs: Vec<String>,
}

/// The v3 document of one group and version; `kinds` are those of that group and version.
pub fn v3(_title: &str, _version: &str, _kinds: &[KindDoc]) -> Value {
    Value::Null
}

/// The v2 document of everything that is served.
pub fn v2_json(_title: &str, _version: &str, _kinds: &[KindDoc]) -> Value {
    Value::Null
}

/// A v2 document as gnostic protobuf (`application/com.github.proto-openapi.spec.v2.v1.0+protobuf`).
pub fn v2_protobuf(_v2: &Value) -> Vec<u8> {
    Vec::new()
}

/// Replaces `$ref` to `$defs`/`definitions` by what they refer to, so that the schema becomes structural.
/// A reference into itself becomes an object that preserves unknown fields.
pub fn inline_refs(schema: Value) -> Value {
    schema
}
