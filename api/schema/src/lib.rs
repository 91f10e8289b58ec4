//! What an object may look like and how it changes, as pure functions over JSON: no I/O, no clock, no tokio.
//!
//! One compiled form of a kind's schema ([`structural::Structural`]) serves defaulting, pruning, validation,
//! server-side apply and documentation; the other modules are the request forms of the Kubernetes API
//! (patches, selectors, Table, OpenAPI) down to the wording of their errors.

pub mod error;
pub mod jsonpath;
pub mod managed;
pub mod openapi;
pub mod patch;
mod rules;
pub mod selector;
pub mod structural;
pub mod table;

pub use error::{CauseReason, FieldError, Path, invalid_message};
pub use rules::{FieldPath, PathError, field_path};
pub use structural::{Explained, Structural, UnknownField};
