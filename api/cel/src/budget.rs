//! How much an evaluation may cost, and for how long it may run.
//!
//! Costs are cel-go's units: about one for a step, a tenth for each character that is looked at. The limits are those
//! of kube-apiserver (`pkg/apis/cel/config.go`).

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use crate::error::EvalError;

/// Cost of one evaluation, at most.
pub const PER_CALL_LIMIT: u64 = 1_000_000;
/// Cost of all validation rules of one object, or of all expressions of one policy, at most.
pub const PER_OBJECT_LIMIT: u64 = 10_000_000;
/// Cost of all match conditions of one webhook or policy, at most.
pub const MATCH_CONDITIONS_LIMIT: u64 = PER_OBJECT_LIMIT / 4;
/// Iterations between two looks at the clock: a look costs more than a cheap iteration.
pub const CHECK_FREQUENCY: u32 = 100;
/// Bytes of strings and lists that one evaluation may make. Costs alone do not bound them: `a.replace('', b)` costs
/// what `a` is long. Above what the cost limit lets an expression read (10 MB), below what hurts a server.
pub const ALLOCATION_LIMIT_BYTES: usize = 64 * 1024 * 1024;

/// What is left for a group of evaluations that share a limit.
#[derive(Clone, Debug)]
pub struct Budget<'a> {
    per_call: u64,
    remaining: u64,
    deadline: Option<Instant>,
    interrupt: Option<&'a AtomicBool>,
}

impl Default for Budget<'_> {
    fn default() -> Self {
        Self::new(PER_CALL_LIMIT, PER_OBJECT_LIMIT)
    }
}

impl<'a> Budget<'a> {
    /// `per_call` bounds each evaluation, `total` all evaluations with this budget together.
    #[must_use]
    pub fn new(per_call: u64, total: u64) -> Self {
        Self { per_call, remaining: total, deadline: None, interrupt: None }
    }

    /// For the match conditions of one webhook or policy.
    #[must_use]
    pub fn match_conditions() -> Self {
        Self::new(PER_CALL_LIMIT, MATCH_CONDITIONS_LIMIT)
    }

    /// Ends evaluations that still run at `deadline`; looked at every [`CHECK_FREQUENCY`] iterations.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Instant) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Ends evaluations once `stop` is true.
    #[must_use]
    pub fn with_interrupt(mut self, stop: &'a AtomicBool) -> Self {
        self.interrupt = Some(stop);
        self
    }

    /// Cost that is left for further evaluations.
    #[must_use]
    pub fn remaining(&self) -> u64 {
        self.remaining
    }

    pub(crate) fn meter(&self) -> Meter {
        Meter { cost: 0, limit: self.per_call, allocated: 0, until_check: CHECK_FREQUENCY }
    }

    /// Takes the cost of one evaluation out of the shared budget.
    pub(crate) fn settle(&mut self, meter: &Meter) -> Result<(), EvalError> {
        if meter.cost > self.remaining {
            self.remaining = 0;
            return Err(EvalError::budget_exhausted());
        }
        self.remaining -= meter.cost;
        Ok(())
    }

    pub(crate) fn check_interrupt(&self) -> Result<(), EvalError> {
        let stopped = self.interrupt.is_some_and(|stop| stop.load(Ordering::Relaxed));
        if stopped || self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Err(EvalError::interrupted());
        }
        Ok(())
    }
}

/// Counts what one evaluation has used. Functions of the libraries get it to account for what they make.
#[derive(Debug)]
pub struct Meter {
    cost: u64,
    limit: u64,
    allocated: usize,
    until_check: u32,
}

impl Meter {
    #[inline]
    pub(crate) fn charge(&mut self, cost: u64) -> Result<(), EvalError> {
        self.cost = self.cost.saturating_add(cost);
        if self.cost > self.limit { Err(EvalError::cost_limit()) } else { Ok(()) }
    }

    /// Cost that may still be charged.
    pub(crate) fn left(&self) -> u64 {
        self.limit.saturating_sub(self.cost)
    }

    /// Accounts for `bytes` about to be allocated; called before they are.
    pub(crate) fn allocate(&mut self, bytes: usize) -> Result<(), EvalError> {
        self.allocated = self.allocated.saturating_add(bytes);
        if self.allocated > ALLOCATION_LIMIT_BYTES { Err(EvalError::cost_limit()) } else { Ok(()) }
    }

    /// Accounts for a list of `len` values about to be made.
    pub(crate) fn allocate_list(&mut self, len: usize) -> Result<(), EvalError> {
        self.allocate(len.saturating_mul(size_of::<crate::value::Value<'static>>()))
    }

    /// True when it is time to look whether the evaluation should stop.
    #[inline]
    pub(crate) fn tick(&mut self) -> bool {
        self.until_check -= 1;
        if self.until_check == 0 {
            self.until_check = CHECK_FREQUENCY;
            return true;
        }
        false
    }

    /// Used so far.
    #[must_use]
    pub fn cost(&self) -> u64 {
        self.cost
    }
}
