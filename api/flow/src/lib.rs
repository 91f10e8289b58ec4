//! Fair queueing of requests: a rude client cannot starve another.
//!
//! A request is matched to a [flow schema](spec::FlowSchemaSpec), which names a priority level and how to tell its
//! flows apart (by user or namespace). Each level has a share of the server's seats; what it does not use, others may
//! borrow ([`limits`]). Within a level a flow is dealt a few of many queues ([`shard`]) and the queues take turns by
//! virtual time ([`queues`]), so that one who asks a thousand times waits for himself and not others for him. Who has
//! waited too long, or finds his queue full, is sent away with the time after which to come again.
//!
//! All but [`Fairness`] is pure: time arrives as an argument, in nanoseconds. The rules and numbers are those of
//! Kubernetes' API priority and fairness (KEP-1040).

pub mod bootstrap;
mod demand;
mod dropped;
mod fairness;
mod level;
pub mod limits;
mod matching;
mod plan;
pub mod queues;
pub mod shard;
pub mod spec;
pub mod validate;
mod width;

pub use fairness::{ADJUST_PERIOD, Class, Fairness, Options, Seat};
pub use level::{LevelReport, RejectReason, Rejected};
pub use matching::RequestFacts;
pub use plan::Named;
pub use width::{Cost, Width};
