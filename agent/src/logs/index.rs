//! The index beside a log file: when each byte was written.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Bytes of one record: offset and nanoseconds since 1970, both little-endian `u64`.
const RECORD_BYTES: usize = 16;
/// Bytes read at once.
const CHUNK_RECORDS: usize = 512;

/// Reads an index forward, as its log file is read forward.
#[derive(Debug, Default)]
pub(super) struct Index {
    file: Option<File>,
    /// The record that holds now: time of the bytes from the last offset asked for.
    current: u64,
    /// Records read and not passed yet.
    ahead: std::collections::VecDeque<(u64, u64)>,
    partial: Vec<u8>,
}

impl Index {
    /// A missing index is fine: times are 0 then.
    pub(super) fn open(dir: &Path, name: &str) -> Self {
        Self { file: super::open(dir, name).ok(), ..Self::default() }
    }

    /// When the byte at `offset` was written, in nanoseconds. Offsets must not go back.
    pub(super) fn time_at(&mut self, offset: u64) -> u64 {
        loop {
            while let Some((begin, time)) = self.ahead.front().copied() {
                if begin > offset {
                    return self.current;
                }
                self.current = time;
                self.ahead.pop_front();
            }
            match self.fill() {
                Ok(0) | Err(_) => return self.current,
                Ok(_) => {}
            }
        }
    }

    fn fill(&mut self) -> io::Result<usize> {
        let Some(file) = &mut self.file else { return Ok(0) };
        let mut buffer = [0; RECORD_BYTES * CHUNK_RECORDS];
        let n = file.read(&mut buffer)?;
        self.partial.extend_from_slice(&buffer[..n]);
        let whole = self.partial.len() / RECORD_BYTES;
        for record in self.partial.chunks_exact(RECORD_BYTES) {
            let number = |range: std::ops::Range<usize>| {
                u64::from_le_bytes(record[range].try_into().expect("a record has 16 bytes"))
            };
            self.ahead.push_back((number(0..8), number(8..16)));
        }
        self.partial.drain(..whole * RECORD_BYTES);
        Ok(whole)
    }
}
