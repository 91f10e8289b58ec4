//! One process a data directory: a lock file that also tells `berth down` whom to stop.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use crate::failure::{Failure, Outcome};

/// Name of the lock file in a data directory.
pub(crate) const LOCK_FILE: &str = "berth.lock";

/// What the lock file says about its holder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Holder {
    pub(crate) pid: i32,
    pub(crate) run_dir: PathBuf,
    pub(crate) cgroup_parent: String,
}

/// The held lock; the kernel frees it with the process.
#[derive(Debug)]
pub(crate) struct Lock {
    file: File,
}

impl Lock {
    /// Makes the data directory if need be and takes it.
    ///
    /// # Errors
    /// When it cannot be used, or another process has it.
    pub(crate) fn take(data_dir: &Path, holder: &Holder) -> Outcome<Self> {
        let failed = |e: std::io::Error| {
            Failure::new(format!("could not use data directory {}: {e}", data_dir.display()))
                .hint("choose another one with --data-dir DIR")
        };
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(data_dir).map_err(failed)?;
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(data_dir.join(LOCK_FILE))
            .map_err(failed)?;
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            let pid = read(data_dir).map(|h| format!(" (process {})", h.pid)).unwrap_or_default();
            return Err(Failure::new(format!("data directory {} is in use by another berth{pid}", data_dir.display()))
                .hint(format!(
                    "stop it with: berth down --data-dir {}; or choose another one with --data-dir",
                    data_dir.display()
                )));
        }
        let text = serde_json::to_vec(holder).expect("plain data");
        let write = |file: &mut File| -> std::io::Result<()> {
            file.set_len(0)?;
            file.rewind()?;
            file.write_all(&text)
        };
        write(&mut file).map_err(failed)?;
        Ok(Self { file })
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        let _ = flock(&self.file, FlockOperation::Unlock);
    }
}

/// Who held the data directory last, or holds it now.
pub(crate) fn read(data_dir: &Path) -> Option<Holder> {
    let mut text = String::new();
    File::open(data_dir.join(LOCK_FILE)).ok()?.take(1 << 16).read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

/// Whether somebody holds it now.
pub(crate) fn is_held(data_dir: &Path) -> bool {
    let Ok(file) = File::open(data_dir.join(LOCK_FILE)) else { return false };
    flock(&file, FlockOperation::NonBlockingLockShared).is_err()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_data_directory_has_one_process() {
        let folder = std::env::temp_dir().join(format!("berth-lock-{}", std::process::id()));
        let holder = Holder { pid: 7, run_dir: "/run/x".into(), cgroup_parent: "berth".into() };
        let lock = Lock::take(&folder, &holder).unwrap();
        assert!(is_held(&folder));
        assert_eq!(read(&folder), Some(holder.clone()));
        let second = Lock::take(&folder, &holder).unwrap_err();
        assert!(second.message.contains("in use by another berth (process 7)"), "{}", second.message);
        drop(lock);
        assert!(!is_held(&folder));
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
