//! Garbage: what goes when its owner went. Kubernetes' rules, over every kind that is served.
//!
//! - **Background**: an object all of whose owners are gone is deleted. One with an owner left only loses the
//!   references to those that are gone.
//! - **Foreground**: an owner that waits (finalizer `foregroundDeletion`) goes after those of its dependents that
//!   say `blockOwnerDeletion`.
//! - **Orphan**: an owner with the finalizer `orphan` lets go of its dependents, then goes.
//!
//! Guarantee: nothing is deleted unless the API server just said, about this very owner, that it is not there (or
//! is another object of its name), or the watch told of its end. A refusal, a kind that is not served and a
//! discovery that fails delete nothing.

mod collect;
mod graph;
pub(crate) mod kinds;
mod requests;
mod seen;
mod worker;

use crate::driver::Part;

/// The component that events come from.
pub(crate) const MANAGER: &str = "berth-garbage-collector";

/// What the manager runs for this part.
pub fn parts() -> Vec<Part> {
    vec![Part::Background(MANAGER, vec![], Box::new(|ctx, stop| Box::pin(worker::run(ctx, stop))))]
}
