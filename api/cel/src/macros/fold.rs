//! `all`, `exists`, `existsOne`, `map`, `filter`, over one variable or (the first three) two.

use std::sync::Arc;

use super::{Expanded, Fail, accumulator, boolean, misuse, variable};
use crate::ast::{ACCUMULATOR, Comprehension, Expr, ExprKind, Fold, Literal, ops};
use crate::parser::{Parser, Stop};

/// The names that a fold gives to what it iterates over.
pub(super) struct Vars(pub Arc<str>, pub Option<Arc<str>>);

/// Splits off one variable.
pub(super) fn one(args: &mut Vec<Expr>, complaint: &str) -> Result<Vars, Fail> {
    Ok(Vars(variable(&args.remove(0), complaint)?, None))
}

/// Splits off two variables, which must differ.
pub(super) fn two(args: &mut Vec<Expr>) -> Result<Vars, Fail> {
    let complaint = "argument must be a simple name";
    let first = variable(&args.remove(0), complaint)?;
    let arg = args.remove(0);
    let second = variable(&arg, complaint)?;
    if first == second {
        return misuse(arg.offset, format!("duplicate variable name: {first}"));
    }
    Ok(Vars(first, Some(second)))
}

fn one_or_two(args: &mut Vec<Expr>) -> Result<Vars, Fail> {
    if args.len() == 3 { two(args) } else { one(args, "argument must be a simple name") }
}

/// The moving parts of a fold; the condition is `true` and the result the accumulator unless told otherwise.
pub(super) struct Parts {
    pub fold: Fold,
    pub vars: Vars,
    pub range: Expr,
    pub init: Expr,
    pub condition: Option<Expr>,
    pub step: Expr,
    pub result: Option<Expr>,
}

pub(super) fn build(parser: &mut Parser<'_>, offset: u32, parts: Parts) -> Expanded {
    let Parts { fold, vars: Vars(iter_var, iter_var2), range, init, condition, step, result } = parts;
    let condition = match condition {
        Some(condition) => condition,
        None => boolean(parser, offset, true)?,
    };
    let result = match result {
        Some(result) => result,
        None => accumulator(parser, offset)?,
    };
    let accu_var = ACCUMULATOR.into();
    let fold = Comprehension { fold, iter_var, iter_var2, range, accu_var, init, condition, step, result };
    Ok(parser.node(offset, ExprKind::Comprehension(Box::new(fold)))?)
}

pub(super) fn all(parser: &mut Parser<'_>, offset: u32, range: Expr, mut args: Vec<Expr>) -> Expanded {
    let vars = one_or_two(&mut args)?;
    let init = boolean(parser, offset, true)?;
    let accu = accumulator(parser, offset)?;
    let condition = Some(parser.call(offset, ops::NOT_STRICTLY_FALSE, vec![accu])?);
    let accu = accumulator(parser, offset)?;
    let step = parser.call(offset, ops::AND, vec![accu, args.remove(0)])?;
    build(parser, offset, Parts { fold: Fold::All, vars, range, init, condition, step, result: None })
}

pub(super) fn exists(parser: &mut Parser<'_>, offset: u32, range: Expr, mut args: Vec<Expr>) -> Expanded {
    let vars = one_or_two(&mut args)?;
    let init = boolean(parser, offset, false)?;
    let accu = accumulator(parser, offset)?;
    let not_yet = parser.call(offset, ops::NOT, vec![accu])?;
    let condition = Some(parser.call(offset, ops::NOT_STRICTLY_FALSE, vec![not_yet])?);
    let accu = accumulator(parser, offset)?;
    let step = parser.call(offset, ops::OR, vec![accu, args.remove(0)])?;
    build(parser, offset, Parts { fold: Fold::Exists, vars, range, init, condition, step, result: None })
}

pub(super) fn exists_one(parser: &mut Parser<'_>, offset: u32, range: Expr, mut args: Vec<Expr>) -> Expanded {
    let vars = one_or_two(&mut args)?;
    let init = parser.literal(offset, Literal::Int(0))?;
    let accu = accumulator(parser, offset)?;
    let unit = parser.literal(offset, Literal::Int(1))?;
    let more = parser.call(offset, ops::ADD, vec![accu, unit])?;
    let step = only_if(parser, offset, args.remove(0), more)?;
    let accu = accumulator(parser, offset)?;
    let unit = parser.literal(offset, Literal::Int(1))?;
    let result = Some(parser.call(offset, ops::EQUALS, vec![accu, unit])?);
    build(parser, offset, Parts { fold: Fold::ExistsOne, vars, range, init, condition: None, step, result })
}

pub(super) fn map(parser: &mut Parser<'_>, offset: u32, range: Expr, mut args: Vec<Expr>) -> Expanded {
    let vars = one(&mut args, "argument is not an identifier")?;
    let step = append_transformed(parser, offset, args)?;
    let init = parser.list(offset, Vec::new())?;
    build(parser, offset, Parts { fold: Fold::Map, vars, range, init, condition: None, step, result: None })
}

pub(super) fn filter(parser: &mut Parser<'_>, offset: u32, range: Expr, mut args: Vec<Expr>) -> Expanded {
    let vars = one(&mut args, "argument is not an identifier")?;
    let element = parser.ident(offset, &vars.0)?;
    let more = append(parser, offset, element)?;
    let step = only_if(parser, offset, args.remove(0), more)?;
    let init = parser.list(offset, Vec::new())?;
    build(parser, offset, Parts { fold: Fold::Filter, vars, range, init, condition: None, step, result: None })
}

/// The step of `map(transform)` or `map(filter, transform)`.
pub(super) fn append_transformed(parser: &mut Parser<'_>, offset: u32, mut args: Vec<Expr>) -> Result<Expr, Stop> {
    let condition = if args.len() > 1 { Some(args.remove(0)) } else { None };
    let more = append(parser, offset, args.remove(0))?;
    match condition {
        Some(condition) => only_if(parser, offset, condition, more),
        None => Ok(more),
    }
}

/// `accu + [element]`.
fn append(parser: &mut Parser<'_>, offset: u32, element: Expr) -> Result<Expr, Stop> {
    let accu = accumulator(parser, offset)?;
    let element = parser.list(offset, vec![element])?;
    parser.call(offset, ops::ADD, vec![accu, element])
}

/// `condition ? step : accu`.
pub(super) fn only_if(parser: &mut Parser<'_>, offset: u32, condition: Expr, step: Expr) -> Result<Expr, Stop> {
    let accu = accumulator(parser, offset)?;
    parser.call(offset, ops::CONDITIONAL, vec![condition, step, accu])
}
