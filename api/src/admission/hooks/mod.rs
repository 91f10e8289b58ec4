//! Webhooks that are asked about writes: mutating ones one after the other, validating ones at once.

mod call;
mod mutating;
mod review;
mod table;
mod validating;

pub(crate) use mutating::{Reinvocation, fit, forbid_changes, go_words, keep_identity, mutate};
pub(crate) use review::Objects;
#[cfg(feature = "fuzzing")]
pub(crate) use review::read_answer;
pub(crate) use table::{Hooks, SOURCES};
pub(crate) use validating::validate;
