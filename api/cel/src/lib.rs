//! Common Expression Language with the Kubernetes libraries: parser, type checker, cost estimator, evaluator.
//!
//! ```text
//! text + Env --compile--> Checked --cost::estimate--> Range
//!                            |
//!                            +--Program::new--> Program --eval(Activation, Budget)--> Value
//! ```
//!
//! [`compile`] checks a text against what an [`env::Env`] declares: variables, and objects with fields, made by hand
//! or from a structural schema ([`schema::declare`]). [`cost::estimate`] bounds what it can cost, from the sizes that
//! the declarations bound. A [`Program`] runs it.
//!
//! The halves meet in three places. [`ast`] is the tree that the checker completes: identifiers carry slots, calls the
//! ids of the overloads that may apply. [`declarations`] lists every function; a function is run by its name and looks
//! at its arguments itself, so the ids only matter for costs and where arguments cannot tell the result. [`escape`]
//! maps property names to what expressions write: declared fields and the fields of [`ast::Select`] are escaped, keys
//! of maps never are.

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
