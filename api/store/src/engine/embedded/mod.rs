//! The embedded engine: one directory, one redb file, one process.
//!
//! ```text
//! DIR/LOCK        held by the process that has the directory; its pid is inside
//! DIR/FORMAT      the format's name: a program that does not know it keeps its hands off
//! DIR/state.redb  live keys, leases and the revision; history lives in memory only
//! ```

mod database;
mod directory;
#[cfg(test)]
mod faults;
mod file;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Engine, HistoryLimits, Identity, store_is_engine};
use crate::error::StoreError;
use database::Persistent;
use directory::Directory;

#[derive(Clone, Debug)]
pub struct EmbeddedConfig {
    /// Made (for its owner only) when it is not there.
    pub dir: PathBuf,
    pub history: HistoryLimits,
    /// Pages that redb keeps in memory. Reads come from our own memory, so these serve only
    /// the writer: the upper levels of its tree and what it is about to write.
    pub page_cache_bytes: usize,
    #[cfg(test)]
    pub(crate) faults: Option<std::sync::Arc<faults::Faults>>,
}

impl EmbeddedConfig {
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            history: HistoryLimits::default(),
            page_cache_bytes: 4 << 20,
            #[cfg(test)]
            faults: None,
        }
    }
}

/// A durable store in a directory. Dropping it writes what is queued and frees the directory.
#[derive(Debug)]
pub struct EmbeddedStore {
    engine: Engine,
    // After the engine, so that the lock goes last.
    directory: Directory,
}

impl EmbeddedStore {
    /// Opens or makes the store. Blocks for the time of reading it all: call it off the
    /// runtime's threads when it may be large.
    ///
    /// # Errors
    /// [`StoreError::Locked`] names the process that has the directory; [`StoreError::Io`],
    /// [`StoreError::UnknownFormat`] and [`StoreError::Corrupt`] say what is wrong with it.
    pub fn open(config: EmbeddedConfig) -> Result<Self, StoreError> {
        let begin = std::time::Instant::now();
        let directory = Directory::take(&config.dir)?;
        let (persistent, loaded) = Persistent::open(directory.state_file(), &config)?;
        tracing::info!(
            dir = %config.dir.display(),
            revision = loaded.revision,
            keys = loaded.kvs.len(),
            open_ms = duration_ms(begin.elapsed()),
            "store opened"
        );
        let identity = Identity { engine: "embedded", path: Some(config.dir.clone()) };
        let engine = Engine::start(identity, loaded, config.history, persistent)?;
        Ok(Self { engine, directory })
    }

    pub fn dir(&self) -> &Path {
        self.directory.path()
    }
}

store_is_engine!(EmbeddedStore);

/// Saturates after half a billion years.
fn duration_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
