//! Output of the task into files: appended, rotated by size, with an index of times.

use std::fs::{DirBuilder, File};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::rc::Rc;

use rustix::fs::{AtFlags, Mode, OFlags};

use crate::spec::{ContainerSpec, Log};
use crate::sys;

/// One read: as much as a pipe holds by default.
const CHUNK_BYTES: usize = 64 << 10;

/// The logs' directory, made when it is missing. Below the sandbox no symbolic link is followed: all there belongs
/// to the task, which must not lead us to a file of the host, now or at a later rotation.
pub(super) fn open_dir(spec: &ContainerSpec) -> io::Result<Rc<OwnedFd>> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let Ok(inner) = spec.log.dir.strip_prefix(&spec.sandbox) else {
        DirBuilder::new().recursive(true).mode(0o755).create(&spec.log.dir)?;
        return Ok(Rc::new(rustix::fs::open(&spec.log.dir, flags, Mode::empty())?));
    };
    DirBuilder::new().recursive(true).mode(0o755).create(&spec.sandbox)?;
    let mut dir = rustix::fs::open(&spec.sandbox, flags, Mode::empty())?;
    for part in inner.components() {
        let part: &Path = part.as_ref();
        match rustix::fs::mkdirat(&dir, part, Mode::from_raw_mode(0o755)) {
            Err(error) if error != rustix::io::Errno::EXIST => return Err(error.into()),
            _ => {}
        }
        dir = rustix::fs::openat(&dir, part, flags | OFlags::NOFOLLOW, Mode::empty())?;
    }
    Ok(Rc::new(dir))
}

/// One stream, from its pipe to its file.
pub(super) struct Stream {
    /// `None` after the end.
    source: Option<File>,
    dir: Rc<OwnedFd>,
    name: &'static str,
    log: Log,
    file: Option<File>,
    index: Option<File>,
    size: u64,
    pub(super) written: u64,
    pub(super) dropped: u64,
}

impl Stream {
    /// `name`: `stdout` or `stderr`. Goes on at the end of a file that is there.
    pub(super) fn open(log: &Log, dir: &Rc<OwnedFd>, name: &'static str, source: OwnedFd) -> io::Result<Self> {
        let mut stream = Self {
            source: Some(File::from(source)),
            dir: dir.clone(),
            name,
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
                self.index = append_to(&self.dir, &self.rotated(0, ".idx")).ok();
            }
            let _ = self.index.as_mut().map(|index| index.write_all(&record));
        }
    }

    fn open_files(&mut self) -> io::Result<()> {
        let file = append_to(&self.dir, self.name)?;
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
            let _ = rustix::fs::unlinkat(&self.dir, self.rotated(self.log.max_files, suffix), AtFlags::empty());
            for n in (0..self.log.max_files).rev() {
                let (from, to) = (self.rotated(n, suffix), self.rotated(n + 1, suffix));
                let _ = rustix::fs::renameat(&self.dir, from, &self.dir, to);
            }
        }
    }

    fn rotated(&self, n: u32, suffix: &str) -> String {
        let name = self.name;
        if n == 0 { format!("{name}{suffix}") } else { format!("{name}.{n}{suffix}") }
    }
}

/// The sandbox belongs to the task: a link there is not followed, and a pipe is neither waited for nor written to.
fn append_to(dir: &OwnedFd, name: &str) -> io::Result<File> {
    let how = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let flags = OFlags::CREATE | OFlags::APPEND | OFlags::WRONLY | how;
    let file = File::from(rustix::fs::openat(dir, name, flags, Mode::from_raw_mode(0o644))?);
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("something else is in the place of the log"));
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, OpenOptions};

    use super::*;

    fn try_stream(dir: &Path, max_bytes: u64) -> io::Result<Stream> {
        let (read, _) = rustix::pipe::pipe().unwrap();
        let mut spec = ContainerSpec::new("c", vec![], dir);
        spec.log = Log { dir: dir.to_owned(), max_bytes, max_files: 2 };
        Stream::open(&spec.log, &open_dir(&spec)?, "stdout", read)
    }

    fn stream(dir: &Path, max_bytes: u64) -> Stream {
        try_stream(dir, max_bytes).unwrap()
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
        assert!(try_stream(dir.path(), 10).is_err());
        assert!(!target.exists());
    }

    #[test]
    fn a_pipe_in_the_place_of_the_log_is_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let fifo = dir.path().join("stdout");
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
        assert!(try_stream(dir.path(), 10).is_err());
        let _reader = OpenOptions::new().read(true).write(true).open(&fifo).unwrap();
        assert!(try_stream(dir.path(), 10).is_err());
    }

    #[test]
    fn a_link_in_the_place_of_the_directory_is_not_followed() {
        let (sandbox, host) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut spec = ContainerSpec::new("c", vec![], sandbox.path());
        spec.log.dir = sandbox.path().join("web");
        std::os::unix::fs::symlink(host.path(), sandbox.path().join("web")).unwrap();
        assert!(open_dir(&spec).is_err());
        fs::remove_file(sandbox.path().join("web")).unwrap();
        // One that comes later misses its aim: the directory is held.
        let dir = open_dir(&spec).unwrap();
        let (read, _) = rustix::pipe::pipe().unwrap();
        let mut stream = Stream::open(&Log { max_bytes: 2, ..spec.log.clone() }, &dir, "stdout", read).unwrap();
        fs::rename(sandbox.path().join("web"), sandbox.path().join("moved")).unwrap();
        std::os::unix::fs::symlink(host.path(), sandbox.path().join("web")).unwrap();
        stream.append(b"11");
        stream.append(b"22");
        assert_eq!(fs::read_dir(host.path()).unwrap().count(), 0);
        assert_eq!(fs::read(sandbox.path().join("moved/stdout")).unwrap(), b"22");
    }
}
