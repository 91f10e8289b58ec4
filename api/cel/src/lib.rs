//! Common Expression Language with the Kubernetes libraries: parser, type checker, cost estimator, evaluator.

pub mod ast;
mod check;
pub mod cost;
pub mod declarations;
pub mod env;
pub mod escape;
mod lexer;
mod macros;
pub mod parser;
pub mod source;
pub mod types;

pub use check::{Checked, compile};
