//! Who gets which node: the pure core of placement. No I/O, no threads, no clock.
//!
//! [`Cluster`] is the book: nodes, roles and what is booked on them. [`Cluster::place`] decides about all
//! pending tasks at once and books what it decides; [`Cluster::explain`] says why a task fits nowhere.
//!
//! Guarantees, each a property test in `tests/properties.rs`:
//! - no decision books more of a node than it has, nor a port twice;
//! - no decision takes a role (or one of its ancestors) over a limit;
//! - a task that is not placed fits on no node at the end of the run;
//! - the same input gives the same decisions.

mod cluster;
mod compile;
mod counts;
mod explain;
mod fit;
mod model;
mod place;
mod ports;
mod ranges;
mod resources;
mod roles;

pub use cluster::{Booking, Cluster, Overbooked};
pub use explain::{Explanation, Reason, ReasonCount};
pub use model::{
    AffinityTerm, Constraint, Effect, Expression, ExpressionOperator, Node, Operator, PortWish, Protocol, Shape, Taint,
    Toleration,
};
pub use place::{Decision, Pending};
pub use ranges::Ranges;
pub use resources::{Milli, Resources};
pub use roles::Role;
