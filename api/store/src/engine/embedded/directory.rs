//! Taking hold of a data directory: one process at a time, and only a format that we know.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;
use rustix::io::Errno;

use crate::error::StoreError;

/// The format that this program reads and writes.
pub(super) const FORMAT: &str = "berth-store 1";

const LOCK_FILE: &str = "LOCK";
const FORMAT_FILE: &str = "FORMAT";
const STATE_FILE: &str = "state.redb";

/// Secrets are in here: for the owner only.
const DIR_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;

/// A directory that this process has; it is free again when this is dropped.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    _lock: File,
}

impl Directory {
    pub(super) fn take(path: &Path) -> Result<Self, StoreError> {
        DirBuilder::new()
            .recursive(true)
            .mode(DIR_MODE)
            .create(path)
            .map_err(|source| StoreError::io("make the data directory", path, source))?;
        let lock = lock(path)?;
        check_format(path)?;
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn state_file(&self) -> PathBuf {
        self.path.join(STATE_FILE)
    }
}

/// Opens a file of the store for reading and writing, and makes it if need be.
pub(super) fn open_file(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(FILE_MODE).open(path)
}

/// The kernel frees the lock however the process ends; the file stays.
fn lock(dir: &Path) -> Result<File, StoreError> {
    let path = dir.join(LOCK_FILE);
    let io_error = |source| StoreError::io("lock", &path, source);
    let mut file = open_file(&path).map_err(io_error)?;
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(Errno::WOULDBLOCK) => {
            let mut holder = String::new();
            let known = file.read_to_string(&mut holder).is_ok() && !holder.trim().is_empty();
            let holder = if known { format!("process {}", holder.trim()) } else { "another process".to_owned() };
            return Err(StoreError::Locked { path: dir.to_owned(), holder });
        }
        Err(errno) => return Err(io_error(errno.into())),
    }
    // Only for the message above: a full disk must not keep a store from being read.
    let noted = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
    if let Err(error) = noted {
        tracing::warn!(path = %path.display(), error = %error, "could not note the process in the lock file");
    }
    Ok(file)
}

fn check_format(dir: &Path) -> Result<(), StoreError> {
    let path = dir.join(FORMAT_FILE);
    let unknown = |found: &str| {
        Err(StoreError::UnknownFormat { path: dir.to_owned(), found: found.to_owned(), supported: FORMAT })
    };
    match std::fs::read(&path) {
        Ok(found) if found.trim_ascii() == FORMAT.as_bytes() => Ok(()),
        // Cut to a readable length: it may be anything.
        Ok(found) => unknown(&String::from_utf8_lossy(&found[..found.len().min(64)])),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            if dir.join(STATE_FILE).exists() {
                return unknown("");
            }
            write_format(dir, &path).map_err(|source| StoreError::io("write", &path, source))
        }
        Err(source) => Err(StoreError::io("read", path, source)),
    }
}

/// Under another name first, so that there is never half a marker.
fn write_format(dir: &Path, path: &Path) -> std::io::Result<()> {
    let new = path.with_extension("new");
    let mut file = open_file(&new)?;
    file.set_len(0)?;
    writeln!(file, "{FORMAT}")?;
    file.sync_all()?;
    std::fs::rename(&new, path)?;
    File::open(dir)?.sync_all()
}
