//! Operands and what hangs on them: names, calls, parentheses, `.field`, `.?field`, `[index]`, `.method()`.

use std::sync::Arc;

use super::{Parser, Stop};
use crate::ast::{Expr, ExprKind, Select, ops};
use crate::lexer::{Kind, Token};
use crate::macros;

/// Words that may name fields but not variables or functions.
const RESERVED: [&str; 21] = [
    "as",
    "break",
    "const",
    "continue",
    "else",
    "false",
    "for",
    "function",
    "if",
    "import",
    "in",
    "let",
    "loop",
    "namespace",
    "null",
    "package",
    "return",
    "true",
    "var",
    "void",
    "while",
];

impl Parser<'_> {
    pub(super) fn member(&mut self) -> Result<Expr, Stop> {
        let mut operand = self.primary()?;
        loop {
            let token = self.peek();
            operand = match token.kind {
                Kind::Dot => {
                    self.advance();
                    self.selection(operand, token)?
                }
                Kind::LeftBracket => {
                    self.advance();
                    self.index(operand, token)?
                }
                _ => return Ok(operand),
            };
        }
    }

    fn selection(&mut self, operand: Expr, dot: Token) -> Result<Expr, Stop> {
        let optional = self.eat(Kind::Question).is_some();
        let name = self.peek();
        if !matches!(name.kind, Kind::Identifier | Kind::EscapedIdentifier) {
            if optional {
                self.mismatched("{IDENTIFIER, ESC_IDENTIFIER}")?;
            } else {
                self.no_alternative(dot);
                self.resume()?;
            }
            return Ok(operand);
        }
        self.advance();
        if !optional && name.kind == Kind::Identifier && self.peek_kind() == Kind::LeftParen {
            let function = self.text(name);
            let open = self.advance();
            let args = self.arguments()?;
            return macros::call(self, open.start, Some(operand), &function, args);
        }
        let field = self.field_name(name);
        let select = Select { operand, field, test_only: false, optional };
        self.node(dot.start, ExprKind::Select(Box::new(select)))
    }

    fn index(&mut self, operand: Expr, bracket: Token) -> Result<Expr, Stop> {
        let optional = self.eat(Kind::Question).is_some();
        let index = self.expr()?;
        self.expect(Kind::RightBracket, "']'")?;
        let function = if optional { ops::OPT_INDEX } else { ops::INDEX };
        self.call(bracket.start, function, vec![operand, index])
    }

    /// The name of a field, out of its backticks.
    pub(super) fn field_name(&self, token: Token) -> Arc<str> {
        self.text(token).trim_matches('`').into()
    }

    /// `x, y)`: the opening parenthesis is read.
    fn arguments(&mut self) -> Result<Vec<Expr>, Stop> {
        let mut args = Vec::new();
        if self.eat(Kind::RightParen).is_some() {
            return Ok(args);
        }
        loop {
            args.push(self.expr()?);
            if self.eat(Kind::Comma).is_none() {
                break;
            }
        }
        self.expect(Kind::RightParen, "')'")?;
        Ok(args)
    }

    fn primary(&mut self) -> Result<Expr, Stop> {
        if !self.expect_operand()? {
            return self.placeholder(self.peek().start);
        }
        let token = self.peek();
        match token.kind {
            Kind::Identifier => self.name(token, None),
            Kind::Dot => {
                self.advance();
                if self.peek_kind() == Kind::Identifier {
                    return self.name(self.peek(), Some(token));
                }
                self.no_alternative(token);
                self.resume()?;
                self.placeholder(token.start)
            }
            Kind::LeftParen => {
                self.advance();
                let inner = self.expr()?;
                self.expect(Kind::RightParen, "')'")?;
                Ok(inner)
            }
            Kind::LeftBracket => self.list_literal(),
            Kind::LeftBrace => self.map_literal(),
            _ => self.literal_token(),
        }
    }

    /// A variable, a call of a global function, or the construction of an object.
    fn name(&mut self, token: Token, dot: Option<Token>) -> Result<Expr, Stop> {
        if let Some(parts) = self.type_name_ahead() {
            return self.struct_literal(parts);
        }
        self.advance();
        let word = self.text(token);
        let reserved = RESERVED.contains(&word.as_str());
        let name = if dot.is_some() { format!(".{word}") } else { word.clone() };
        let Some(open) = self.eat(Kind::LeftParen) else {
            if reserved {
                self.report(dot.unwrap_or(token).start, format!("reserved identifier: {word}"));
            }
            return self.ident(token.start, &name);
        };
        if reserved {
            self.report(dot.unwrap_or(token).start, format!("reserved identifier: {word}"));
        }
        let args = self.arguments()?;
        macros::call(self, open.start, None, &name, args)
    }

    /// How many tokens `a.b.c` has when `{` follows it.
    fn type_name_ahead(&self) -> Option<usize> {
        let mut ahead = 1;
        while self.kind_ahead(ahead) == Kind::Dot && self.kind_ahead(ahead + 1) == Kind::Identifier {
            ahead += 2;
        }
        (self.kind_ahead(ahead) == Kind::LeftBrace).then_some(ahead)
    }
}
