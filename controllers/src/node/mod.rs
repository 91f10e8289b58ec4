//! The life of nodes, told by their Leases: a silent node gets a taint, its tasks are said to be unknown, and
//! after a longer time they are deleted so that their owners replace them. All of it is taken back when the node
//! speaks again. The tasks of a node whose object is gone are let go of.

mod lifecycle;
mod plan;

use std::sync::Arc;

use crate::driver::Part;

pub use plan::Patience;

/// The component that events come from, and the field manager of what is written.
pub(crate) const MANAGER: &str = "berth-node-controller";

/// What the manager runs for this part.
pub fn parts() -> Vec<Part> {
    parts_with(Patience::default())
}

/// The same with other times to wait.
pub fn parts_with(patience: Patience) -> Vec<Part> {
    vec![Part::Reconciler(Arc::new(lifecycle::Nodes::new(patience)))]
}
