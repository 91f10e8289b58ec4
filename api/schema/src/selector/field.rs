//! Field selectors: `spec.nodeName=n1,status.phase!=Failed`.

use std::borrow::Cow;

use super::{SELECTOR_BYTES_MAX, SelectorError};

/// All terms must hold; none at all matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldSelector {
    pub terms: Vec<FieldTerm>,
}

/// One comparison. A field that is missing compares as the empty text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldTerm {
    pub path: String,
    pub value: String,
    pub negated: bool,
}

impl FieldSelector {
    /// Reads the query form; `\,`, `\=` and `\\` are escapes.
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        if text.len() > SELECTOR_BYTES_MAX {
            return Err(SelectorError(format!("a selector may have {SELECTOR_BYTES_MAX} bytes at most")));
        }
        let mut terms = Vec::new();
        for part in split_terms(text).into_iter().filter(|part| !part.is_empty()) {
            let Some((path, sign, value)) = split_sign(part) else {
                return Err(SelectorError(format!("invalid selector: '{text}'; can't understand '{part}'")));
            };
            terms.push(FieldTerm { path: path.to_owned(), value: unescape(value)?, negated: sign == "!=" });
        }
        Ok(Self { terms })
    }

    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// The value that `path` must have, if a term demands one: for using an index.
    pub fn exact(&self, path: &str) -> Option<&str> {
        self.terms.iter().find(|t| !t.negated && t.path == path).map(|t| t.value.as_str())
    }

    /// Whether fields match; `lookup` gives a field's value as text.
    pub fn matches<'a>(&self, lookup: impl Fn(&str) -> Option<Cow<'a, str>>) -> bool {
        self.terms.iter().all(|term| {
            let value = lookup(&term.path).unwrap_or_default();
            (value == term.value.as_str()) != term.negated
        })
    }
}

/// Cuts at commas that are not escaped.
fn split_terms(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut start = 0;
    let mut escaped = false;
    for (i, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b',' => {
                parts.push(&text[start..i]);
                start = i + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

fn split_sign(term: &str) -> Option<(&str, &'static str, &str)> {
    (0..term.len()).filter(|i| term.is_char_boundary(*i)).find_map(|i| {
        let rest = &term[i..];
        let sign = ["!=", "==", "="].into_iter().find(|sign| rest.starts_with(sign))?;
        Some((&term[..i], sign, &rest[sign.len()..]))
    })
}

fn unescape(value: &str) -> Result<String, SelectorError> {
    let mut out = String::with_capacity(value.len());
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some(c @ ('\\' | ',' | '=')) => out.push(c),
                Some(c) => {
                    return Err(SelectorError(format!("invalid field selector: invalid escape sequence: \\{c}")));
                }
                None => return Err(SelectorError("invalid field selector: ends in an escape".to_owned())),
            },
            ',' | '=' => {
                return Err(SelectorError(format!("invalid field selector: unescaped character in value: {c}")));
            }
            c => out.push(c),
        }
    }
    Ok(out)
}
