//! Common Expression Language with the Kubernetes libraries: parser, type checker, cost estimator, evaluator.

pub mod ast;
mod budget;
mod check;
pub mod cost;
pub mod declarations;
pub mod env;
mod error;
pub mod escape;
mod eval;
mod lexer;
mod library;
mod macros;
pub mod parser;
pub mod schema;
pub mod source;
pub mod types;
pub mod value;

pub use budget::{
    ALLOCATION_LIMIT_BYTES, Budget, CHECK_FREQUENCY, MATCH_CONDITIONS_LIMIT, Meter, PER_CALL_LIMIT, PER_OBJECT_LIMIT,
};
pub use check::{Checked, compile};
pub use error::{COST_LIMIT_MESSAGE, ErrorKind, EvalError};
pub use eval::{Activation, LinkError, Program};
pub use value::Value;
