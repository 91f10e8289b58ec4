//! Evaluation of checked expressions.
//!
//! A [`Program`] is linked once: variables become places, calls pointers to functions, constant parts values. It can
//! be evaluated any number of times, by several threads at once.

mod activation;
mod fold;
mod link;
mod link_call;
mod node;
mod path;
mod run;

use std::sync::Arc;

use thiserror::Error;

pub use self::activation::Activation;
use self::node::Node;
use self::run::Frame;
use crate::budget::Budget;
use crate::check::Checked;
use crate::error::EvalError;
use crate::value::Value;

/// An expression ready to be evaluated.
#[derive(Clone, Debug)]
pub struct Program {
    root: Arc<Node>,
    variables: Arc<[Arc<str>]>,
    registers: usize,
}

/// Why a checked expression cannot be evaluated: a constant part of it fails (`int('x')`, a bad pattern), or it nests
/// too deep.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{message}")]
pub struct LinkError {
    pub message: String,
}

impl Program {
    /// Links a checked expression.
    ///
    /// # Errors
    /// See [`LinkError`].
    pub fn new(checked: impl std::borrow::Borrow<Checked>) -> Result<Self, LinkError> {
        let checked = checked.borrow();
        let (root, registers) = link::link(&checked.expr)?;
        Ok(Self { root: Arc::new(root), variables: Arc::clone(&checked.variables), registers })
    }

    /// Evaluates the expression with the variables of `activation`, at the cost of `budget`.
    ///
    /// # Errors
    /// The expression failed, cost too much or was interrupted. Costs are settled in any case.
    pub fn eval<'a>(&'a self, activation: &Activation<'a>, budget: &mut Budget<'_>) -> Result<Value<'a>, EvalError> {
        self.eval_with_cost(activation, budget).0
    }

    /// The same, with what it cost.
    pub fn eval_with_cost<'a>(
        &'a self,
        activation: &Activation<'a>,
        budget: &mut Budget<'_>,
    ) -> (Result<Value<'a>, EvalError>, u64) {
        let mut frame = Frame::new(activation, &self.variables, self.registers, budget);
        let result = frame.eval(&self.root);
        let meter = frame.into_meter();
        let settled = budget.settle(&meter);
        (settled.and(result), meter.cost())
    }

    /// The variables it reads.
    #[must_use]
    pub fn variables(&self) -> &[Arc<str>] {
        &self.variables
    }

    /// True when it reads the variable `name` or a part of it (`authorizer` for `authorizer.requestResource`).
    #[must_use]
    pub fn mentions(&self, name: &str) -> bool {
        let is_part = |rest: &str| rest.is_empty() || rest.starts_with('.');
        self.variables.iter().any(|variable| variable.strip_prefix(name).is_some_and(is_part))
    }
}
