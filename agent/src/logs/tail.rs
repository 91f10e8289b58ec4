//! Finds where the last lines of a stream begin, reading from the end.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use super::stream::{StreamName, file_name, oldest};

/// Bytes read at once, from the end.
const CHUNK_BYTES: u64 = 64 << 10;

/// File and offset from which at most `lines` lines follow; `None` is the very beginning.
pub(super) fn start_of_last(dir: &Path, name: StreamName, lines: usize) -> Option<(u32, u64)> {
    let mut left = lines;
    for generation in 0..=oldest(dir, name) {
        let Ok(mut file) = super::open(dir, &file_name(name, generation)) else { break };
        let length = file.metadata().map(|m| m.len()).unwrap_or(0);
        if lines == 0 {
            return Some((generation, length));
        }
        match scan_back(&mut file, length, &mut left, generation == 0) {
            Ok(Some(offset)) => return Some((generation, offset)),
            Ok(None) => {}
            Err(_) => return None,
        }
    }
    None
}

/// Counts newlines down from the end; the offset behind the one that is too many.
fn scan_back(file: &mut File, length: u64, left: &mut usize, is_last_file: bool) -> io::Result<Option<u64>> {
    let mut end = length;
    let mut buffer = vec![0; CHUNK_BYTES as usize];
    while end > 0 {
        let begin = end.saturating_sub(CHUNK_BYTES);
        let piece = &mut buffer[..(end - begin) as usize];
        file.seek(SeekFrom::Start(begin))?;
        file.read_exact(piece)?;
        for (at, _) in piece.iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n') {
            let behind = begin + at as u64 + 1;
            // The newline at the very end closes the last line, it does not begin another.
            if behind == length && is_last_file {
                continue;
            }
            *left = left.saturating_sub(1);
            if *left == 0 {
                return Ok(Some(behind));
            }
        }
        end = begin;
    }
    Ok(None)
}
