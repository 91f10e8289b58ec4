//! Disks that fail, for tests: full, broken, or broken after so many writes.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use super::file::Access;

#[derive(Debug, Default)]
pub(crate) struct Faults {
    /// What fails, fails with this error number; 0 is a good disk.
    errno: AtomicI64,
    /// Accesses that still go well after the fault was set.
    credit: AtomicU64,
    failed: AtomicU64,
}

impl Faults {
    pub(super) fn fail(&self, errno: rustix::io::Errno, after: u64) {
        self.credit.store(after, Ordering::SeqCst);
        self.errno.store(i64::from(errno.raw_os_error()), Ordering::SeqCst);
    }

    pub(super) fn heal(&self) {
        self.errno.store(0, Ordering::SeqCst);
    }

    pub(super) fn failed(&self) -> u64 {
        self.failed.load(Ordering::SeqCst)
    }

    pub(super) fn check(&self, _: Access) -> std::io::Result<()> {
        let errno = self.errno.load(Ordering::SeqCst);
        if errno == 0 {
            return Ok(());
        }
        if self.credit.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |credit| credit.checked_sub(1)).is_ok() {
            return Ok(());
        }
        self.failed.fetch_add(1, Ordering::SeqCst);
        Err(std::io::Error::from_raw_os_error(i32::try_from(errno).expect("an error number is small")))
    }
}
