//! What can go wrong, and what the caller can do about it.

use std::path::PathBuf;
use std::sync::Arc;

use crate::kv::{LeaseId, Revision};

/// Cloneable, because one failed commit answers many callers.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// List again, then watch from there.
    #[error("revision {requested} has been compacted, the oldest that can be read is {compact_revision}")]
    Compacted { requested: Revision, compact_revision: Revision },

    /// Wait, or read without a revision.
    #[error("revision {requested} is in the future, the store is at {current}")]
    FutureRevision { requested: Revision, current: Revision },

    /// Grant a new lease.
    #[error("lease {id} does not exist or has ended")]
    LeaseNotFound { id: LeaseId },

    /// Nothing was written. Reads go on; writes work again when there is room.
    #[error("no space left for the store in {path}: free some, writes are refused until then", path = path.display())]
    NoSpace { path: PathBuf },

    /// The write may or may not have happened; reads go on. Try again.
    #[error("the store cannot write to {path}: {message}", path = path.display())]
    Unavailable { path: PathBuf, message: String },

    /// The caller must ask for less.
    #[error("{what} is {got}, at most {max} are allowed")]
    TooLarge { what: &'static str, got: usize, max: usize },

    /// The caller's mistake.
    #[error("invalid store request: {message}")]
    InvalidRequest { message: String },

    /// Another process has the data directory.
    #[error("the data directory {path} is used by {holder}: stop it, or choose another directory", path = path.display())]
    Locked { path: PathBuf, holder: String },

    /// Written by a newer (or no) Berth.
    #[error("the data directory {path} has store format {found:?}, this program reads {supported:?}", path = path.display())]
    UnknownFormat { path: PathBuf, found: String, supported: &'static str },

    /// The file is damaged.
    #[error("the store file {path} is damaged: {message}; restore a backup, or move it away to start empty", path = path.display())]
    Corrupt { path: PathBuf, message: String },

    /// The directory cannot be used.
    #[error("could not {action} {path}", path = path.display())]
    Io { action: &'static str, path: PathBuf, source: Arc<std::io::Error> },

    /// The store has been closed.
    #[error("the store is closed")]
    Closed,
}

impl StoreError {
    pub(crate) fn io(action: &'static str, path: impl Into<PathBuf>, source: std::io::Error) -> Self {
        Self::Io { action, path: path.into(), source: Arc::new(source) }
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::InvalidRequest { message: message.into() }
    }
}
