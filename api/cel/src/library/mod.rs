//! The functions of the language and of the libraries that Kubernetes 1.36 enables.
//!
//! A function is found once, by name, when a program is linked, and looks at the types of its arguments itself: that is
//! what dynamic arguments need, and for others the check of one tag costs nothing. Costs are in [`cost`].

pub(crate) mod arithmetic;
mod authorizer;
mod conversion;
pub(crate) mod cost;
pub(crate) mod encoding;
mod format;
mod format_clause;
pub(crate) mod formats;
pub(crate) mod go;
mod lists;
pub(crate) mod net;
pub(crate) mod optional;
pub(crate) mod quantity;
pub(crate) mod regex;
mod regex_syntax;
pub(crate) mod semver;
mod sets;
mod strings;
mod table;
pub(crate) mod time;
pub(crate) mod url;
mod url_functions;

pub(crate) use self::table::{Function, lookup};
use crate::error::EvalError;
use crate::value::Value;

/// Arguments that the function `name` is not declared for.
pub(crate) fn arguments(name: &str, args: &[Value<'_>]) -> EvalError {
    let types: Vec<&str> = args.iter().map(Value::type_name).collect();
    EvalError::new(format!("no such overload: {name}({})", types.join(", ")))
}
