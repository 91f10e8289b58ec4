//! Placement: gives every pending task a node, at once, and says why when none fits.
//!
//! One [loop](worker) owns one [`Book`](book::Book): the engine's picture of nodes, roles and bookings, rebuilt
//! from the local stores by every new leader. **A task with a `nodeName` that has not ended is the only fact**;
//! what was decided and is being written is booked beside the facts until the store shows it.
//!
//! The order of writes is the order of what people wait for: bindings first, then why something is not placed,
//! then (a little later) the `Scheduled` condition and event of what is starting already.

mod binding;
mod book;
mod status;
mod translate;
mod worker;

use berth_offers::Resources;
use berth_types::{Node, Role, Task};

use crate::driver::{Part, Watch};

/// The field manager and the component that events come from.
pub(crate) const MANAGER: &str = "berth-placement";

/// What the manager runs for this part.
pub fn parts() -> Vec<Part> {
    let watches = vec![Watch::read_only::<Task>(), Watch::read_only::<Node>(), Watch::read_only::<Role>()];
    vec![Part::Background(MANAGER, watches, Box::new(|ctx, stop| Box::pin(worker::run(ctx, stop))))]
}

/// What a task holds of its node; `None` when it has none or has ended.
pub(crate) fn held_by(task: &Task) -> Option<Resources> {
    let has_ended = task.status.as_ref().is_some_and(|status| status.phase.is_terminal());
    task.spec.node_name.as_ref().filter(|node| !node.is_empty() && !has_ended)?;
    Some(translate::shape(task).map(|shape| shape.requests).unwrap_or_default())
}
