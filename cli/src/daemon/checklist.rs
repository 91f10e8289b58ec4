//! The live list of what is up already, each with its time.

use std::time::Instant;

use crate::term::{Paint, Term};
use crate::text::age;

/// Width of a step's name.
const NAME: usize = 13;

/// Steps of a start, printed as they are done.
#[derive(Debug)]
pub(crate) struct Checklist {
    started: Instant,
}

impl Checklist {
    pub(crate) fn new(started: Instant) -> Self {
        Self { started }
    }

    /// A step is done.
    pub(crate) fn done(&self, term: &mut Term, step: &str, detail: &str) {
        let mark = term.paint_err(Paint::Good, "✓");
        let detail = term.paint_err(Paint::Dim, detail);
        let line = format!("  {mark} {step:<NAME$} {:>6}  {detail}", self.time());
        term.say(line.trim_end());
    }

    /// Time since the start.
    pub(crate) fn time(&self) -> String {
        age::elapsed(self.started.elapsed())
    }
}
