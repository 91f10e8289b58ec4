//! Output of the task into files: appended, rotated by size, with an index of times.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use crate::spec::Log;
use crate::sys;

/// One read: as much as a pipe holds by default.
const CHUNK_BYTES: usize = 64 << 10;

/// One stream, from its pipe to its file.
pub(super) struct Stream {
    /// `None` after the end.
    source: Option<File>,
    path: PathBuf,
    log: Log,
    file: Option<File>,
    index: Option<File>,
    size: u64,
    pub(super) written: u64,
    pub(super) dropped: u64,
}

impl Stream {
    /// `name`: `stdout` or `stderr`. Goes on at the end of a file that is there.
    pub(super) fn open(log: &Log, name: &str, source: OwnedFd) -> io::Result<Self> {
        let mut stream = Self {
            source: Some(File::from(source)),
            path: log.dir.join(name),
            log: log.clone(),
            file: None,
            index: None,
            size: 0,
            written: 0,
            dropped: 0,
        };
        stream.open_files()?;
        Ok(stream)
    }

    /// What to poll.
    pub(super) fn source(&self) -> Option<BorrowedFd<'_>> {
        self.source.as_ref().map(AsFd::as_fd)
    }

    /// Takes what is there. `false`: nothing was, for now or for ever.
    pub(super) fn pump(&mut self, buffer: &mut Vec<u8>) -> bool {
        let Some(source) = &mut self.source else { return false };
        buffer.resize(CHUNK_BYTES, 0);
        match source.read(buffer) {
            Ok(0) => {
                self.source = None;
                false
            }
            Ok(n) => {
                self.append(&buffer[..n]);
                true
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => true,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => false,
            // A terminal whose other side is closed says EIO.
            Err(_) => {
                self.source = None;
                false
            }
        }
    }

    /// Never fails: what cannot be written is counted and dropped, as a task must not stop for a full disk.
    fn append(&mut self, bytes: &[u8]) {
        let len = bytes.len() as u64;
        if self.size > 0 && self.size + len > self.log.max_bytes {
            self.rotate();
        }
        if self.file.is_none() && self.open_files().is_err() {
            self.dropped += len;
            return;
        }
        let Some(file) = &mut self.file else { return };
        let mut record = [0; 16];
        record[..8].copy_from_slice(&self.size.to_le_bytes());
        record[8..].copy_from_slice(&sys::unix_nanos().to_le_bytes());
        let mut rest = bytes;
        while !rest.is_empty() {
            match file.write(rest) {
                Ok(0) => break,
                Ok(n) => rest = &rest[n..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        let done = len - rest.len() as u64;
        self.dropped += rest.len() as u64;
        self.written += done;
        self.size += done;
        if done > 0 {
            // After the bytes: a reader never finds a time for what is not there.
            if self.index.is_none() {
                self.index = append_to(self.rotated(0, ".idx")).ok();
            }
            let _ = self.index.as_mut().map(|index| index.write_all(&record));
        }
    }

    fn open_files(&mut self) -> io::Result<()> {
        let file = append_to(self.path.clone())?;
        self.size = file.metadata()?.len();
        self.file = Some(file);
        Ok(())
    }

    /// `stdout` becomes `stdout.1`, that `stdout.2`…; the oldest goes.
    fn rotate(&mut self) {
        self.file = None;
        self.index = None;
        self.size = 0;
        for suffix in ["", ".idx"] {
            let _ = fs::remove_file(self.rotated(self.log.max_files, suffix));
            for n in (0..self.log.max_files).rev() {
                let _ = fs::rename(self.rotated(n, suffix), self.rotated(n + 1, suffix));
            }
        }
    }

    fn rotated(&self, n: u32, suffix: &str) -> PathBuf {
        let mut path = self.path.clone().into_os_string();
        if n > 0 {
            path.push(format!(".{n}"));
        }
        path.push(suffix);
        path.into()
    }
}

fn append_to(path: PathBuf) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    // The sandbox belongs to the task: a link there must not lead us to a file of the host.
    OpenOptions::new().create(true).append(true).mode(0o644).custom_flags(libc::O_NOFOLLOW).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(dir: &std::path::Path, max_bytes: u64) -> Stream {
        let (read, _) = rustix::pipe::pipe().unwrap();
        Stream::open(&Log { dir: dir.to_owned(), max_bytes, max_files: 2 }, "stdout", read).unwrap()
    }

    #[test]
    fn a_file_that_would_grow_too_large_is_rotated_with_its_index() {
        let dir = tempfile::tempdir().unwrap();
        let mut stream = stream(dir.path(), 10);
        for text in ["11111111", "22222222", "33333333", "44", "4444"] {
            stream.append(text.as_bytes());
        }
        let read = |name: &str| fs::read_to_string(dir.path().join(name)).unwrap();
        assert_eq!(
            (read("stdout"), read("stdout.1"), read("stdout.2")),
            ("4444".into(), "3333333344".into(), "22222222".into())
        );
        assert!(!dir.path().join("stdout.3").exists());
        let index = fs::read(dir.path().join("stdout.1.idx")).unwrap();
        let offsets: Vec<_> = index.chunks(16).map(|r| u64::from_le_bytes(r[..8].try_into().unwrap())).collect();
        assert_eq!(offsets, [0, 8]);
    }

    #[test]
    fn what_cannot_be_written_is_counted_and_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let mut stream = stream(dir.path(), 10);
        stream.file = Some(OpenOptions::new().write(true).open("/dev/full").unwrap());
        stream.append(b"lost");
        assert_eq!((stream.written, stream.dropped), (0, 4));
    }

    #[test]
    fn a_link_in_the_place_of_the_log_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("precious");
        std::os::unix::fs::symlink(&target, dir.path().join("stdout")).unwrap();
        let (read, _) = rustix::pipe::pipe().unwrap();
        assert!(Stream::open(&Log { dir: dir.path().to_owned(), ..Log::default() }, "stdout", read).is_err());
        assert!(!target.exists());
    }
}
