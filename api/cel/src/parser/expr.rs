//! Operators, by how tight they bind: `?:`, `||`, `&&`, relations, sums, products.

use super::logic::Terms;
use super::{Parser, Stop};
use crate::ast::{Expr, ops};
use crate::lexer::Kind;

/// Binding strengths. `||` and `&&` have their own loops, because their terms are balanced.
const OR: u8 = 0;
const AND: u8 = 1;
const RELATION: u8 = 2;
const SUM: u8 = 3;
const PRODUCT: u8 = 4;

/// The operator with two operands that a token stands for.
fn operator(kind: Kind) -> Option<(u8, &'static str)> {
    Some(match kind {
        Kind::Or => (OR, ops::OR),
        Kind::And => (AND, ops::AND),
        Kind::EqualEqual => (RELATION, ops::EQUALS),
        Kind::NotEqual => (RELATION, ops::NOT_EQUALS),
        Kind::In => (RELATION, ops::IN),
        Kind::Less => (RELATION, ops::LESS),
        Kind::LessEqual => (RELATION, ops::LESS_EQUALS),
        Kind::GreaterEqual => (RELATION, ops::GREATER_EQUALS),
        Kind::Greater => (RELATION, ops::GREATER),
        Kind::Plus => (SUM, ops::ADD),
        Kind::Minus => (SUM, ops::SUBTRACT),
        Kind::Star => (PRODUCT, ops::MULTIPLY),
        Kind::Slash => (PRODUCT, ops::DIVIDE),
        Kind::Percent => (PRODUCT, ops::MODULO),
        _ => return None,
    })
}

impl Parser<'_> {
    /// A whole expression: `condition ? yes : no`, or what binds tighter.
    pub(super) fn expr(&mut self) -> Result<Expr, Stop> {
        self.nested(|parser| {
            let condition = parser.operation(OR)?;
            let Some(question) = parser.eat(Kind::Question) else { return Ok(condition) };
            let yes = parser.operation(OR)?;
            parser.expect_then(Kind::Colon, "':'", super::expect::starts_operand)?;
            let no = parser.expr()?;
            parser.call(question.start, ops::CONDITIONAL, vec![condition, yes, no])
        })
    }

    /// Operands joined by operators that bind at least as tight as `weakest`.
    fn operation(&mut self, weakest: u8) -> Result<Expr, Stop> {
        let mut left = self.unary()?;
        while let Some((strength, function)) = operator(self.peek_kind()).filter(|found| found.0 >= weakest) {
            if strength <= AND {
                left = self.logic(left, strength, function)?;
                continue;
            }
            let token = self.advance();
            let right = self.operation(strength + 1)?;
            left = self.call(token.start, function, vec![left, right])?;
        }
        Ok(left)
    }

    /// All the terms of one `||` or `&&`.
    fn logic(&mut self, first: Expr, strength: u8, function: &str) -> Result<Expr, Stop> {
        let mut terms = Terms::new(first);
        while operator(self.peek_kind()).is_some_and(|found| found.0 == strength) {
            let token = self.advance();
            let term = self.operation(strength + 1)?;
            terms.push(token.start, term);
        }
        terms.balance(self, function)
    }

    /// `!x`, `-x`: an even number of signs is none.
    fn unary(&mut self) -> Result<Expr, Stop> {
        let sign = self.peek();
        let function = match sign.kind {
            Kind::Not => ops::NOT,
            Kind::Minus if !self.negative_number() => ops::NEGATE,
            _ => return self.member(),
        };
        let mut count = 0;
        while self.peek_kind() == sign.kind {
            // The last `-` of `- -1` belongs to the number, unless it is the only one: that was handled above.
            self.advance();
            count += 1;
        }
        if sign.kind == Kind::Minus && !super::expect::starts_operand(self.peek_kind()) {
            let last = self.tokens[self.at - 1];
            self.no_alternative(last);
            self.recovering = false;
        }
        let operand = self.member()?;
        if count % 2 == 0 { Ok(operand) } else { self.call(sign.start, function, vec![operand]) }
    }

    /// A minus sign that is part of the number behind it.
    fn negative_number(&self) -> bool {
        matches!(self.kind_ahead(1), Kind::Int | Kind::Float)
    }
}
