//! What containers wrote: read by line, both streams merged by time, across rotation, and while it is written.
//!
//! The runtime writes `stdout` and `stderr` with an index beside each (`stdout.idx`: for each write its offset
//! and its time), and rotates them to `stdout.1` (newest) and up. A line has the time of the write in which it began.

mod index;
mod merge;
mod notify;
mod stream;
mod tail;

use std::fs::File;
use std::io;
use std::path::Path;

use rustix::fs::{Mode, OFlags};

pub use merge::{Merged, Options};
pub use notify::Changes;
pub use stream::{Line, StreamName};

/// How many lines the message of a failed container keeps.
const LAST_WORDS_LINES: usize = 10;
/// How many bytes of them.
const LAST_WORDS_BYTES: usize = 2048;

/// Opens a file of a log's directory. The directory belongs to the task: neither it nor the file may be a link, which
/// could show a file of the node, and a pipe in its place is not waited for.
fn open(dir: &Path, name: &str) -> io::Result<File> {
    let flags = OFlags::DIRECTORY | OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let dir = rustix::fs::open(dir, flags, Mode::empty())?;
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::openat(&dir, name, flags, Mode::empty())?);
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("something else is in the place of the log"));
    }
    Ok(file)
}

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
