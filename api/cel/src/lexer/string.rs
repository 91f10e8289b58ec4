//! Where strings and bytes end: `'a'`, `"a"`, `'''a'''`, `r"a"`, `b'a'`, `br"""a"""`.

use super::{Kind, Scan};

/// A string or bytes literal at the start of the text; nothing when it starts with something else.
pub(super) fn scan(rest: &[char]) -> Option<Scan> {
    let mut at = 0;
    let bytes = matches!(rest.first(), Some('b' | 'B'));
    at += usize::from(bytes);
    let raw = matches!(rest.get(at), Some('r' | 'R'));
    at += usize::from(raw);
    let quote = *rest.get(at).filter(|c| matches!(c, '"' | '\''))?;
    let kind = if bytes { Kind::Bytes } else { Kind::String };
    let triple = rest[at..].starts_with(&[quote; 3]);
    if triple {
        if let Ok(end) = body(rest, at + 3, quote, raw, true) {
            return Some(Scan::Token(kind, end));
        }
        // Not closed: the first two quotes are an empty string, as the longest match says.
        return Some(Scan::Token(kind, at + 2));
    }
    match body(rest, at + 1, quote, raw, false) {
        Ok(end) => Some(Scan::Token(kind, end)),
        // `b` or `r` before a broken string is a name; what follows is reported on its own.
        Err(_) if at > 0 => Some(Scan::Token(Kind::Identifier, at)),
        Err(bad) => Some(Scan::Bad(bad)),
    }
}

/// The end of a literal whose body starts at `at`, behind its closing quotes; or how far it is readable.
fn body(rest: &[char], mut at: usize, quote: char, raw: bool, triple: bool) -> Result<usize, usize> {
    loop {
        let c = *rest.get(at).ok_or(at + 1)?;
        if c == quote && !triple {
            return Ok(at + 1);
        }
        if c == quote && rest[at..].starts_with(&[quote; 3]) {
            return Ok(at + 3);
        }
        if !triple && matches!(c, '\n' | '\r') {
            return Err(at + 1);
        }
        at = if c == '\\' && !raw { escape(rest, at)? } else { at + 1 };
    }
}

/// Behind the escape sequence that starts with the backslash at `at`.
fn escape(rest: &[char], at: usize) -> Result<usize, usize> {
    let c = *rest.get(at + 1).ok_or(at + 2)?;
    let (digits, base) = match c {
        'a' | 'b' | 'f' | 'n' | 'r' | 't' | 'v' | '"' | '\'' | '\\' | '?' | '`' => (0, 8),
        'x' | 'X' => (2, 16),
        'u' => (4, 16),
        'U' => (8, 16),
        '0'..='3' => (2, 8),
        _ => return Err(at + 2),
    };
    let first = at + 2;
    for index in first..first + digits {
        if !rest.get(index).is_some_and(|c| c.is_digit(base)) {
            return Err(index + 1);
        }
    }
    Ok(first + digits)
}
