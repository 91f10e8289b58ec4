//! Both streams of a container as one, by time.

use std::collections::VecDeque;
use std::io;
use std::path::Path;

use super::stream::{Line, Stream, StreamName};
use super::tail::start_of_last;

/// Lines given at once: small enough to be sent, large enough to be fast.
const BATCH_BYTES: usize = 64 << 10;
/// More lines than this are no tail: everything is read.
const TAIL_LINES_MAX: usize = 100_000;

/// Which lines are wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Only so many from the end.
    pub tail: Option<usize>,
    /// Only those of this time or later, nanoseconds since 1970.
    pub since: Option<u64>,
}

/// Reads both streams forward.
#[derive(Debug)]
pub struct Merged {
    streams: [Stream; 2],
    since: u64,
    /// Lines of the tail that were read already.
    ready: VecDeque<Line>,
}

impl Merged {
    /// From where the options say; files that do not exist yet may come later.
    pub fn open(dir: &Path, options: &Options) -> Self {
        let tail = options.tail.filter(|lines| *lines <= TAIL_LINES_MAX);
        let open = |name| Stream::open(dir, name, tail.and_then(|lines| start_of_last(dir, name, lines)));
        let mut merged = Self {
            streams: [open(StreamName::Stdout), open(StreamName::Stderr)],
            since: options.since.unwrap_or(0),
            ready: VecDeque::new(),
        };
        if let Some(lines) = tail {
            merged.keep_last(lines);
        }
        merged
    }

    /// Each stream began `lines` from its end; together they are too many.
    fn keep_last(&mut self, lines: usize) {
        let mut kept = VecDeque::new();
        while let Ok(Some(line)) = self.next_line(false) {
            kept.push_back(line);
            if kept.len() > lines {
                kept.pop_front();
            }
        }
        self.ready = kept;
    }

    /// What can be read now; empty when there is nothing new. With `ended` last lines need no newline.
    ///
    /// # Errors
    /// As the file system says.
    pub fn next_batch(&mut self, ended: bool) -> io::Result<Vec<Line>> {
        let mut batch = Vec::new();
        let mut bytes = 0;
        while bytes < BATCH_BYTES {
            let line = match self.ready.pop_front() {
                Some(line) => line,
                None => match self.next_line(ended)? {
                    Some(line) => line,
                    None => break,
                },
            };
            bytes += line.text.len();
            batch.push(line);
        }
        Ok(batch)
    }

    fn next_line(&mut self, ended: bool) -> io::Result<Option<Line>> {
        let [out, err] = &mut self.streams;
        loop {
            let times = (out.peek(ended)?.map(|l| l.time), err.peek(ended)?.map(|l| l.time));
            let line = match times {
                (None, None) => return Ok(None),
                (Some(a), Some(b)) if b < a => err.pop(),
                (Some(_), _) => out.pop(),
                (None, Some(_)) => err.pop(),
            };
            // Without an index times are 0: such lines are never left out.
            match line {
                Some(line) if line.time != 0 && line.time < self.since => {}
                other => return Ok(other),
            }
        }
    }
}
