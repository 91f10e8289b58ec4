//! What to say, and how to go on, when another token stands where one was expected.
//!
//! Follows the generated parser of cel-go: a token too much is dropped ("extraneous input"), a missing one is
//! invented when what follows fits ("missing"), else the parser skips to where the rule could end ("mismatched input").

use super::{Parser, RECOVERIES_MAX, Stop};
use crate::lexer::{Kind, Token};

/// What an expression may start with, in the order of the generated parser's tables.
pub(super) const OPERAND: &str = "{'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, \
                                  NUM_UINT, STRING, BYTES, IDENTIFIER}";

pub(super) fn starts_operand(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::LeftBracket
            | Kind::LeftBrace
            | Kind::LeftParen
            | Kind::Dot
            | Kind::Minus
            | Kind::Not
            | Kind::True
            | Kind::False
            | Kind::Null
            | Kind::Float
            | Kind::Int
            | Kind::Uint
            | Kind::String
            | Kind::Bytes
            | Kind::Identifier
    )
}

/// What may stand behind a whole operand, in some context.
fn follows_operand(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Eof
            | Kind::EqualEqual
            | Kind::NotEqual
            | Kind::In
            | Kind::Less
            | Kind::LessEqual
            | Kind::GreaterEqual
            | Kind::Greater
            | Kind::And
            | Kind::Or
            | Kind::LeftBracket
            | Kind::RightBracket
            | Kind::RightBrace
            | Kind::RightParen
            | Kind::Dot
            | Kind::Comma
            | Kind::Minus
            | Kind::Question
            | Kind::Colon
            | Kind::Plus
            | Kind::Star
            | Kind::Slash
            | Kind::Percent
    )
}

impl Parser<'_> {
    /// A token as messages quote it.
    fn quote(&self, token: Token) -> String {
        if token.kind == Kind::Eof {
            return "'<EOF>'".to_owned();
        }
        let text = self.text(token).replace('\n', "\\n").replace('\r', "\\r").replace('\t', "\\t");
        format!("'{text}'")
    }

    pub(super) fn syntax_error(&mut self, token: Token, message: &str) {
        if !self.recovering {
            self.report(token.start, format!("Syntax error: {message}"));
        }
        self.recovering = true;
    }

    fn count_recovery(&mut self) -> Result<(), Stop> {
        if self.recoveries >= RECOVERIES_MAX {
            self.recovering = false;
            let message = format!("error recovery attempt limit exceeded: {RECOVERIES_MAX}");
            self.syntax_error(self.peek(), &message);
            return Err(Stop);
        }
        self.recoveries += 1;
        Ok(())
    }

    /// Reads the token of this kind that must stand here.
    pub(super) fn expect(&mut self, kind: Kind, name: &str) -> Result<(), Stop> {
        self.expect_then(kind, name, follows_operand)
    }

    pub(super) fn expect_then(&mut self, kind: Kind, name: &str, follows: fn(Kind) -> bool) -> Result<(), Stop> {
        if self.eat(kind).is_some() {
            return Ok(());
        }
        self.count_recovery()?;
        let found = self.peek();
        let quoted = self.quote(found);
        if self.kind_ahead(1) == kind {
            self.syntax_error(found, &format!("extraneous input {quoted} expecting {name}"));
            self.skip();
            self.advance();
            return Ok(());
        }
        if follows(found.kind) && kind != Kind::Colon {
            self.syntax_error(found, &format!("missing {name} at {quoted}"));
            return Ok(());
        }
        self.mismatched(name)
    }

    /// "mismatched input", and on to where an operand could end.
    pub(super) fn mismatched(&mut self, expected: &str) -> Result<(), Stop> {
        let found = self.peek();
        let message = format!("mismatched input {} expecting {expected}", self.quote(found));
        self.syntax_error(found, &message);
        self.resume()
    }

    /// Skips to where an operand could end.
    pub(super) fn resume(&mut self) -> Result<(), Stop> {
        self.count_recovery()?;
        if self.failed_at == Some(self.at) {
            self.skip();
        }
        while !follows_operand(self.peek_kind()) {
            self.skip();
        }
        self.failed_at = Some(self.at);
        Ok(())
    }

    /// False when no operand starts here, even after dropping a token. Mistakes are reported.
    pub(super) fn expect_operand(&mut self) -> Result<bool, Stop> {
        if starts_operand(self.peek_kind()) {
            return Ok(true);
        }
        if starts_operand(self.kind_ahead(1)) {
            self.extraneous(OPERAND)?;
            return Ok(true);
        }
        self.mismatched(OPERAND)?;
        Ok(false)
    }

    /// Drops the current token, which is one too much.
    pub(super) fn extraneous(&mut self, expected: &str) -> Result<(), Stop> {
        self.count_recovery()?;
        let found = self.peek();
        let message = format!("extraneous input {} expecting {expected}", self.quote(found));
        self.syntax_error(found, &message);
        self.skip();
        Ok(())
    }

    /// Nothing may follow the expression.
    pub(super) fn expect_end(&mut self) {
        let found = self.peek();
        if found.kind == Kind::Eof {
            return;
        }
        let how = if self.kind_ahead(1) == Kind::Eof { "extraneous" } else { "mismatched" };
        let message = format!("{how} input {} expecting <EOF>", self.quote(found));
        self.syntax_error(found, &message);
    }

    /// Neither of the rules that start with the tokens since `start` can go on with the current one.
    pub(super) fn no_alternative(&mut self, start: Token) {
        let found = self.peek();
        let between: String = self.chars[start.start as usize..found.end as usize].iter().collect();
        let reserved = matches!(found.kind, Kind::True | Kind::False | Kind::Null)
            && between.chars().count() == self.slice(found).len() + 1;
        let message = if reserved {
            format!("mismatched input {} expecting IDENTIFIER", self.quote(found))
        } else {
            format!("no viable alternative at input '{}'", between.trim_end().replace('\n', "\\n"))
        };
        self.syntax_error(found, &message);
    }
}
