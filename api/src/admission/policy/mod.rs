//! Policies in CEL: rules about writes that are stored as objects, and bound to what they rule by bindings.

mod atomics;
mod evaluate;
mod follow;
mod mutating;
mod params;
mod patch;
mod table;
mod typecheck;
mod validating;

pub(crate) use follow::follow;
pub(crate) use mutating::mutate;
pub(crate) use table::{Policies, SOURCES};
pub(crate) use validating::validate;
