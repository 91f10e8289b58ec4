//! The text of an expression and what is wrong with it, printed with the line and a caret under the place.

use std::fmt::{self, Write as _};
use std::sync::Arc;

/// Errors reported for one expression; the rest is only counted.
pub const ISSUES_MAX: usize = 100;

/// Lines longer than this (in bytes) are not repeated in messages.
const SNIPPET_BYTES_MAX: usize = 16_384;

/// Marks an issue that belongs to the whole expression: printed as position `-1:0`.
pub const NO_LOCATION: u32 = u32::MAX;

/// One mistake in an expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issue {
    /// In characters from the start of the expression, or [`NO_LOCATION`].
    pub offset: u32,
    pub message: String,
}

/// Everything wrong with an expression. Prints as cel-go does:
///
/// ```text
/// ERROR: <input>:1:1: undeclared reference to 'x' (in container '')
///  | x + 1
///  | ^
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issues {
    source: Arc<str>,
    issues: Vec<Issue>,
    /// Issues above [`ISSUES_MAX`].
    truncated: usize,
}

impl Issues {
    pub(crate) fn new(source: &str) -> Self {
        Self { source: source.into(), issues: Vec::new(), truncated: 0 }
    }

    pub(crate) fn report(&mut self, offset: u32, message: impl Into<String>) {
        if self.issues.len() >= ISSUES_MAX {
            self.truncated += 1;
            return;
        }
        self.issues.push(Issue { offset, message: message.into() });
    }

    /// Orders by position, as they are printed.
    pub(crate) fn sort(&mut self) {
        // `wrapping_add` puts NO_LOCATION first, where position -1 belongs.
        self.issues.sort_by_key(|issue| issue.offset.wrapping_add(1));
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.issues.is_empty()
    }

    /// In order of position; at most [`ISSUES_MAX`].
    #[must_use]
    pub fn as_slice(&self) -> &[Issue] {
        &self.issues
    }
}

impl std::error::Error for Issues {}

impl fmt::Display for Issues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, issue) in self.issues.iter().enumerate() {
            if index > 0 {
                f.write_char('\n')?;
            }
            display(f, &self.source, issue)?;
        }
        if self.truncated > 0 {
            write!(f, "\n{} more errors were truncated", self.truncated)?;
        }
        Ok(())
    }
}

fn display(f: &mut fmt::Formatter<'_>, source: &str, issue: &Issue) -> fmt::Result {
    if issue.offset == NO_LOCATION {
        return write!(f, "ERROR: <input>:-1:0: {}", issue.message);
    }
    let (line, column, text) = locate(source, issue.offset as usize);
    write!(f, "ERROR: <input>:{line}:{}: {}", column + 1, issue.message)?;
    if source.is_empty() || text.len() > SNIPPET_BYTES_MAX {
        return Ok(());
    }
    write!(f, "\n | {}\n | ", text.replace('\t', " "))?;
    // Wide characters get wide dots, so that the caret stands under its character in a terminal.
    let mut chars = text.chars();
    for c in chars.by_ref().take(column) {
        f.write_char(if c.len_utf8() > 1 { '\u{ff0e}' } else { '.' })?;
    }
    f.write_char(if chars.next().is_some_and(|c| c.len_utf8() > 1) { '\u{ff3e}' } else { '^' })
}

/// Line (from 1), column (from 0) and text of the line of an offset; an offset behind the end is on the last line.
fn locate(source: &str, offset: usize) -> (usize, usize, &str) {
    let mut start = 0;
    let mut number = 0;
    let mut lines = source.split('\n').peekable();
    while let Some(line) = lines.next() {
        number += 1;
        let length = line.chars().count();
        if offset <= start + length || lines.peek().is_none() {
            return (number, offset.saturating_sub(start), line);
        }
        start += length + 1;
    }
    (1, offset, source)
}
