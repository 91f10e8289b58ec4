//! Balances the terms of long `&&` and `||` chains, so that a hundred terms make a tree seven levels high.

use super::{Parser, Stop};
use crate::ast::Expr;

/// Terms of one logical operator, in order, and the offsets of the operators between them.
pub(super) struct Terms {
    terms: Vec<Option<Expr>>,
    operators: Vec<u32>,
}

impl Terms {
    pub(super) fn new(first: Expr) -> Self {
        Self { terms: vec![Some(first)], operators: Vec::new() }
    }

    pub(super) fn push(&mut self, operator: u32, term: Expr) {
        self.operators.push(operator);
        self.terms.push(Some(term));
    }

    pub(super) fn balance(mut self, parser: &mut Parser<'_>, function: &str) -> Result<Expr, Stop> {
        let last = self.operators.len();
        self.range(parser, function, 0, last)
    }

    /// The tree over the terms `low..=high`.
    fn range(&mut self, parser: &mut Parser<'_>, function: &str, low: usize, high: usize) -> Result<Expr, Stop> {
        if low == high {
            // Each index is visited once: the halves do not overlap.
            return self.terms[low].take().ok_or(Stop);
        }
        let middle = (low + high - 1).div_ceil(2);
        let left = self.range(parser, function, low, middle)?;
        let right = self.range(parser, function, middle + 1, high)?;
        parser.call(self.operators[middle], function, vec![left, right])
    }
}
