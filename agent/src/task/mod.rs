//! Tasks on this node: the pure machine, the worker that drives it, and what prepares a container.

pub mod hooks;
mod jobs;
pub mod ledger;
pub mod manager;
pub mod state;
pub mod worker;
