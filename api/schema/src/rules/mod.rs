//! Expressions that a schema asks of values (`x-kubernetes-validations`), in CEL.
//!
//! [`tree`] compiles them once, into a tree that has only the places which bear rules. [`eval`] asks them of an object;
//! [`define`] asks a definition whether its rules make sense and are cheap enough. [`field_path`] reads the paths
//! that rules and selectable fields name.

mod define;
mod eval;
mod field_path;
mod one;
#[cfg(test)]
mod tests;
mod tree;

pub(crate) use self::define::check_definition;
pub(crate) use self::eval::check_object;
pub use self::field_path::{FieldPath, PathError, field_path};
pub(crate) use self::tree::RuleNode;
