//! Linking of calls: operators with an evaluation of their own, constant parts, patterns, and the rest.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::LinkError;
use super::link::Linker;
use super::node::{Call, Node, Pattern, PatternKind};
use crate::ast::{self, Expr, ops};
use crate::budget::Budget;
use crate::library::{cost, formats, lookup, regex};
use crate::value::{MapKey, Opaque, Value};

/// Calls with one constant argument that are evaluated when a program is linked, as cel-go's optimizer does.
const CONVERSIONS: [&str; 10] =
    ["bool", "bytes", "double", "duration", "dyn", "int", "string", "timestamp", "type", "uint"];

impl Linker {
    pub(super) fn call(&mut self, call: &ast::Call) -> Result<Node, LinkError> {
        let args: Vec<&Expr> = call.target.iter().chain(&call.args).collect();
        // what the checker could not decide has no overload at run time
        let overload = if let [overload] = call.overloads.as_slice() { overload } else { "" };
        match (&*call.function, args.as_slice()) {
            (ops::AND, _) => Ok(Node::And(self.operands(ops::AND, &args)?)),
            (ops::OR, _) => Ok(Node::Or(self.operands(ops::OR, &args)?)),
            (ops::CONDITIONAL, [condition, then, otherwise]) => {
                let parts = [self.node(condition)?, self.inner(then)?, self.inner(otherwise)?];
                Ok(Node::Conditional(Box::new(parts)))
            }
            (ops::EQUALS, [a, b]) => Ok(Node::Equal(Box::new([self.node(a)?, self.node(b)?]))),
            (ops::NOT_EQUALS, [a, b]) => Ok(Node::NotEqual(Box::new([self.node(a)?, self.node(b)?]))),
            (ops::INDEX, [operand, index]) => self.index(operand, index, false),
            (ops::OPT_INDEX, [operand, index]) => self.index(operand, index, true),
            (ops::NOT_STRICTLY_FALSE, [operand]) => Ok(Node::NotStrictlyFalse(Box::new(self.node(operand)?))),
            ("or", [a, b]) => Ok(Node::Or2(Box::new([self.node(a)?, self.node(b)?]))),
            ("orValue", [a, b]) => Ok(Node::OrValue(Box::new([self.node(a)?, self.node(b)?]))),
            (function, []) if function.starts_with("format.") => Self::format(function),
            (function, _) => {
                let args = args.iter().map(|arg| self.node(arg)).collect::<Result<Vec<_>, _>>()?;
                plain(function, overload, args)
            }
        }
    }

    /// The operands of a chain of the same logical operator, flattened.
    fn operands(&mut self, operator: &str, args: &[&Expr]) -> Result<Box<[Node]>, LinkError> {
        let mut pending: Vec<&Expr> = args.iter().rev().copied().collect();
        let mut operands = Vec::with_capacity(args.len());
        while let Some(expr) = pending.pop() {
            match &expr.kind {
                ast::ExprKind::Call(call) if *call.function == *operator && call.target.is_none() => {
                    pending.extend(call.args.iter().rev());
                }
                _ => operands.push(self.node(expr)?),
            }
        }
        Ok(operands.into())
    }

    /// `format.dns1123Label()`: a constant, at the price of a call.
    fn format(function: &str) -> Result<Node, LinkError> {
        let format = formats::named(function.trim_start_matches("format.")).ok_or_else(|| missing(function))?;
        let same = lookup("dyn", "").ok_or_else(|| missing(function))?;
        let args = Box::new([Node::Const(Value::Opaque(Opaque::Format(format)))]);
        Ok(Node::Call(Box::new(Call { function: same, cost: cost::of_call(function, ""), args })))
    }
}

fn missing(function: &str) -> LinkError {
    LinkError { message: format!("no such overload: {function}") }
}

/// A call of a function with linked arguments.
fn plain(function: &str, overload: &str, args: Vec<Node>) -> Result<Node, LinkError> {
    let code = lookup(function, overload).ok_or_else(|| missing(function))?;
    let call_cost = cost::of_call(function, overload);
    if let [Node::Const(value)] = args.as_slice()
        && CONVERSIONS.contains(&function)
    {
        // constants are small: what a program may allocate bounds them too
        let mut meter = Budget::default().meter();
        let value = code(std::slice::from_ref(value), &mut meter);
        let value = value.map_err(|error| LinkError { message: error.to_string() })?;
        return match value.into_owned() {
            Some(value) => Ok(Node::Const(value)),
            None => Err(missing(function)),
        };
    }
    let kind = match function {
        "matches" => Some(PatternKind::Matches),
        "find" => Some(PatternKind::Find),
        "findAll" => Some(PatternKind::FindAll),
        _ => None,
    };
    if let (Some(kind), Some(Node::Const(Value::String(pattern)))) = (kind, args.get(1)) {
        let regex = regex::compile(pattern).map_err(|message| LinkError { message })?;
        let args = args.into();
        return Ok(Node::Pattern(Box::new(Pattern { kind, regex: Arc::new(regex), cost: call_cost, args })));
    }
    if overload == "in_list"
        && let [_, Node::Const(Value::List(items))] = args.as_slice()
        && let Some(members) = members(items)
    {
        let element = args.into_iter().next().ok_or_else(|| missing(function))?;
        return Ok(Node::Member(Box::new((element, members))));
    }
    Ok(Node::Call(Box::new(Call { function: code, cost: call_cost, args: args.into() })))
}

/// The elements of a constant list as a set; `None` when one of them is no primitive.
fn members(items: &[Value<'static>]) -> Option<BTreeSet<MapKey<'static>>> {
    // a fractional double is a primitive too, but has no key: such a list is searched
    items.iter().map(MapKey::new).collect()
}
