//! The controllers against the API server, in one process, over the memory store.

mod garbage;
mod harness;
mod leader;
mod namespace;
mod node;
mod placement;
