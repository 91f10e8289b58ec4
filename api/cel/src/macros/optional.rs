//! `cel.bind`, `optMap`, `optFlatMap`.

use std::sync::Arc;

use super::{Expanded, Fail, misuse, name};
use crate::ast::{Expr, ops};
use crate::parser::{Parser, Stop};

/// Names the optional itself while its value is mapped; cannot be written in an expression.
///
/// cel-go repeats the receiver instead, which doubles it with every further `optMap` of a chain.
const OPTIONAL: &str = "@optional";

pub(super) fn bind(parser: &mut Parser<'_>, offset: u32, args: Vec<Expr>) -> Expanded {
    let [var, init, body] = exactly(args)?;
    let var = simple(&var, "cel.bind() variable names must be simple identifiers")?;
    Ok(parser.bind(offset, var, init, body)?)
}

/// `target.hasValue() ? optional.of(transform) : optional.none()`.
pub(super) fn map(parser: &mut Parser<'_>, offset: u32, target: Expr, args: Vec<Expr>) -> Expanded {
    let [var, transform] = exactly(args)?;
    let var = simple(&var, "optMap() variable name must be a simple identifier")?;
    let mapped = bind_value(parser, offset, var, transform)?;
    let mapped = parser.call(offset, "optional.of", vec![mapped])?;
    Ok(if_present(parser, offset, target, mapped)?)
}

/// `target.hasValue() ? transform : optional.none()`.
pub(super) fn flat_map(parser: &mut Parser<'_>, offset: u32, target: Expr, args: Vec<Expr>) -> Expanded {
    let [var, transform] = exactly(args)?;
    let var = simple(&var, "optFlatMap() variable name must be a simple identifier")?;
    let mapped = bind_value(parser, offset, var, transform)?;
    Ok(if_present(parser, offset, target, mapped)?)
}

fn bind_value(parser: &mut Parser<'_>, offset: u32, var: Arc<str>, transform: Expr) -> Result<Expr, Stop> {
    let target = parser.ident(offset, OPTIONAL)?;
    let value = parser.member_call(offset, target, "value", Vec::new())?;
    parser.bind(offset, var, value, transform)
}

fn if_present(parser: &mut Parser<'_>, offset: u32, target: Expr, mapped: Expr) -> Result<Expr, Stop> {
    let bound = parser.ident(offset, OPTIONAL)?;
    let present = parser.member_call(offset, bound, "hasValue", Vec::new())?;
    let none = parser.call(offset, "optional.none", Vec::new())?;
    let body = parser.call(offset, ops::CONDITIONAL, vec![present, mapped, none])?;
    parser.bind(offset, OPTIONAL.into(), target, body)
}

fn simple(expr: &Expr, complaint: &str) -> Result<Arc<str>, Fail> {
    match name(expr) {
        Some(name) => Ok(Arc::clone(name)),
        None => misuse(expr.offset, complaint),
    }
}

/// The macro table only comes here with the right number of arguments.
fn exactly<const N: usize>(args: Vec<Expr>) -> Result<[Expr; N], Fail> {
    args.try_into().map_err(|_| Fail::Stop)
}
