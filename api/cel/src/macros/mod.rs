//! Macros: calls that the parser replaces by other expressions.
//!
//! What a macro makes stands where its call stands, so later messages point there. A macro is recognized by name,
//! number of arguments and whether it has a receiver; anything else with that name is an ordinary call.

mod fold;
mod optional;
mod transform;

use std::sync::Arc;

use crate::ast::{ACCUMULATOR, Expr, ExprKind, Literal, Select};
use crate::parser::{Parser, Stop};

/// Why a macro's arguments make no sense, and where.
pub(crate) struct Misuse {
    offset: u32,
    message: String,
}

/// Expanding ends early for a misuse (reported by [`call`]) or for a limit (already reported).
pub(crate) enum Fail {
    Misuse(Misuse),
    Stop,
}

impl From<Stop> for Fail {
    fn from(_: Stop) -> Self {
        Self::Stop
    }
}

type Expanded = Result<Expr, Fail>;

/// The expression that a call stands for: the macro's, or the call itself.
pub(crate) fn call(
    parser: &mut Parser<'_>,
    offset: u32,
    target: Option<Expr>,
    function: &str,
    args: Vec<Expr>,
) -> Result<Expr, Stop> {
    let expanded = match target {
        None => global(parser, offset, function, args),
        Some(target) => member(parser, offset, target, function, args),
    };
    match expanded {
        Ok(expr) => Ok(expr),
        Err(Fail::Stop) => Err(Stop),
        Err(Fail::Misuse(Misuse { offset: at, message })) => {
            // After a syntax error the arguments may be placeholders: nothing is wrong with those.
            if !parser.has_failed() {
                parser.report(at, message);
            }
            parser.placeholder(offset)
        }
    }
}

fn global(parser: &mut Parser<'_>, offset: u32, function: &str, mut args: Vec<Expr>) -> Expanded {
    if function != "has" || args.len() != 1 {
        return Ok(parser.call(offset, function, args)?);
    }
    let arg = args.remove(0);
    match arg.kind {
        ExprKind::Select(select) if !select.optional => {
            let select = Select { test_only: true, ..*select };
            Ok(parser.node(offset, ExprKind::Select(Box::new(select)))?)
        }
        _ => misuse(arg.offset, "invalid argument to has() macro"),
    }
}

fn member(parser: &mut Parser<'_>, offset: u32, target: Expr, function: &str, args: Vec<Expr>) -> Expanded {
    match (function, args.len()) {
        ("all", 2 | 3) => fold::all(parser, offset, target, args),
        ("exists", 2 | 3) => fold::exists(parser, offset, target, args),
        ("exists_one" | "existsOne", 2 | 3) => fold::exists_one(parser, offset, target, args),
        ("map", 2 | 3) => fold::map(parser, offset, target, args),
        ("filter", 2) => fold::filter(parser, offset, target, args),
        ("transformList", 3 | 4) => transform::list(parser, offset, target, args),
        ("transformMap", 3 | 4) => transform::map(parser, offset, target, args),
        ("transformMapEntry", 3 | 4) => transform::map_entry(parser, offset, target, args),
        ("sortBy", 2) => transform::sort_by(parser, offset, target, args),
        ("optMap", 2) => optional::map(parser, offset, target, args),
        ("optFlatMap", 2) => optional::flat_map(parser, offset, target, args),
        ("bind", 3) if is_name(&target, "cel") => optional::bind(parser, offset, args),
        _ => Ok(parser.member_call(offset, target, function, args)?),
    }
}

fn is_name(expr: &Expr, expected: &str) -> bool {
    name(expr).is_some_and(|name| name.as_ref() == expected)
}

/// The name, when the expression is nothing else.
fn name(expr: &Expr) -> Option<&Arc<str>> {
    match &expr.kind {
        ExprKind::Ident(ident) => Some(&ident.name),
        _ => None,
    }
}

/// A name that a macro may give to what it iterates over.
fn variable(expr: &Expr, complaint: &str) -> Result<Arc<str>, Fail> {
    let Some(name) = name(expr) else {
        return Err(Fail::Misuse(Misuse { offset: expr.offset, message: complaint.to_owned() }));
    };
    if matches!(name.as_ref(), ACCUMULATOR | "__result__") {
        let message = "iteration variable overwrites accumulator variable".to_owned();
        return Err(Fail::Misuse(Misuse { offset: expr.offset, message }));
    }
    Ok(Arc::clone(name))
}

fn misuse<T>(offset: u32, message: impl Into<String>) -> Result<T, Fail> {
    Err(Fail::Misuse(Misuse { offset, message: message.into() }))
}

/// The accumulator, as an expression.
fn accumulator(parser: &mut Parser<'_>, offset: u32) -> Result<Expr, Stop> {
    parser.ident(offset, ACCUMULATOR)
}

fn boolean(parser: &mut Parser<'_>, offset: u32, value: bool) -> Result<Expr, Stop> {
    parser.literal(offset, Literal::Bool(value))
}
