//! Tasks on this node: the pure machine, the worker that drives it, and what prepares a container.

mod admission;
pub mod hooks;
mod jobs;
pub mod ledger;
pub mod manager;
mod ports;
pub mod state;
pub mod worker;
