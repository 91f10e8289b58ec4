//! The API server from the outside: in process over a store in memory, and over TLS.

// In tests a failed unwrap is a failed test.
#![allow(clippy::unwrap_used)]
#![recursion_limit = "256"]

mod access;
mod admission_failures;
mod admission_limits;
mod admission_policies;
mod admission_support;
mod admission_webhooks;
mod aggregate;
mod aggregate_objects;
mod aggregate_support;
mod apply;
mod attacks;
mod attacks_rules;
mod audit;
mod auth;
mod bad_input;
mod behaviours;
mod controller;
mod conversion;
mod crowd;
mod crud;
mod definitions;
mod delete;
mod depth;
mod documents;
mod fairness;
mod faults;
mod fuzz;
mod go_clients;
mod hostile;
mod identity;
mod kinds;
mod kinds_extension_rules;
mod kinds_protobuf;
mod kinds_rules;
mod kinds_samples;
mod list;
mod patch;
mod planted;
mod protobuf_encode;
mod proxy;
mod rbac_matrix;
mod rules;
mod settled;
mod status_scale;
mod support;
mod table;
mod tls;
mod types;
mod validation;
mod versions;
mod watch;
mod websocket;
