//! From tokens to the syntax tree: recursive descent, with cel-go's grammar, limits and words.
//!
//! A mistake does not end the parse: the parser drops or invents a token, or skips to where an expression can go on,
//! so that several mistakes are reported at once. The tree is used only when nothing was reported.

mod expect;
mod expr;
mod list;
mod literal;
mod logic;
mod member;
mod tree;

use crate::ast::{Expr, ExprId};
use crate::lexer::{self, Kind, Token};
use crate::source::{Issues, NO_LOCATION};

/// Longest expression, in characters (cel-go's `expressionSizeCodePointLimit`).
pub const EXPRESSION_CHARS_MAX: usize = 100_000;

/// How deep expressions may stand in each other, and how high a tree may grow, macros expanded (cel-go's
/// `maxRecursionDepth`). Everything that walks a tree may therefore recurse: this bounds its stack.
pub const NESTING_MAX: u32 = 250;

/// How often the parser mends a broken expression before it gives up (cel-go's `errorRecoveryLimit`).
const RECOVERIES_MAX: u32 = 30;

/// A parsed expression, not checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Parsed {
    pub expr: Expr,
    /// Above every [`ExprId`] of the tree.
    pub next_id: ExprId,
}

/// Parses an expression and expands its macros.
///
/// # Errors
///
/// All mistakes found, in order, in cel-go's form.
pub fn parse(source: &str) -> Result<Parsed, Issues> {
    let mut issues = Issues::new(source);
    let chars: Vec<char> = source.chars().collect();
    if chars.len() > EXPRESSION_CHARS_MAX {
        let size = chars.len();
        let limit = EXPRESSION_CHARS_MAX;
        issues.report(NO_LOCATION, format!("expression code point size exceeds limit: size: {size}, limit {limit}"));
        return Err(issues);
    }
    let tokens = lexer::tokenize(&chars, &mut issues);
    let mut parser = Parser {
        chars: &chars,
        tokens,
        at: 0,
        issues,
        heights: vec![0],
        depth: 0,
        recovering: false,
        recoveries: 0,
        failed_at: None,
    };
    let parsed = parser.start();
    let Parser { mut issues, heights, .. } = parser;
    match parsed {
        Ok(expr) if issues.is_empty() => {
            let next_id = ExprId::try_from(heights.len()).unwrap_or(ExprId::MAX);
            Ok(Parsed { expr, next_id })
        }
        _ => {
            issues.sort();
            Err(issues)
        }
    }
}

/// The parse cannot go on; the reason is reported.
#[derive(Debug)]
pub(crate) struct Stop;

pub(crate) struct Parser<'s> {
    chars: &'s [char],
    tokens: Vec<Token>,
    /// Index of the current token. The last token is the end and is never passed.
    at: usize,
    issues: Issues,
    /// Height of the nodes made so far, by id.
    heights: Vec<u32>,
    depth: u32,
    /// A mistake was just reported and nothing was read since: what follows from it is not reported again.
    recovering: bool,
    recoveries: u32,
    /// Where the last recovery began: a second one in the same place must skip a token, or it would not end.
    failed_at: Option<usize>,
}

impl Parser<'_> {
    fn start(&mut self) -> Result<Expr, Stop> {
        let expr = self.expr()?;
        self.expect_end();
        Ok(expr)
    }

    fn peek(&self) -> Token {
        self.tokens[self.at]
    }

    fn peek_kind(&self) -> Kind {
        self.tokens[self.at].kind
    }

    fn kind_ahead(&self, distance: usize) -> Kind {
        self.tokens.get(self.at + distance).map_or(Kind::Eof, |token| token.kind)
    }

    /// Reads the current token.
    fn advance(&mut self) -> Token {
        let token = self.peek();
        self.recovering = false;
        self.skip();
        token
    }

    fn skip(&mut self) {
        if self.at + 1 < self.tokens.len() {
            self.at += 1;
        }
    }

    /// Reads the current token if it is of this kind.
    fn eat(&mut self, kind: Kind) -> Option<Token> {
        (self.peek_kind() == kind).then(|| self.advance())
    }

    fn text(&self, token: Token) -> String {
        self.slice(token).iter().collect()
    }

    fn slice(&self, token: Token) -> &[char] {
        &self.chars[token.start as usize..token.end as usize]
    }

    /// Reports what is wrong with the meaning of an expression that reads well.
    pub(crate) fn report(&mut self, offset: u32, message: impl Into<String>) {
        self.issues.report(offset, message);
    }

    pub(crate) fn has_failed(&self) -> bool {
        !self.issues.is_empty()
    }

    /// Runs a step one level deeper.
    fn nested<T>(&mut self, step: impl FnOnce(&mut Self) -> Result<T, Stop>) -> Result<T, Stop> {
        if self.depth >= NESTING_MAX {
            self.report(NO_LOCATION, format!("expression recursion limit exceeded: {NESTING_MAX}"));
            return Err(Stop);
        }
        self.depth += 1;
        let result = step(self);
        self.depth -= 1;
        result
    }
}
