//! The grammar of label selectors in a query, with kube-apiserver's error texts.

use super::label::{Operator, Requirement};
use super::{SELECTOR_BYTES_MAX, SelectorError};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token<'t> {
    End,
    Word(&'t str),
    /// `= == != ! ( ) , < >`
    Sign(&'t str),
}

impl<'t> Token<'t> {
    fn text(self) -> &'t str {
        match self {
            Self::End => "",
            Self::Word(text) | Self::Sign(text) => text,
        }
    }
}

pub(super) fn parse(text: &str) -> Result<Vec<Requirement>, SelectorError> {
    if text.len() > SELECTOR_BYTES_MAX {
        return Err(SelectorError(format!("a selector may have {SELECTOR_BYTES_MAX} bytes at most")));
    }
    let mut parser = Parser { tokens: tokens(text), next: 0 };
    let mut found = Vec::new();
    loop {
        match parser.peek() {
            Token::Word(_) | Token::Sign("!") => {
                let term = parser.requirement();
                found.push(term.map_err(|e| SelectorError(format!("unable to parse requirement: {e}")))?);
                match parser.take() {
                    Token::End => return Ok(found),
                    Token::Sign(",") => {
                        let after = parser.peek();
                        if !matches!(after, Token::Word(_) | Token::Sign("!")) {
                            return expected(after, ", expected: identifier after ','");
                        }
                    }
                    other => return expected(other, ", expected: ',' or 'end of string'"),
                }
            }
            Token::End => return Ok(found),
            other => return expected(other, ", expected: !, identifier, or 'end of string'"),
        }
    }
}

fn expected<T>(found: Token<'_>, rest: &str) -> Result<T, SelectorError> {
    Err(SelectorError(format!("found '{}'{rest}", found.text())))
}

fn tokens(text: &str) -> Vec<Token<'_>> {
    let is_sign = |c: char| matches!(c, '=' | '!' | '(' | ')' | ',' | '<' | '>');
    let mut found = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = if is_sign(first) {
            if rest.starts_with("==") || rest.starts_with("!=") { 2 } else { 1 }
        } else {
            rest.find(|c: char| is_sign(c) || c.is_whitespace()).unwrap_or(rest.len())
        };
        let (token, after) = rest.split_at(length);
        found.push(if is_sign(first) { Token::Sign(token) } else { Token::Word(token) });
        rest = after.trim_start();
    }
    found
}

struct Parser<'t> {
    tokens: Vec<Token<'t>>,
    next: usize,
}

impl<'t> Parser<'t> {
    fn peek(&self) -> Token<'t> {
        self.tokens.get(self.next).copied().unwrap_or(Token::End)
    }

    fn take(&mut self) -> Token<'t> {
        let token = self.peek();
        self.next += 1;
        token
    }

    fn requirement(&mut self) -> Result<Requirement, SelectorError> {
        let negated = self.peek() == Token::Sign("!");
        if negated {
            self.take();
        }
        let key = match self.take() {
            Token::Word(key) => key,
            other => return expected(other, ", expected: identifier"),
        };
        if negated {
            return Requirement::new(key, Operator::DoesNotExist, Vec::new());
        }
        if matches!(self.peek(), Token::End | Token::Sign(",")) {
            return Requirement::new(key, Operator::Exists, Vec::new());
        }
        let (operator, values) = match self.take() {
            Token::Word("in") => (Operator::In, self.values()?),
            Token::Word("notin") => (Operator::NotIn, self.values()?),
            Token::Sign("=" | "==") => (Operator::In, vec![self.exact_value()?]),
            Token::Sign("!=") => (Operator::NotIn, vec![self.exact_value()?]),
            Token::Sign(">") => (Operator::GreaterThan, vec![self.exact_value()?]),
            Token::Sign("<") => (Operator::LessThan, vec![self.exact_value()?]),
            other => return expected(other, ", expected: in, notin, =, ==, !=, gt, lt"),
        };
        Requirement::new(key, operator, values)
    }

    fn exact_value(&mut self) -> Result<String, SelectorError> {
        match self.peek() {
            Token::End | Token::Sign(",") => Ok(String::new()),
            Token::Word(value) => {
                self.take();
                Ok(value.to_owned())
            }
            other => expected(other, ", expected: identifier"),
        }
    }

    /// `(a, b)`; gaps between commas are empty values, and so are empty brackets.
    fn values(&mut self) -> Result<Vec<String>, SelectorError> {
        match self.take() {
            Token::Sign("(") => {}
            other => return expected(other, " expected: '('"),
        }
        let mut values = Vec::new();
        let mut current = "";
        loop {
            match self.take() {
                Token::Word(value) if current.is_empty() => current = value,
                Token::Sign(",") => values.push(std::mem::take(&mut current).to_owned()),
                Token::Sign(")") => {
                    values.push(current.to_owned());
                    return Ok(values);
                }
                other => return expected(other, ", expected: ',' or ')'"),
            }
        }
    }
}
