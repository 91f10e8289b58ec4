//! Paths to fields as rules and selectable fields write them: `.spec.size`, `.params['a.b']`.
//!
//! The grammar is that of kube-apiserver's `ValidFieldPath`: names after dots and single-quoted names in brackets,
//! which step through properties and through the values of maps, never through lists.

use serde_json::Value;
use thiserror::Error;

/// A path that leads to a place of a schema.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldPath<'s> {
    /// As errors write it, without a dot in front: `params[a.b]`.
    pub text: String,
    /// The first step.
    pub root: String,
    /// The schema of the place.
    pub schema: &'s Value,
}

/// Why a text is no path into a schema, in kube-apiserver's words.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum PathError {
    #[error("array notation is not allowed")]
    Brackets,
    #[error("unexpected end of JSON path")]
    End,
    #[error("does not refer to a valid field")]
    NoField,
    #[error("expected single quoted string but got {0}")]
    NotQuoted(String),
    #[error("invalid string literal: invalid escape char {0}")]
    BadEscape(String),
    #[error("expected ] but got {0}")]
    NotClosed(String),
    #[error("expected [ or . but got: {0}")]
    NoStep(String),
}

/// Reads a path and follows it through a structural schema.
///
/// # Errors
/// The text is no path, or leads nowhere.
pub fn field_path<'s>(path: &str, schema: &'s Value, brackets: bool) -> Result<FieldPath<'s>, PathError> {
    let mut found = FieldPath { text: String::new(), root: String::new(), schema };
    let mut rest = path;
    while let Some(token) = next_token(&mut rest) {
        match token {
            "[" if !brackets => return Err(PathError::Brackets),
            "[" => {
                let quoted = next_token(&mut rest).ok_or(PathError::End)?;
                let inner = (quoted.len() >= 2).then(|| quoted.strip_prefix('\'')?.strip_suffix('\'')).flatten();
                let name = unescape(inner.ok_or_else(|| PathError::NotQuoted(quoted.to_owned()))?)?;
                found.step(&name)?;
                match next_token(&mut rest).ok_or(PathError::End)? {
                    "]" => {}
                    other => return Err(PathError::NotClosed(other.to_owned())),
                }
            }
            "." => {
                let name = next_token(&mut rest).ok_or(PathError::End)?;
                found.step(name)?;
            }
            other => return Err(PathError::NoStep(other.to_owned())),
        }
    }
    Ok(found)
}

impl FieldPath<'_> {
    fn step(&mut self, name: &str) -> Result<(), PathError> {
        let properties = self.schema.get("properties").and_then(Value::as_object).filter(|map| !map.is_empty());
        let shown = match (properties, self.schema.get("additionalProperties")) {
            (Some(properties), _) => {
                self.schema = properties.get(name).ok_or(PathError::NoField)?;
                let dot = if self.text.is_empty() { "" } else { "." };
                format!("{dot}{name}")
            }
            (None, Some(values @ Value::Object(_))) => {
                self.schema = values;
                format!("[{name}]")
            }
            (None, _) => return Err(PathError::NoField),
        };
        if self.text.is_empty() {
            self.root = name.to_owned();
        }
        self.text.push_str(&shown);
        Ok(())
    }
}

/// Takes the next delimiter, quoted string or name off the front.
fn next_token<'p>(rest: &mut &'p str) -> Option<&'p str> {
    let text = *rest;
    if text.is_empty() {
        return None;
    }
    let bytes = text.as_bytes();
    let end = if bytes[0] == b'\'' {
        (1..bytes.len()).find(|i| bytes[*i] == b'\'' && bytes[*i - 1] != b'\\').map_or(text.len(), |i| i + 1)
    } else {
        match text.find(['.', '[', ']']) {
            Some(0) => 1,
            Some(at) => at,
            None => text.len(),
        }
    };
    let (token, behind) = text.split_at(end);
    *rest = behind;
    Some(token)
}

fn unescape(text: &str) -> Result<String, PathError> {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            plain.push(c);
            continue;
        }
        plain.push(match chars.next() {
            Some('a') => '\u{7}',
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some('v') => '\u{b}',
            Some('\'') => '\'',
            Some('\\') => '\\',
            other => return Err(PathError::BadEscape(other.map_or_else(|| "\\".to_owned(), |c| format!("\\{c}")))),
        });
    }
    Ok(plain)
}
