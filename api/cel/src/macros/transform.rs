//! `transformList`, `transformMap`, `transformMapEntry`, `sortBy`.

use super::fold::{self, Parts, Vars};
use super::{Expanded, accumulator, misuse};
use crate::ast::{Expr, ExprKind, Fold, ops};
use crate::parser::{Parser, Stop};

/// Names the sorted list while its keys are computed; cannot be written in an expression.
const SORT_INPUT: &str = "@__sortBy_input__";

pub(super) fn list(parser: &mut Parser<'_>, offset: u32, range: Expr, mut args: Vec<Expr>) -> Expanded {
    let vars = fold::two(&mut args)?;
    let step = fold::append_transformed(parser, offset, args)?;
    let init = parser.list(offset, Vec::new())?;
    fold::build(
        parser,
        offset,
        Parts { fold: Fold::TransformList, vars, range, init, condition: None, step, result: None },
    )
}

pub(super) fn map(parser: &mut Parser<'_>, offset: u32, range: Expr, mut args: Vec<Expr>) -> Expanded {
    let vars = fold::two(&mut args)?;
    let key = parser.ident(offset, &vars.0)?;
    insert(parser, offset, Fold::TransformMap, vars, range, args, Some(key))
}

pub(super) fn map_entry(parser: &mut Parser<'_>, offset: u32, range: Expr, mut args: Vec<Expr>) -> Expanded {
    let vars = fold::two(&mut args)?;
    insert(parser, offset, Fold::TransformMapEntry, vars, range, args, None)
}

/// `cel.@mapInsert(accu, [key,] transform)`, possibly under a filter.
fn insert(
    parser: &mut Parser<'_>,
    offset: u32,
    fold: Fold,
    vars: Vars,
    range: Expr,
    mut args: Vec<Expr>,
    key: Option<Expr>,
) -> Expanded {
    let condition = if args.len() > 1 { Some(args.remove(0)) } else { None };
    let mut inserted = vec![accumulator(parser, offset)?];
    inserted.extend(key);
    inserted.append(&mut args);
    let mut step = parser.call(offset, ops::MAP_INSERT, inserted)?;
    if let Some(condition) = condition {
        step = fold::only_if(parser, offset, condition, step)?;
    }
    let init = parser.node(offset, ExprKind::Map(Vec::new()))?;
    fold::build(parser, offset, Parts { fold, vars, range, init, condition: None, step, result: None })
}

/// `list.sortBy(x, key)`: binds the list, maps it to its keys and sorts by them.
pub(super) fn sort_by(parser: &mut Parser<'_>, offset: u32, target: Expr, args: Vec<Expr>) -> Expanded {
    if matches!(target.kind, ExprKind::Literal(_) | ExprKind::Map(_) | ExprKind::Struct(_)) {
        return misuse(
            target.offset,
            "sortBy can only be applied to a list, identifier, comprehension, call or select expression",
        );
    }
    let input = sort_input(parser, offset)?;
    let keys = fold::map(parser, offset, input, args)?;
    let input = sort_input(parser, offset)?;
    let sorted = parser.member_call(offset, input, "@sortByAssociatedKeys", vec![keys])?;
    Ok(parser.bind(offset, SORT_INPUT.into(), target, sorted)?)
}

fn sort_input(parser: &mut Parser<'_>, offset: u32) -> Result<Expr, Stop> {
    parser.ident(offset, SORT_INPUT)
}
