//! What can go wrong, typed where a caller decides by it.

use std::io;
use std::path::PathBuf;

/// A container (or a process in it) was not started; nothing of it is left.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    #[error("the container's description is not valid: {detail}")]
    InvalidSpec { detail: String },

    #[error("container {id} exists already: destroy it first")]
    AlreadyExists { id: String },

    #[error("container {id} is not running")]
    NotRunning { id: String },

    /// Neither a file of that name nor one in a directory of `PATH`, as seen inside the container.
    #[error("command {command:?} was not found{}", if .path.is_empty() { String::new() } else { format!(" in PATH ({path})") })]
    CommandNotFound { command: String, path: String },

    /// The file is there but may not be executed: no execute bit, a directory, or a mount with `noexec`.
    #[error("command {command:?} may not be executed: {detail}")]
    PermissionDenied { command: String, detail: String },

    /// A step of the set-up failed. `step` names it in a few words ("make the memory cgroup").
    #[error("could not {step}{}", .path.as_ref().map(|p| format!(" ({})", p.display())).unwrap_or_default())]
    StartError { step: String, path: Option<PathBuf>, source: io::Error },

    /// The helper process ended or did not answer in time.
    #[error("the container's shim failed: {detail}")]
    ShimFailed { detail: String },
}

/// An operation on a container, or on the run directory, failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("no container {id}")]
    NotFound { id: String },

    /// The shim ended without an exit record (killed, or the machine was restarted).
    #[error("container {id} was lost: its shim ended without leaving an exit record")]
    Lost { id: String },

    #[error("container {id} is not running")]
    NotRunning { id: String },

    #[error("could not {action} {path}", path = .path.display())]
    Io { action: &'static str, path: PathBuf, source: io::Error },

    #[error("{path} is damaged", path = .path.display())]
    Damaged { path: PathBuf, source: serde_json::Error },

    /// Processes or cgroups of the container could not be removed in time.
    #[error("container {id} could not be removed: {detail}")]
    Stuck { id: String, detail: String },

    #[error("the container shim failed: {detail}")]
    ShimFailed { detail: String },
}
