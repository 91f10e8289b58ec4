//! Cuts an expression into tokens. Never fails: text that is no token is reported and skipped, as cel-go's lexer does.

mod number;
mod string;
pub(crate) mod unescape;

use crate::source::Issues;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Eof,
    EqualEqual,
    NotEqual,
    In,
    Less,
    LessEqual,
    GreaterEqual,
    Greater,
    And,
    Or,
    LeftBracket,
    RightBracket,
    LeftBrace,
    RightBrace,
    LeftParen,
    RightParen,
    Dot,
    Comma,
    Minus,
    Not,
    Question,
    Colon,
    Plus,
    Star,
    Slash,
    Percent,
    True,
    False,
    Null,
    Float,
    Int,
    Uint,
    String,
    Bytes,
    Identifier,
    EscapedIdentifier,
}

/// A token: its kind and the characters it spans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub kind: Kind,
    pub start: u32,
    pub end: u32,
}

/// All tokens of a text, ended by [`Kind::Eof`].
pub(crate) fn tokenize(chars: &[char], issues: &mut Issues) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < chars.len() {
        if is_space(chars[at]) {
            at += 1;
            continue;
        }
        if chars[at..].starts_with(&['/', '/']) {
            at += chars[at..].iter().position(|&c| c == '\n').unwrap_or(chars.len() - at);
            continue;
        }
        match scan(&chars[at..]) {
            Scan::Token(kind, length) => {
                tokens.push(token(kind, at, at + length));
                at += length;
            }
            Scan::Bad(length) => {
                // Up to and with the character that did not fit; all of it is skipped.
                let end = (at + length).min(chars.len());
                let text: String = chars[at..end].iter().collect();
                issues.report(clamp(at), format!("Syntax error: token recognition error at: '{text}'"));
                at = end;
            }
        }
    }
    tokens.push(token(Kind::Eof, chars.len(), chars.len()));
    tokens
}

fn token(kind: Kind, start: usize, end: usize) -> Token {
    Token { kind, start: clamp(start), end: clamp(end) }
}

fn clamp(offset: usize) -> u32 {
    u32::try_from(offset).unwrap_or(u32::MAX - 1)
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n' | '\u{c}')
}

/// What stands at the start of a text.
pub(crate) enum Scan {
    /// A token of this many characters.
    Token(Kind, usize),
    /// No token; this many characters were needed to find out (may be one past the end).
    Bad(usize),
}

fn scan(rest: &[char]) -> Scan {
    let next = rest.get(1).copied();
    let one = |kind| Scan::Token(kind, 1);
    let two = |expected, kind| if next == Some(expected) { Scan::Token(kind, 2) } else { Scan::Bad(2) };
    let either = |expected, double, single| {
        if next == Some(expected) { Scan::Token(double, 2) } else { Scan::Token(single, 1) }
    };
    if let Some(scanned) = string::scan(rest) {
        return scanned;
    }
    match rest[0] {
        '=' => two('=', Kind::EqualEqual),
        '&' => two('&', Kind::And),
        '|' => two('|', Kind::Or),
        '!' => either('=', Kind::NotEqual, Kind::Not),
        '<' => either('=', Kind::LessEqual, Kind::Less),
        '>' => either('=', Kind::GreaterEqual, Kind::Greater),
        '[' => one(Kind::LeftBracket),
        ']' => one(Kind::RightBracket),
        '{' => one(Kind::LeftBrace),
        '}' => one(Kind::RightBrace),
        '(' => one(Kind::LeftParen),
        ')' => one(Kind::RightParen),
        ',' => one(Kind::Comma),
        '-' => one(Kind::Minus),
        '?' => one(Kind::Question),
        ':' => one(Kind::Colon),
        '+' => one(Kind::Plus),
        '*' => one(Kind::Star),
        '/' => one(Kind::Slash),
        '%' => one(Kind::Percent),
        '.' if next.is_some_and(|c| c.is_ascii_digit()) => number::scan(rest),
        '.' => one(Kind::Dot),
        c if c.is_ascii_digit() => number::scan(rest),
        c if c.is_ascii_alphabetic() || c == '_' => identifier(rest),
        '`' => escaped_identifier(rest),
        _ => Scan::Bad(1),
    }
}

fn identifier(rest: &[char]) -> Scan {
    let length = rest.iter().take_while(|c| c.is_ascii_alphanumeric() || **c == '_').count();
    let is = |word: &str| word.chars().eq(rest[..length].iter().copied());
    let kind = match () {
        () if is("in") => Kind::In,
        () if is("true") => Kind::True,
        () if is("false") => Kind::False,
        () if is("null") => Kind::Null,
        () => Kind::Identifier,
    };
    Scan::Token(kind, length)
}

/// A field name in backticks: letters, digits and `_.-/ `.
fn escaped_identifier(rest: &[char]) -> Scan {
    let inner =
        rest[1..].iter().take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-' | '/' | ' ')).count();
    let closed = rest.get(1 + inner) == Some(&'`');
    if inner == 0 || !closed { Scan::Bad(inner + 2) } else { Scan::Token(Kind::EscapedIdentifier, inner + 2) }
}
