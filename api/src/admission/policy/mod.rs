//! Policies in CEL: rules about writes that are stored as objects, and bound to what they rule by bindings.

mod atomics;
mod evaluate;
mod mutating;
mod params;
mod patch;
mod table;
mod validating;

pub(crate) use mutating::mutate;
pub(crate) use table::{Policies, SOURCES};
pub(crate) use validating::validate;
