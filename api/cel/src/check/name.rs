//! Identifiers and selections: variables, types, dotted names, fields.

use std::sync::Arc;

use super::Checker;
use crate::ast::{Expr, ExprKind, Ident, Literal, Select, Slot};
use crate::types::Type;

impl Checker<'_> {
    pub(super) fn ident(&mut self, expr: &mut Expr) -> Type {
        let ExprKind::Ident(ident) = &mut expr.kind else { return Type::Error };
        let name = Arc::clone(&ident.name);
        match self.resolve(&name) {
            Some((resolved, found)) => {
                *ident = resolved;
                found
            }
            None => self.undeclared(expr.offset, &name),
        }
    }

    /// What a simple name stands for: the innermost local variable, a variable, or a type. A name with a leading dot
    /// is never local.
    fn resolve(&mut self, name: &str) -> Option<(Ident, Type)> {
        if let Some(index) = self.locals.iter().rposition(|(local, _)| local.as_ref() == name) {
            let (local, found) = &self.locals[index];
            let slot = Slot::Local(u32::try_from(index).unwrap_or(u32::MAX));
            return Some((Ident { name: Arc::clone(local), slot }, found.clone()));
        }
        self.resolve_global(name.strip_prefix('.').unwrap_or(name))
    }

    fn resolve_global(&mut self, name: &str) -> Option<(Ident, Type)> {
        if let Some(decl) = self.env.variable(name) {
            let found = decl.as_type();
            let index = self.variables.iter().position(|known| known.as_ref() == name).unwrap_or_else(|| {
                self.variables.push(name.into());
                self.variables.len() - 1
            });
            let slot = Slot::Variable(u32::try_from(index).unwrap_or(u32::MAX));
            return Some((Ident { name: name.into(), slot }, found));
        }
        let named = self.env.type_named(name)?;
        Some((Ident { name: name.into(), slot: Slot::Type(named.clone()) }, Type::type_of(named)))
    }

    pub(super) fn select(&mut self, expr: &mut Expr) -> Type {
        // `a.b.c` may be the dotted name of a variable or a type.
        if let Some((ident, found)) = dotted(expr).and_then(|name| self.resolve_dotted(&name)) {
            expr.kind = ExprKind::Ident(ident);
            return found;
        }
        let offset = expr.offset;
        let ExprKind::Select(select) = &mut expr.kind else { return Type::Error };
        let Select { operand, field, test_only, optional } = select.as_mut();
        self.expr(operand);
        let operand_type = self.type_of(operand);
        let operand_type = self.bindings.resolve(&operand_type, false);
        let selected = self.field(&operand_type, field, *optional, offset);
        if *test_only { Type::Bool } else { self.bindings.resolve(&selected, false) }
    }

    fn resolve_dotted(&mut self, name: &str) -> Option<(Ident, Type)> {
        let root = name.split('.').find(|part| !part.is_empty())?;
        if !name.starts_with('.') && self.locals.iter().any(|(local, _)| local.as_ref() == root) {
            return None;
        }
        self.resolve_global(name.strip_prefix('.').unwrap_or(name))
    }

    /// The type of a field of something of this type.
    fn field(&mut self, of: &Type, field: &str, optional: bool, offset: u32) -> Type {
        let (target, is_optional) = match of {
            Type::Optional(value) => (value.as_ref(), true),
            other => (other, false),
        };
        let found = match target {
            Type::Map(_, value) => value.as_ref().clone(),
            Type::Object(object) => match self.env.field(object, field) {
                Some(found) => found,
                None => {
                    self.report(offset, format!("undefined field '{field}'"));
                    Type::Error
                }
            },
            Type::Param(_) => {
                self.assignable(&Type::Dyn, target);
                Type::Dyn
            }
            Type::Dyn | Type::Error => Type::Dyn,
            other => {
                self.report(offset, format!("type '{other}' does not support field selection"));
                Type::Dyn
            }
        };
        if optional || is_optional { Type::optional(found) } else { found }
    }
}

/// `a.b.c` of a chain of plain selections that starts with a name.
pub(super) fn dotted(expr: &Expr) -> Option<String> {
    match &expr.kind {
        ExprKind::Ident(ident) => Some(ident.name.to_string()),
        ExprKind::Select(select) if !select.test_only && !select.optional => {
            let mut name = dotted(&select.operand)?;
            name.push('.');
            name.push_str(&select.field);
            Some(name)
        }
        _ => None,
    }
}

/// The text of a string literal.
pub(super) fn string_literal(expr: &Expr) -> Option<&str> {
    match &expr.kind {
        ExprKind::Literal(Literal::String(text)) => Some(text),
        _ => None,
    }
}
