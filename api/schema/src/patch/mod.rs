//! The three client-side patch forms. Each takes the document by reference and gives a new one: a failed
//! patch leaves nothing half done.

mod json;
mod merge;
mod strategic;

#[cfg(test)]
mod tests;

pub use json::{JSON_PATCH_OPERATIONS_MAX, json_patch};
pub use merge::merge_patch;
pub use strategic::{BuiltinLists, strategic_merge_patch};

/// Objects nested deeper are refused, as bodies are: every later walk over them is recursive, and who reads an object
/// must be able to write it.
pub(crate) const TREE_DEPTH_MAX: usize = 100;

/// Why a patch was refused, by the answer it deserves.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatchError {
    /// The patch cannot be read: 400 BadRequest.
    #[error("error decoding patch: {0}")]
    Malformed(String),
    /// More operations than allowed: 413 RequestEntityTooLarge.
    #[error("The allowed maximum operations in a JSON patch is {max}, got {got}")]
    TooManyOperations { max: usize, got: usize },
    /// The patch does not fit the document: 422 Invalid, "the server rejected our request due to an error in
    /// our request". The text says which operation and why, for the log.
    #[error("{0}")]
    Rejected(String),
}
