//! What containers wrote: read by line, both streams merged by time, across rotation, and while it is written.
//!
//! The runtime writes `stdout` and `stderr` with an index beside each (`stdout.idx`: for each write its offset
//! and its time), and rotates them to `stdout.1` (newest) and up. A line has the time of the write in which it began.

mod index;
mod merge;
mod notify;
mod stream;
mod tail;

use std::path::Path;

pub use merge::{Merged, Options};
pub use notify::Changes;
pub use stream::{Line, StreamName};

/// How many lines the message of a failed container keeps.
const LAST_WORDS_LINES: usize = 10;
/// How many bytes of them.
const LAST_WORDS_BYTES: usize = 2048;

/// The end of a container's log, for the message of its failure; `None` when it wrote nothing.
pub fn last_words(dir: &Path) -> Option<String> {
    let options = Options { tail: Some(LAST_WORDS_LINES), ..Options::default() };
    let mut merged = Merged::open(dir, &options);
    let mut text = Vec::new();
    while let Some(batch) = merged.next_batch(true).ok().filter(|b| !b.is_empty()) {
        for line in batch {
            text.extend_from_slice(&line.text);
        }
    }
    let from = text.len().saturating_sub(LAST_WORDS_BYTES);
    let kept = String::from_utf8_lossy(&text[from..]);
    // A cut in the middle of a character shows as a replacement mark: leave it out.
    let kept = kept.trim_start_matches('\u{fffd}').trim_end();
    (!kept.is_empty()).then(|| kept.to_owned())
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
