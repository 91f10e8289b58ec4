//! OpenAPI documents, made from the list of kinds that are served.

mod explain;
mod inline;
mod names;
mod operations;
mod protobuf;
mod schemas;
#[cfg(test)]
mod tests;
mod v2;
mod v3;
mod wire;

use std::sync::Arc;

use serde_json::Value;

pub use explain::explain_v3;
pub use inline::inline_refs;
pub use protobuf::v2_protobuf;
pub use v2::v2_json;
pub use v3::v3;

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
