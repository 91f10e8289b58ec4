//! The API server: the Kubernetes API protocol over the rows of a registry.
//!
//! - [`ApiServer`] is the whole server as one `tower::Service`; `server` puts it on a socket.
//! - [`registry`]: a kind is a row; a strategy (a few pure functions) is the only place for what is special.
//! - `http`: from a request to an answer. `write`: the one path that every change takes.
//! - [`authn`], `authz`, [`pki`]: who asks, whether they may, and the certificates to prove it with.

mod admission;
mod aggregate;
mod api;
mod audit;
pub mod authn;
mod authz;
mod body;
mod bootstrap;
mod connections;
mod derived;
mod fairness;
mod files;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod http;
mod inner;
pub mod kubeconfig;
mod metrics;
pub mod pki;
mod protobuf;
mod registry;
mod request;
mod server;
mod stalling;
pub mod status;
mod version;
mod webhook;
mod write;

pub use api::{ApiServer, Config, OpenError, StoreConfig};
pub use audit::{AuditConfig, AuditError, AuditLog, AuditWebhook};
pub use authn::{IdentityConfig, IdentityError, RequestHeaders, UserInfo};
pub use body::ApiBody;
