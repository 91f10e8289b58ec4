//! Making nodes: numbers them, remembers where they stand, and bounds the height of the tree.

use std::sync::Arc;

use super::{NESTING_MAX, Parser, Stop};
use crate::ast::{Bind, Call, Comprehension, Element, Entry, Expr, ExprId, ExprKind, Field, Ident, Literal, Slot};
use crate::source::NO_LOCATION;

impl Parser<'_> {
    /// A node over its children.
    pub(crate) fn node(&mut self, offset: u32, kind: ExprKind) -> Result<Expr, Stop> {
        let mut height = 0;
        for_each_child(&kind, |child| height = height.max(self.heights[child.id as usize]));
        if height >= NESTING_MAX {
            self.report(NO_LOCATION, "max recursion depth exceeded");
            return Err(Stop);
        }
        let id = self.number();
        self.heights[id as usize] = height + 1;
        Ok(Expr { id, offset, kind })
    }

    /// A number for a node, an entry or a field.
    pub(crate) fn number(&mut self) -> ExprId {
        // An expression has at most EXPRESSION_CHARS_MAX nodes, and macros add a constant number for each.
        let id = ExprId::try_from(self.heights.len()).unwrap_or(ExprId::MAX);
        self.heights.push(0);
        id
    }

    pub(crate) fn literal(&mut self, offset: u32, literal: Literal) -> Result<Expr, Stop> {
        self.node(offset, ExprKind::Literal(literal))
    }

    pub(crate) fn ident(&mut self, offset: u32, name: &str) -> Result<Expr, Stop> {
        self.node(offset, ExprKind::Ident(Ident { name: name.into(), slot: Slot::Unresolved }))
    }

    pub(crate) fn call(&mut self, offset: u32, function: &str, args: Vec<Expr>) -> Result<Expr, Stop> {
        self.any_call(offset, None, function, args)
    }

    pub(crate) fn member_call(
        &mut self,
        offset: u32,
        target: Expr,
        function: &str,
        args: Vec<Expr>,
    ) -> Result<Expr, Stop> {
        self.any_call(offset, Some(target), function, args)
    }

    fn any_call(&mut self, offset: u32, target: Option<Expr>, function: &str, args: Vec<Expr>) -> Result<Expr, Stop> {
        let call = Call { target, function: function.into(), args, overloads: Vec::new() };
        self.node(offset, ExprKind::Call(Box::new(call)))
    }

    pub(crate) fn list(&mut self, offset: u32, values: Vec<Expr>) -> Result<Expr, Stop> {
        let elements = values.into_iter().map(|value| Element { optional: false, value }).collect();
        self.node(offset, ExprKind::List(elements))
    }

    pub(crate) fn bind(&mut self, offset: u32, var: Arc<str>, init: Expr, body: Expr) -> Result<Expr, Stop> {
        self.node(offset, ExprKind::Bind(Box::new(Bind { var, init, body })))
    }

    /// Stands for an expression that was not readable; the mistake is reported.
    pub(crate) fn placeholder(&mut self, offset: u32) -> Result<Expr, Stop> {
        self.literal(offset, Literal::Null)
    }
}

/// Calls `visit` with every direct child, in order of evaluation.
pub(crate) fn for_each_child<'e>(kind: &'e ExprKind, mut visit: impl FnMut(&'e Expr)) {
    match kind {
        ExprKind::Literal(_) | ExprKind::Ident(_) => {}
        ExprKind::Select(select) => visit(&select.operand),
        ExprKind::Call(call) => {
            call.target.iter().for_each(&mut visit);
            call.args.iter().for_each(visit);
        }
        ExprKind::List(elements) => elements.iter().for_each(|Element { optional: _, value }| visit(value)),
        ExprKind::Map(entries) => {
            for Entry { id: _, optional: _, key, value } in entries {
                visit(key);
                visit(value);
            }
        }
        ExprKind::Struct(object) => {
            for Field { id: _, offset: _, optional: _, name: _, value } in &object.fields {
                visit(value);
            }
        }
        ExprKind::Comprehension(fold) => {
            let Comprehension { fold: _, iter_var: _, iter_var2: _, accu_var: _, range, init, condition, step, result } =
                fold.as_ref();
            [range, init, condition, step, result].into_iter().for_each(visit);
        }
        ExprKind::Bind(bind) => {
            visit(&bind.init);
            visit(&bind.body);
        }
    }
}
