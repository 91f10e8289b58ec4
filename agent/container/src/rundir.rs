//! The run directory: one folder a container, with what a new agent needs to find it again.
//!
//! `c/ID` itself is locked by the agent and then by the shim for its life. `spec.json` and then `state.json` are
//! written by the shim while the new process sets itself up, `exit.json` at the end. Nothing is synced to disk: a
//! reboot ends containers anyway, and the boot id in the state says so.

use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::cgroup::Groups;
use crate::error::Error;
use crate::features::Isolation;
use crate::record::ExitRecord;
use crate::spec::ContainerSpec;

/// What the shim tells about the processes it minds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StateFile {
    pub(crate) proto: u32,
    pub(crate) boot_id: String,
    pub(crate) shim_pid: i32,
    pub(crate) shim_start_time: u64,
    /// The first process of the container's pid namespace, or the task's own without one.
    pub(crate) init_pid: i32,
    pub(crate) init_start_time: u64,
    /// The task's own process.
    pub(crate) main_pid: i32,
    pub(crate) main_start_time: u64,
    pub(crate) started_unix_nanos: u64,
    pub(crate) isolation: Isolation,
    pub(crate) groups: Groups,
}

/// More than a record has, unless it tells of a long path.
const EXIT_BYTES: usize = 1 << 10;

/// The folder of one container.
#[derive(Clone, Debug)]
pub(crate) struct ContainerDir(pub(crate) PathBuf);

impl ContainerDir {
    pub(crate) fn containers(run_dir: &Path) -> PathBuf {
        run_dir.join("c")
    }

    pub(crate) fn of(run_dir: &Path, id: &str) -> Self {
        Self(Self::containers(run_dir).join(id))
    }

    pub(crate) fn create(&self) -> io::Result<()> {
        fs::DirBuilder::new().mode(0o700).create(&self.0)
    }

    pub(crate) fn exists(&self) -> bool {
        self.0.is_dir()
    }

    pub(crate) fn remove(&self) -> io::Result<()> {
        match fs::remove_dir_all(&self.0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    /// The folder's lock, held. Sent to the shim: it stays held until the last copy of the descriptor is closed.
    pub(crate) fn lock(&self) -> io::Result<OwnedFd> {
        let folder = File::open(&self.0)?;
        rustix::fs::flock(&folder, FlockOperation::NonBlockingLockExclusive)?;
        Ok(folder.into())
    }

    /// Whether a shim (or a launch) holds the lock.
    pub(crate) fn is_locked(&self) -> bool {
        let Ok(folder) = File::open(&self.0) else { return false };
        // Shared, so that two who look at the same time do not see each other.
        rustix::fs::flock(&folder, FlockOperation::NonBlockingLockShared).is_err()
    }

    pub(crate) fn write_spec(&self, spec: &ContainerSpec) -> io::Result<()> {
        self.write("spec.json", spec)
    }

    pub(crate) fn spec(&self) -> Result<Option<ContainerSpec>, Error> {
        self.read("spec.json")
    }

    pub(crate) fn write_state(&self, state: &StateFile) -> io::Result<()> {
        self.write("state.json", state)
    }

    pub(crate) fn state(&self) -> Result<Option<StateFile>, Error> {
        self.read("state.json")
    }

    /// Takes the room for the record of the end now: a disk that is full by then must not lose an exit code.
    pub(crate) fn reserve_exit(&self) {
        // In vain on a disk that is full already; the record is then tried all the same.
        let _ = fs::write(self.0.join(".exit.json"), [b' '; EXIT_BYTES]);
    }

    pub(crate) fn write_exit(&self, record: &ExitRecord) -> io::Result<()> {
        use io::Write;
        let temporary = self.0.join(".exit.json");
        // In place: a file that is cut to nothing first gives its room away.
        let mut file = fs::OpenOptions::new().write(true).create(true).truncate(false).open(&temporary)?;
        let text = serde_json::to_vec(record)?;
        file.write_all(&text)?;
        file.set_len(text.len() as u64)?;
        fs::rename(&temporary, self.0.join("exit.json"))
    }

    pub(crate) fn exit(&self) -> Result<Option<ExitRecord>, Error> {
        self.read("exit.json")
    }

    /// Appears whole or not at all.
    fn write(&self, name: &str, value: &impl Serialize) -> io::Result<()> {
        let temporary = self.0.join(format!(".{name}"));
        fs::write(&temporary, serde_json::to_vec(value)?)?;
        fs::rename(&temporary, self.0.join(name))
    }

    fn read<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, Error> {
        let path = self.0.join(name);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(Error::Io { action: "read", path, source }),
        };
        serde_json::from_slice(&bytes).map(Some).map_err(|source| Error::Damaged { path, source })
    }
}
