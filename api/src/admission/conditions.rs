//! Match conditions: expressions that must all hold for a webhook or a policy to be asked about a write.

use berth_cel::Budget;
use serde_json::Value;

use super::expressions::{Authorizer, Declared, Environment, Expression, Input, Returns};
use crate::write::Write;

/// The conditions of one webhook or policy.
#[derive(Debug)]
pub(crate) struct Conditions {
    /// What cannot be compiled cannot be evaluated either, which the failure policy decides about.
    expressions: Vec<Result<Expression, String>>,
    fails_closed: bool,
}

impl Conditions {
    /// Reads `matchConditions`.
    pub(crate) fn of(conditions: &Value, fails_closed: bool, params: bool) -> Self {
        let list = conditions.as_array().map(Vec::as_slice).unwrap_or_default();
        if list.is_empty() {
            return Self { expressions: Vec::new(), fails_closed };
        }
        let environment = Environment::new(Declared { params, authorizer: true, patches: false });
        let compile = |condition: &Value| {
            let text = condition["expression"].as_str().unwrap_or_default();
            Expression::compile(text, &environment, Returns::Bool).map_err(|why| format!("compilation error: {why}"))
        };
        Self { expressions: list.iter().map(compile).collect(), fails_closed }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.expressions.is_empty()
    }

    /// Whether all of them hold. One that does not hold decides, even where others fail.
    ///
    /// # Errors
    /// When one cannot be evaluated and none is false, and what they guard must not be passed by.
    pub(crate) fn hold(&self, w: &Write<'_>, input: &Input, params: Option<&Value>) -> Result<bool, String> {
        let authorizer = Authorizer::of(w);
        let activation = input.activation(params, Some(&authorizer), &[]);
        let mut budget = Budget::match_conditions();
        let mut failures = Vec::new();
        for expression in &self.expressions {
            let result = match expression {
                Ok(expression) => expression.eval(&activation, &mut budget),
                Err(why) => Err(why.clone()),
            };
            match result {
                Ok(value) if value.as_bool() == Some(false) => return Ok(false),
                Ok(_) => {}
                Err(why) => failures.push(why),
            }
        }
        match failures.as_slice() {
            [] => Ok(true),
            _ if !self.fails_closed => Ok(false),
            [one] => Err(one.clone()),
            many => Err(format!("[{}]", many.join(", "))),
        }
    }
}
