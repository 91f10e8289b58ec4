//! Label and field selectors: the query forms of list and watch.

mod field;
mod label;
mod parse;
#[cfg(test)]
mod tests;
mod words;

pub use field::{FieldSelector, FieldTerm};
pub use label::{LabelSelector, Operator, Requirement};
pub use words::{key_problem, value_problem};

/// A selector longer than this is no question a person or program asks; matching cost grows with it.
pub const SELECTOR_BYTES_MAX: usize = 64 * 1024;

/// A selector that cannot be read. The text is the message of the 400 answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SelectorError(pub String);
