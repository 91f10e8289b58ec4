//! Expressions over a write: what they may refer to, how they are compiled, and what they are given.

mod authorizer;
mod check;
mod environment;
mod input;

use berth_cel::types::Type;
use berth_cel::{Activation, Budget, EvalError, Program, Value};

pub(crate) use authorizer::Authorizer;
pub(crate) use check::check;
pub(crate) use environment::{Declared, Environment};
pub(crate) use input::Input;

/// What an expression must come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Returns {
    Bool,
    Text,
    TextOrNull,
    /// `Object{…}`
    Object,
    /// `[JSONPatch{…}]`
    Patches,
    Any,
}

impl Returns {
    fn types(self) -> Vec<Type> {
        match self {
            Self::Bool => vec![Type::Bool],
            Self::Text => vec![Type::String],
            Self::TextOrNull => vec![Type::String, Type::Null],
            Self::Object => vec![Type::object("Object")],
            Self::Patches => vec![Type::list(Type::object("JSONPatch"))],
            Self::Any => Vec::new(),
        }
    }
}

/// A compiled expression.
#[derive(Clone, Debug)]
pub(crate) struct Expression {
    pub text: String,
    program: Program,
    output: Type,
}

impl Expression {
    /// Compiles an expression.
    ///
    /// # Errors
    /// What is wrong with it, in kube-apiserver's words.
    pub(crate) fn compile(text: &str, environment: &Environment, returns: Returns) -> Result<Self, String> {
        let checked =
            berth_cel::compile(text, environment.env()).map_err(|issues| format!("compilation failed: {issues}"))?;
        let wanted = returns.types();
        if !wanted.is_empty() && !wanted.contains(&checked.output) {
            let got = &checked.output;
            return Err(match wanted.as_slice() {
                [one] => format!("must evaluate to {one} but got {got}"),
                many => {
                    let many: Vec<String> = many.iter().map(ToString::to_string).collect();
                    format!("must evaluate to one of [{}] but got {got}", many.join(" "))
                }
            });
        }
        let program =
            Program::new(&checked).map_err(|error| format!("program instantiation failed: {}", error.message))?;
        Ok(Self { text: text.to_owned(), program, output: checked.output.clone() })
    }

    pub(crate) fn output(&self) -> &Type {
        &self.output
    }

    pub(crate) fn program(&self) -> &Program {
        &self.program
    }

    /// Evaluates it.
    ///
    /// # Errors
    /// Why it has no value, in kube-apiserver's words.
    pub(crate) fn eval<'a>(
        &'a self,
        activation: &Activation<'a>,
        budget: &mut Budget<'_>,
    ) -> Result<Value<'a>, String> {
        self.program.eval(activation, budget).map_err(|error| self.told(&error))
    }

    fn told(&self, error: &EvalError) -> String {
        if error.is_fatal() && error.kind() != berth_cel::ErrorKind::CostLimit {
            return error.to_string();
        }
        format!("expression '{}' resulted in error: {error}", self.text)
    }
}
