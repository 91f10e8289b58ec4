//! What can go wrong while an expression is evaluated, in cel-go's words.

use std::borrow::Cow;
use std::fmt;

/// The text of [`ErrorKind::CostLimit`], as cel-go says it.
pub const COST_LIMIT_MESSAGE: &str = "operation cancelled: actual cost limit exceeded";

/// Why an evaluation ended without a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The expression itself failed (missing key, overflow, ...): `&&`, `||` and folds may absorb it.
    Runtime,
    /// One evaluation cost more than its limit, or would have made a larger value than allowed.
    CostLimit,
    /// The budget shared by several evaluations is used up.
    BudgetExhausted,
    /// The deadline has passed or the caller asked to stop.
    Interrupted,
}

/// An evaluation that ended without a value. `Display` is the message that Kubernetes shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvalError {
    kind: ErrorKind,
    message: Cow<'static, str>,
}

impl EvalError {
    /// An error of the expression, which logical operators may absorb.
    #[must_use]
    pub fn new(message: impl Into<Cow<'static, str>>) -> Self {
        Self { kind: ErrorKind::Runtime, message: message.into() }
    }

    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// True for errors that end the whole evaluation: no operator absorbs them.
    #[must_use]
    pub fn is_fatal(&self) -> bool {
        self.kind != ErrorKind::Runtime
    }

    pub(crate) fn cost_limit() -> Self {
        Self { kind: ErrorKind::CostLimit, message: Cow::Borrowed(COST_LIMIT_MESSAGE) }
    }

    pub(crate) fn budget_exhausted() -> Self {
        let message = "validation failed due to running out of cost budget, no further validation rules will be run";
        Self { kind: ErrorKind::BudgetExhausted, message: Cow::Borrowed(message) }
    }

    pub(crate) fn interrupted() -> Self {
        Self { kind: ErrorKind::Interrupted, message: Cow::Borrowed("operation interrupted") }
    }

    /// A function or operator got operands of types it is not declared for (possible with dynamic values only).
    pub(crate) fn no_such_overload() -> Self {
        Self::new("no such overload")
    }

    pub(crate) fn no_such_key(key: impl fmt::Display) -> Self {
        Self::new(format!("no such key: {key}"))
    }

    pub(crate) fn out_of_bounds(index: impl fmt::Display) -> Self {
        Self::new(format!("index out of bounds: {index}"))
    }
}

impl fmt::Display for EvalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for EvalError {}
