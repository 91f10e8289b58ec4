//! What macros make: folds over lists and maps, and bound variables.

use std::sync::Arc;

use super::Checker;
use crate::ast::{Bind, Comprehension};
use crate::types::Type;

impl Checker<'_> {
    pub(super) fn comprehension(&mut self, fold: &mut Comprehension) -> Type {
        self.expr(&mut fold.range);
        self.expr(&mut fold.init);
        let range = self.type_of(&fold.range);
        let range = self.bindings.resolve(&range, false);
        let accu = self.type_of(&fold.init);
        let (first, second) = self.iterated(&range, fold);

        let scope = self.locals.len();
        self.locals.push((Arc::clone(&fold.accu_var), accu.clone()));
        self.locals.push((Arc::clone(&fold.iter_var), first));
        if let Some(name) = &fold.iter_var2 {
            self.locals.push((Arc::clone(name), second));
        }
        self.expr(&mut fold.condition);
        self.expect(fold.condition.offset, &Type::Bool, fold.condition.id);
        self.expr(&mut fold.step);
        self.expect(fold.step.offset, &accu, fold.step.id);
        // The result sees the accumulator only.
        self.locals.truncate(scope + 1);
        self.expr(&mut fold.result);
        self.locals.truncate(scope);
        let result = self.type_of(&fold.result);
        self.bindings.resolve(&result, false)
    }

    /// The types of what is iterated over: elements or keys; with two variables, indices or keys, and values.
    fn iterated(&mut self, range: &Type, fold: &Comprehension) -> (Type, Type) {
        let two = fold.iter_var2.is_some();
        match range {
            Type::List(elem) if two => (Type::Int, elem.as_ref().clone()),
            Type::List(elem) => (elem.as_ref().clone(), Type::Dyn),
            Type::Map(key, value) => (key.as_ref().clone(), value.as_ref().clone()),
            Type::Dyn | Type::Error | Type::Param(_) => {
                self.assignable(&Type::Dyn, range);
                (Type::Dyn, Type::Dyn)
            }
            other => {
                let message = format!(
                    "expression of type '{other}' cannot be range of a comprehension (must be list, map, or dynamic)"
                );
                self.report(fold.range.offset, message);
                (Type::Error, Type::Error)
            }
        }
    }

    fn expect(&mut self, offset: u32, wanted: &Type, id: crate::ast::ExprId) {
        let found = self.types[id as usize].clone();
        if !self.assignable(wanted, &found) {
            self.mismatch(offset, wanted, &found);
        }
    }

    pub(super) fn bind(&mut self, bind: &mut Bind) -> Type {
        self.expr(&mut bind.init);
        let found = self.type_of(&bind.init);
        self.locals.push((Arc::clone(&bind.var), found));
        self.expr(&mut bind.body);
        self.locals.pop();
        self.type_of(&bind.body)
    }
}
