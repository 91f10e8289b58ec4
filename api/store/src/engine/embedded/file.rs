//! The file under redb: positioned reads and writes, `fdatasync`. Tests put faults in here.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use redb::StorageBackend;

use super::directory::open_file;

/// What is done to the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    Write,
    Sync,
}

#[derive(Debug)]
pub(super) struct StoreFile {
    file: File,
    #[cfg(test)]
    pub(super) faults: Option<std::sync::Arc<super::faults::Faults>>,
}

impl StoreFile {
    pub(super) fn open(path: &Path) -> std::io::Result<Self> {
        Ok(Self {
            file: open_file(path)?,
            #[cfg(test)]
            faults: None,
        })
    }

    #[cfg(test)]
    fn check(&self, access: Access) -> std::io::Result<()> {
        self.faults.as_ref().map_or(Ok(()), |faults| faults.check(access))
    }

    #[cfg(not(test))]
    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "the same shape as with faults")]
    fn check(&self, _: Access) -> std::io::Result<()> {
        Ok(())
    }
}

impl StorageBackend for StoreFile {
    fn len(&self) -> Result<u64, std::io::Error> {
        Ok(self.file.metadata()?.len())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), std::io::Error> {
        self.file.read_exact_at(out, offset)
    }

    fn set_len(&self, len: u64) -> Result<(), std::io::Error> {
        self.check(Access::Write)?;
        self.file.set_len(len)
    }

    fn sync_data(&self) -> Result<(), std::io::Error> {
        self.check(Access::Sync)?;
        self.file.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), std::io::Error> {
        self.check(Access::Write)?;
        self.file.write_all_at(data, offset)
    }
}
