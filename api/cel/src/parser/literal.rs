//! Numbers, strings, bytes, booleans and null.

use super::{Parser, Stop};
use crate::ast::{Expr, Literal};
use crate::lexer::{Kind, unescape};

impl Parser<'_> {
    /// The literal that starts here, possibly with a minus sign.
    pub(super) fn literal_token(&mut self) -> Result<Expr, Stop> {
        let start = self.peek().start;
        let negative = self.eat(Kind::Minus).is_some();
        let token = self.advance();
        let parsed = match token.kind {
            Kind::Int => int(&self.text(token), negative).map(Literal::Int).ok_or("invalid int literal"),
            Kind::Uint => uint(&self.text(token)).map(Literal::Uint).ok_or("invalid uint literal"),
            Kind::Float => double(&self.text(token), negative).map(Literal::Double).ok_or("invalid double literal"),
            Kind::String => unescape::string(self.slice(token)).map(|text| Literal::String(text.into())),
            Kind::Bytes => unescape::bytes(self.slice(token)).map(|bytes| Literal::Bytes(bytes.into())),
            Kind::True => Ok(Literal::Bool(true)),
            Kind::False => Ok(Literal::Bool(false)),
            _ => Ok(Literal::Null),
        };
        let literal = parsed.unwrap_or_else(|reason| {
            self.report(start, reason);
            Literal::Null
        });
        self.literal(start, literal)
    }
}

fn int(text: &str, negative: bool) -> Option<i64> {
    let sign = if negative { "-" } else { "" };
    match text.strip_prefix("0x") {
        Some(hex) => i64::from_str_radix(&format!("{sign}{hex}"), 16).ok(),
        None => format!("{sign}{text}").parse().ok(),
    }
}

fn uint(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(['u', 'U']);
    match digits.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).ok(),
        None => digits.parse().ok(),
    }
}

fn double(text: &str, negative: bool) -> Option<f64> {
    let value: f64 = text.parse().ok()?;
    // A number too big for a double reads as infinity here; it is refused, as Go's parser does.
    value.is_finite().then_some(if negative { -value } else { value })
}
