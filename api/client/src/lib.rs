//! How every part of Berth, and every plugin in Rust, talks to the API server.
//!
//! Re-exports [`kube`] and [`k8s_openapi`], so that a new major version of either is one change.

pub use k8s_openapi;
pub use kube;
