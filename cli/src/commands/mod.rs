//! The verbs, one file or folder each: options, complete, validate, run.

pub(crate) mod api_resources;
pub(crate) mod apply;
pub(crate) mod auth;
pub(crate) mod certificate;
pub(crate) mod completion;
pub(crate) mod create;
mod create_token;
pub(crate) mod delete;
pub(crate) mod describe;
pub(crate) mod diff;
pub(crate) mod events;
pub(crate) mod exec;
pub(crate) mod explain;
pub(crate) mod get;
pub(crate) mod login;
pub(crate) mod logs;
pub(crate) mod meta;
pub(crate) mod node;
pub(crate) mod patch;
mod ready;
pub(crate) mod rollout;
pub(crate) mod scale;
mod shared;
pub(crate) mod token;
pub(crate) mod user;
pub(crate) mod version;
pub(crate) mod wait;
pub(crate) mod why;

/// Whether an object says that it is ready.
pub(crate) fn is_ready(object: &serde_json::Value) -> bool {
    shared::is_true(object, "Ready")
}
