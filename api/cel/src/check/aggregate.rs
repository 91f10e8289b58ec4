//! Lists, maps and objects that an expression makes.

use super::Checker;
use super::infer::most_general;
use super::unify::is_too_large;
use crate::ast::{Element, Entry, Expr, ExprKind, Struct};
use crate::types::Type;

impl Checker<'_> {
    pub(super) fn list(&mut self, elements: &mut [Element]) -> Type {
        let mut joined = None;
        for Element { optional, value } in elements {
            self.expr(value);
            let found = self.part(value, *optional);
            joined = Some(self.join(value.offset, joined, found));
        }
        let elem = joined.unwrap_or_else(|| self.bindings.fresh());
        bounded(Type::list(elem))
    }

    pub(super) fn map(&mut self, entries: &mut [Entry]) -> Type {
        let mut keys = None;
        let mut values = None;
        for Entry { id: _, optional, key, value } in entries {
            self.expr(key);
            let found = self.type_of(key);
            keys = Some(self.join(key.offset, keys, found));
            self.expr(value);
            let found = self.part(value, *optional);
            values = Some(self.join(value.offset, values, found));
        }
        let key = keys.unwrap_or_else(|| self.bindings.fresh());
        let value = values.unwrap_or_else(|| self.bindings.fresh());
        bounded(Type::map(key, value))
    }

    pub(super) fn object(&mut self, expr: &mut Expr) -> Type {
        let offset = expr.offset;
        let ExprKind::Struct(object) = &mut expr.kind else { return Type::Error };
        let Struct { type_name, fields } = object.as_mut();
        if let Some(plain) = type_name.strip_prefix('.') {
            *type_name = plain.into();
        }
        if !self.env.has_object(type_name) {
            let known = self.env.type_named(type_name).is_some();
            if known {
                self.report(offset, format!("'{type_name}' is not a message type"));
                return Type::Error;
            }
            let name = type_name.to_string();
            return self.undeclared(offset, &name);
        }
        for field in fields {
            self.expr(&mut field.value);
            let found = self.part(&field.value, field.optional);
            let name = &field.name;
            let Some(wanted) = self.env.field(type_name, name) else {
                self.report(field.offset, format!("undefined field '{name}'"));
                continue;
            };
            if !self.assignable(&wanted, &found) {
                let message = format!("expected type of field '{name}' is '{wanted}' but provided type is '{found}'");
                self.report(field.offset, message);
            }
        }
        Type::Object(type_name.clone())
    }

    /// The type of a part: of what is in it, when the part is optional.
    fn part(&mut self, value: &Expr, optional: bool) -> Type {
        let found = self.type_of(value);
        if !optional {
            return found;
        }
        match self.bindings.resolve(&found, false) {
            Type::Optional(inner) => inner.as_ref().clone(),
            Type::Dyn | Type::Error => Type::Dyn,
            other => {
                self.mismatch(value.offset, &Type::optional(other.clone()), &other);
                other
            }
        }
    }

    /// The type that all parts have; parts of different types are a mistake.
    fn join(&mut self, offset: u32, joined: Option<Type>, found: Type) -> Type {
        let Some(joined) = joined else { return found };
        if self.assignable(&joined, &found) {
            return most_general(&joined, &found).clone();
        }
        self.mismatch(offset, &joined, &found);
        Type::Error
    }
}

fn bounded(of: Type) -> Type {
    if is_too_large(&of) { Type::Dyn } else { of }
}
