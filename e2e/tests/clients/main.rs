//! Clients that others wrote, unmodified, against a real cluster: each file is one client, or one part of what people do
//! with it, told by what is typed and what is read.

// In tests a failed unwrap is a failed test.
#![allow(clippy::unwrap_used)]

mod helm;
mod javascript;
mod kopf;
mod kube_rs;
mod kubectl_access;
mod kubectl_apply;
mod kubectl_change;
mod kubectl_delete;
mod kubectl_old;
mod kubectl_policy;
mod kubectl_prune;
mod kubectl_read;
mod kubectl_wire;
mod python;
mod typed;
