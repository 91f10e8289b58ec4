//! The API server from the outside: in process over a store in memory, and over TLS.

// In tests a failed unwrap is a failed test.
#![allow(clippy::unwrap_used)]
#![recursion_limit = "256"]

mod access;
mod admission_limits;
mod admission_support;
mod admission_webhooks;
mod apply;
mod auth;
mod bad_input;
mod behaviours;
mod controller;
mod crud;
mod delete;
mod documents;
mod faults;
mod fuzz;
mod hostile;
mod list;
mod patch;
mod proxy;
mod rbac_matrix;
mod status_scale;
mod support;
mod tls;
mod types;
mod validation;
mod versions;
mod watch;
