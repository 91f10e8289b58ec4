//! What became of a container: the answers of the library and the records in the run directory.

use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::error::LaunchError;
use crate::spec::ContainerSpec;

/// A container whose process runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Running {
    /// The task's own process, as the host numbers it.
    pub pid: i32,
    pub started_at: SystemTime,
}

/// What is known of one container.
#[derive(Clone, Debug, PartialEq)]
pub enum State {
    Running(Running),
    Exited(ExitRecord),
    /// The shim ended without a record. Processes may be left: [`destroy`](crate::Containerizer::destroy) ends them.
    Lost,
}

/// A container found in the run directory.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    pub id: String,
    pub spec: ContainerSpec,
    pub state: State,
}

/// The end of a container, written by its shim and kept until `destroy`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ExitRecord {
    pub proto: u32,
    /// Exit code of the process; `None` when a signal ended it or it never started.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Processes of the container that the kernel killed for memory.
    pub oom_kills: u64,
    pub started_unix_nanos: u64,
    pub finished_unix_nanos: u64,
    /// Processor time of all its processes.
    pub cpu_usec: u64,
    /// Largest resident set of one process.
    pub max_rss_bytes: u64,
    /// Most memory of the whole container, where the kernel tells.
    pub memory_peak_bytes: Option<u64>,
    /// Output written to the logs.
    pub log_bytes: u64,
    /// Output lost because the disk was full.
    pub log_bytes_dropped: u64,
    /// Why the process was never executed.
    pub failure: Option<LaunchFailure>,
}

/// The wire form of a [`LaunchError`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all_fields = "camelCase")]
pub enum LaunchFailure {
    CommandNotFound { command: String, path: String },
    PermissionDenied { command: String, detail: String },
    StartError { step: String, path: Option<std::path::PathBuf>, errno: i32 },
    NotRunning { id: String },
}

impl From<LaunchFailure> for LaunchError {
    fn from(failure: LaunchFailure) -> Self {
        match failure {
            LaunchFailure::CommandNotFound { command, path } => Self::CommandNotFound { command, path },
            LaunchFailure::PermissionDenied { command, detail } => Self::PermissionDenied { command, detail },
            LaunchFailure::StartError { step, path, errno } => {
                Self::StartError { step, path, source: std::io::Error::from_raw_os_error(errno) }
            }
            LaunchFailure::NotRunning { id } => Self::NotRunning { id },
        }
    }
}

/// How an `exec`'ed process ended: one of the two is set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecStatus {
    pub code: Option<i32>,
    pub signal: Option<i32>,
}

/// What a container uses now. Zero or `None` where the kernel does not tell (no cgroups).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    pub cpu_usec: u64,
    /// Time it had work but was held back by its processor limit.
    pub cpu_throttled_usec: u64,
    pub memory_bytes: u64,
    /// Memory that cannot be given back at once: without inactive file pages.
    pub memory_working_set_bytes: u64,
    pub memory_limit_bytes: Option<u64>,
    pub pids: u64,
    pub oom_kills: u64,
}
