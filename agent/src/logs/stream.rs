//! One stream of a container, line by line, from an old rotated file on to the newest.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::index::Index;

/// Bytes read at once.
const CHUNK_BYTES: usize = 64 << 10;
/// A longer line is given in pieces, so that a stream without newlines cannot fill the memory.
const LINE_BYTES_MAX: usize = 256 << 10;
/// More rotated files than any setting keeps.
const ROTATED_MAX: u32 = 100;

/// stdout or stderr.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamName {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

impl StreamName {
    /// Name of its file.
    pub fn file(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

/// A line with its newline (the last one of an ended container may lack it).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// When its first byte was written, nanoseconds since 1970.
    pub time: u64,
    /// Where it was written.
    pub stream: StreamName,
    /// Its bytes.
    pub text: Vec<u8>,
}

/// Name of the `generation`th rotated file; 0 is the one that is written to.
pub(super) fn file_name(name: StreamName, generation: u32) -> String {
    if generation == 0 { name.file().to_owned() } else { format!("{}.{generation}", name.file()) }
}

fn path(dir: &Path, name: StreamName, generation: u32) -> PathBuf {
    dir.join(file_name(name, generation))
}

/// Reads forward.
#[derive(Debug)]
pub(super) struct Stream {
    dir: PathBuf,
    name: StreamName,
    current: Option<Open>,
    /// Bytes of the line that is not whole yet, and its time.
    pending: Vec<u8>,
    pending_time: u64,
    lines: std::collections::VecDeque<Line>,
}

#[derive(Debug)]
struct Open {
    file: File,
    inode: u64,
    offset: u64,
    index: Index,
}

impl Open {
    fn at(dir: &Path, name: StreamName, generation: u32, offset: u64) -> io::Result<Self> {
        let file_name = file_name(name, generation);
        let mut file = super::open(dir, &file_name)?;
        let inode = file.metadata()?.ino();
        file.seek(SeekFrom::Start(offset))?;
        Ok(Self { file, inode, offset, index: Index::open(dir, &format!("{file_name}.idx")) })
    }
}

impl Stream {
    /// From a place that [`tail`](super::tail) found, or from the oldest byte there is.
    pub(super) fn open(dir: &Path, name: StreamName, from: Option<(u32, u64)>) -> Self {
        let (generation, offset) = from.unwrap_or_else(|| (oldest(dir, name), 0));
        Self {
            dir: dir.to_owned(),
            name,
            current: Open::at(dir, name, generation, offset).ok(),
            pending: Vec::new(),
            pending_time: 0,
            lines: std::collections::VecDeque::new(),
        }
    }

    /// The next line, if it is there. With `ended` the last line needs no newline.
    pub(super) fn peek(&mut self, ended: bool) -> io::Result<Option<&Line>> {
        while self.lines.is_empty() && self.read_more()? {}
        if self.lines.is_empty() && ended && !self.pending.is_empty() {
            self.finish_line();
        }
        Ok(self.lines.front())
    }

    pub(super) fn pop(&mut self) -> Option<Line> {
        self.lines.pop_front()
    }

    /// Reads a piece; `false` when there is nothing more for now.
    fn read_more(&mut self) -> io::Result<bool> {
        let Some(open) = &mut self.current else {
            // Nothing was written when we came, or the file came and went: look again.
            self.current = Open::at(&self.dir, self.name, oldest(&self.dir, self.name), 0).ok();
            return Ok(self.current.is_some());
        };
        let mut buffer = vec![0; CHUNK_BYTES];
        let n = open.file.read(&mut buffer)?;
        if n == 0 {
            return self.follow_rotation();
        }
        let begin = open.offset;
        open.offset += n as u64;
        self.split(&buffer[..n], begin);
        Ok(true)
    }

    fn split(&mut self, bytes: &[u8], begin: u64) {
        let mut at = 0;
        while at < bytes.len() {
            if self.pending.is_empty() {
                let offset = begin + at as u64;
                self.pending_time = self.current.as_mut().map_or(0, |open| open.index.time_at(offset));
            }
            let room = LINE_BYTES_MAX - self.pending.len();
            let piece = &bytes[at..bytes.len().min(at + room)];
            let newline = piece.iter().position(|b| *b == b'\n');
            let taken = newline.map_or(piece.len(), |n| n + 1);
            self.pending.extend_from_slice(&piece[..taken]);
            at += taken;
            if newline.is_some() || self.pending.len() == LINE_BYTES_MAX {
                self.finish_line();
            }
        }
    }

    fn finish_line(&mut self) {
        let text = std::mem::take(&mut self.pending);
        self.lines.push_back(Line { time: self.pending_time, stream: self.name, text });
    }

    /// At the end of our file: goes on to the next newer one, if ours was rotated away.
    fn follow_rotation(&mut self) -> io::Result<bool> {
        let Some(open) = &mut self.current else { return Ok(false) };
        let inode_of = |generation| std::fs::metadata(path(&self.dir, self.name, generation)).map(|m| m.ino()).ok();
        if inode_of(0) == Some(open.inode) {
            return Ok(false);
        }
        // Bytes may have come between our last read and the rotation.
        let mut rest = Vec::new();
        let n = open.file.by_ref().take(CHUNK_BYTES as u64).read_to_end(&mut rest)?;
        if n > 0 {
            let begin = open.offset;
            open.offset += n as u64;
            self.split(&rest, begin);
            return Ok(true);
        }
        let ours = (1..=ROTATED_MAX).take_while(|g| inode_of(*g).is_some()).find(|g| inode_of(*g) == Some(open.inode));
        let next = match ours {
            Some(generation) => generation - 1,
            // Ours is gone for good: we were too slow. Go on with the oldest that is left.
            None => oldest(&self.dir, self.name),
        };
        match Open::at(&self.dir, self.name, next, 0) {
            Ok(newer) if newer.inode != open.inode => {
                self.current = Some(newer);
                Ok(true)
            }
            // Between the rename and the new file: the next look finds it.
            _ => Ok(false),
        }
    }
}

/// The highest generation that exists without a gap.
pub(super) fn oldest(dir: &Path, name: StreamName) -> u32 {
    (1..=ROTATED_MAX).take_while(|g| path(dir, name, *g).exists()).last().unwrap_or(0)
}
