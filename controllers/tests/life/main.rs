//! The controllers against the API server, in one process, over the memory store.

// In tests a failed unwrap is a failed test.
#![allow(clippy::unwrap_used)]

mod baseline;
mod certificates;
mod cluster_role;
mod garbage;
mod harness;
mod leader;
mod namespace;
mod node;
mod placement;
mod quota;
