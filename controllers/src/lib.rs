//! The controller manager: everything that makes the cluster match its objects, as clients of the API server.
//!
//! - [`driver`]: informers, work queues, back-off, status and event writing; shared by all controllers.
//! - [`service`], [`job`], [`job_run`]: who makes tasks.
//! - [`placement`]: which node a task goes to. [`node`], [`role`]: the life of nodes and tenants.
//! - [`cluster_role`]: which rules aggregated roles have.
//! - [`garbage`], [`namespace`]: what goes when its owner or namespace went. [`baseline`]: what every namespace has.
//! - [`certificates`]: who joins, and with what certificates.
//! - [`leader`]: one manager at a time acts.
//!
//! [`run`] starts them all.

pub mod baseline;
pub mod certificates;
pub mod cluster_role;
pub mod driver;
pub mod events;
pub mod garbage;
pub mod job;
pub mod job_run;
pub mod leader;
pub mod metrics;
pub mod namespace;
pub mod node;
pub mod placement;
pub mod quota;
pub mod role;
mod run;
pub mod service;

pub use run::{Handle, Options, all_parts, run};
