//! What the variables of an expression stand for.

use std::cell::{Cell, OnceCell};

use serde_json::Value as Json;

use super::Program;
use crate::budget::Budget;
use crate::error::EvalError;
use crate::value::{Shape, Value};

/// Expressions that are variables of each other nest at most this deep: each level is an evaluation on the stack.
const LAZY_DEPTH_MAX: u32 = 64;

/// Values by the names of variables. Few, so they are found by looking at each.
#[derive(Debug, Default)]
pub struct Activation<'a> {
    bindings: Vec<(&'a str, Binding<'a>)>,
    depth: Cell<u32>,
}

#[derive(Debug)]
enum Binding<'a> {
    Value(Value<'a>),
    /// Evaluated when first needed, then kept.
    Lazy(&'a Program, OnceCell<Result<Value<'a>, EvalError>>),
}

impl<'a> Activation<'a> {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Binds a variable. The name may be dotted (`authorizer.requestResource`); the last binding of a name counts.
    pub fn bind(&mut self, name: &'a str, value: impl Into<Value<'a>>) -> &mut Self {
        self.put(name, Binding::Value(value.into()))
    }

    /// Binds JSON data of which nothing is declared.
    pub fn bind_json(&mut self, name: &'a str, data: &'a Json) -> &mut Self {
        self.bind(name, Value::json(data))
    }

    /// Binds JSON data of a declared shape.
    pub fn bind_shaped(&mut self, name: &'a str, data: &'a Json, shape: &'a Shape) -> &mut Self {
        self.bind(name, Value::json_as(data, shape))
    }

    /// Binds an expression over the other variables, evaluated at most once and only when it is needed. For the
    /// variable `x` of a policy the name is `variables.x`.
    pub fn bind_lazy(&mut self, name: &'a str, program: &'a Program) -> &mut Self {
        self.put(name, Binding::Lazy(program, OnceCell::new()))
    }

    fn put(&mut self, name: &'a str, binding: Binding<'a>) -> &mut Self {
        match self.bindings.iter_mut().find(|(known, _)| *known == name) {
            Some((_, place)) => *place = binding,
            None => self.bindings.push((name, binding)),
        }
        self
    }

    /// The value of the variable `name`.
    #[inline]
    pub(super) fn get(&self, name: &str, budget: &mut Budget<'_>) -> Option<Result<Value<'a>, EvalError>> {
        let (_, binding) = self.bindings.iter().find(|(known, _)| *known == name)?;
        match binding {
            Binding::Value(value) => Some(Ok(value.clone())),
            Binding::Lazy(program, cell) => Some(self.force(name, program, cell, budget)),
        }
    }

    /// The value of the field `field` of the variable `name`, when it is bound by its dotted name.
    pub(super) fn get_part(
        &self,
        name: &str,
        field: &str,
        budget: &mut Budget<'_>,
    ) -> Option<Result<Value<'a>, EvalError>> {
        let is_it = |known: &str| {
            known.strip_prefix(name).and_then(|rest| rest.strip_prefix('.')).is_some_and(|rest| rest == field)
        };
        let (known, _) = self.bindings.iter().find(|(known, _)| is_it(known))?;
        self.get(known, budget)
    }

    fn force(
        &self,
        name: &str,
        program: &'a Program,
        cell: &OnceCell<Result<Value<'a>, EvalError>>,
        budget: &mut Budget<'_>,
    ) -> Result<Value<'a>, EvalError> {
        if let Some(known) = cell.get() {
            return known.clone();
        }
        // also ends variables that need themselves
        if self.depth.get() >= LAZY_DEPTH_MAX {
            return Err(EvalError::new(format!("variable {name} needs more than {LAZY_DEPTH_MAX} others in a row")));
        }
        self.depth.set(self.depth.get() + 1);
        let result = program.eval(self, budget);
        self.depth.set(self.depth.get() - 1);
        cell.get_or_init(|| result).clone()
    }
}
