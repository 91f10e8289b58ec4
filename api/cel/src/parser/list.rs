//! Lists, maps and objects: `[1, ?x]`, `{'k': v, ?'o': x}`, `Object.spec{replicas: 1}`.

use std::sync::Arc;

use super::expect::starts_operand;
use super::{Parser, Stop};
use crate::ast::{Element, Entry, Expr, ExprKind, Field, Struct};
use crate::lexer::Kind;

const ENTRY_OR_END: &str = "{'[', '{', '}', '(', '.', ',', '-', '!', '?', 'true', 'false', 'null', NUM_FLOAT, \
                            NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}";
const ELEMENT_OR_END: &str = "{'[', ']', '{', '(', '.', ',', '-', '!', '?', 'true', 'false', 'null', NUM_FLOAT, \
                              NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}";
const FIELD_OR_END: &str = "{'}', ',', '?', IDENTIFIER, ESC_IDENTIFIER}";

fn starts_item(kind: Kind) -> bool {
    starts_operand(kind) || kind == Kind::Question
}

fn starts_field(kind: Kind) -> bool {
    matches!(kind, Kind::Identifier | Kind::EscapedIdentifier | Kind::Question)
}

impl Parser<'_> {
    pub(super) fn list_literal(&mut self) -> Result<Expr, Stop> {
        let open = self.advance();
        let mut elements = Vec::new();
        self.items(Kind::RightBracket, "']'", ELEMENT_OR_END, starts_item, |parser| {
            let optional = parser.eat(Kind::Question).is_some();
            let value = parser.expr()?;
            elements.push(Element { optional, value });
            Ok(())
        })?;
        self.node(open.start, ExprKind::List(elements))
    }

    pub(super) fn map_literal(&mut self) -> Result<Expr, Stop> {
        let open = self.advance();
        let mut entries = Vec::new();
        self.items(Kind::RightBrace, "'}'", ENTRY_OR_END, starts_item, |parser| {
            let optional = parser.eat(Kind::Question).is_some();
            let key = parser.expr()?;
            parser.expect(Kind::Colon, "':'")?;
            let value = parser.value()?;
            entries.push(Entry { id: parser.number(), optional, key, value });
            Ok(())
        })?;
        self.node(open.start, ExprKind::Map(entries))
    }

    /// An object: the current token starts its type's name of `parts` tokens.
    pub(super) fn struct_literal(&mut self, parts: usize) -> Result<Expr, Stop> {
        let mut type_name = String::new();
        for _ in 0..parts {
            let token = self.advance();
            type_name.push_str(&self.text(token));
        }
        let type_name: Arc<str> = type_name.into();
        let open = self.advance();
        let mut fields = Vec::new();
        self.items(Kind::RightBrace, "'}'", FIELD_OR_END, starts_field, |parser| {
            let optional = parser.eat(Kind::Question).is_some();
            let token = parser.peek();
            if !matches!(token.kind, Kind::Identifier | Kind::EscapedIdentifier) {
                return parser.mismatched("{IDENTIFIER, ESC_IDENTIFIER}");
            }
            parser.advance();
            let name = parser.field_name(token);
            let offset = parser.peek().start;
            parser.expect(Kind::Colon, "':'")?;
            let value = parser.value()?;
            fields.push(Field { id: parser.number(), offset, optional, name, value });
            Ok(())
        })?;
        self.node(open.start, ExprKind::Struct(Box::new(Struct { type_name, fields })))
    }

    /// What stands behind a colon; nothing more is said when the colon itself was missing.
    fn value(&mut self) -> Result<Expr, Stop> {
        if self.recovering { self.placeholder(self.peek().start) } else { self.expr() }
    }

    /// `item, item,` up to the closing token, which is read.
    fn items(
        &mut self,
        close: Kind,
        close_name: &str,
        item_or_close: &str,
        starts: fn(Kind) -> bool,
        mut item: impl FnMut(&mut Self) -> Result<(), Stop>,
    ) -> Result<(), Stop> {
        let first = self.peek_kind();
        if first != close && first != Kind::Comma && !starts(first) {
            let ahead = self.kind_ahead(1);
            if ahead != close && ahead != Kind::Comma && !starts(ahead) {
                return self.mismatched(item_or_close);
            }
            self.extraneous(item_or_close)?;
        }
        if starts(self.peek_kind()) {
            loop {
                item(self)?;
                // A comma may also end the items.
                let again = self.peek_kind() == Kind::Comma && starts(self.kind_ahead(1));
                if !again {
                    break;
                }
                self.advance();
            }
        }
        if self.eat(Kind::Comma).is_none() && self.peek_kind() != close && self.kind_ahead(1) != close {
            return self.mismatched(&format!("{{{close_name}, ','}}"));
        }
        self.expect(close, close_name)
    }
}
