//! What the agent asks of a container runtime. [`native`] is the real one; [`fake`] is for tests.
//!
//! Ids are chosen by the agent and are the same for every attempt to start one container of one task, so that
//! no order of crashes starts a container twice: what exists is adopted.

pub mod fake;
pub mod native;

use berth_container::ContainerSpec;
use bytes::Bytes;
use futures::future::BoxFuture;
use jiff::Timestamp;
use tokio::sync::mpsc;

use crate::task::state::Exit;

/// How many pieces of a session's input or output may wait before the producer does.
pub const SESSION_QUEUE: usize = 16;

/// The runtime's word on why it did not do something.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct RuntimeError {
    /// One CamelCase word: StartError, CommandNotFound, NotFound, …
    pub reason: String,
    /// What happened, and how to mend it.
    pub message: String,
}

impl RuntimeError {
    /// An error with its word.
    pub fn new(reason: &str, message: impl Into<String>) -> Self {
        Self { reason: reason.to_owned(), message: message.into() }
    }
}

/// A container that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Launched {
    /// Process id on the node.
    pub pid: i32,
    /// When it was executed.
    pub at: Timestamp,
    /// It ran before this call.
    pub adopted: bool,
}

/// What was found under an id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// It runs.
    Running(Launched),
    /// It ended.
    Ended(Exit),
}

/// A command to run inside a running container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExecSpec {
    /// Program and arguments.
    pub argv: Vec<String>,
    /// With a terminal: standard error goes into standard output.
    pub tty: bool,
    /// Keep standard input open for [`Session::input`].
    pub stdin: bool,
}

/// Something that a session's process wrote, or its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Standard output.
    Stdout(Bytes),
    /// Standard error.
    Stderr(Bytes),
}

/// Something for a session's process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Bytes for standard input.
    Data(Bytes),
    /// End of standard input.
    Close,
    /// The terminal's new size.
    Resize { columns: u16, rows: u16 },
}

/// A process inside a container, with its streams. Dropping it ends the process.
pub struct Session {
    /// To the process.
    pub input: mpsc::Sender<Input>,
    /// From the process; ends when all its output was read.
    pub output: mpsc::Receiver<Output>,
    /// The exit code (128 + signal), after the output ended.
    pub exit: BoxFuture<'static, Result<i32, RuntimeError>>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Session(..)")
    }
}

/// What a container uses now.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Usage {
    /// CPU time so far, seconds.
    pub cpu_seconds: f64,
    /// Memory now, bytes.
    pub memory_bytes: u64,
    /// Processes and threads now.
    pub pids: u64,
}

/// What the runtime can do here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Abilities {
    /// Name as in `spec.runtime`.
    pub name: String,
    /// v1, hybrid, v2 or none.
    pub cgroups: String,
    /// What it cannot do, in words.
    pub limitations: Vec<String>,
}

/// A container runtime. Every call may be repeated.
pub trait Runtime: Send + Sync + 'static {
    /// What it can do here.
    fn abilities(&self) -> Abilities;
    /// Every container that it has on this node, running or ended.
    fn list(&self) -> BoxFuture<'_, Result<Vec<String>, RuntimeError>>;
    /// What is under this id; `None` when nothing is.
    fn find(&self, id: &str) -> BoxFuture<'_, Result<Option<Found>, RuntimeError>>;
    /// Starts a container; one that exists is adopted instead.
    fn launch(&self, spec: ContainerSpec) -> BoxFuture<'_, Result<Launched, RuntimeError>>;
    /// Waits for the end, also when it was long ago.
    fn wait(&self, id: &str) -> BoxFuture<'_, Result<Exit, RuntimeError>>;
    /// Sends a signal to the first process.
    fn signal(&self, id: &str, signal: i32) -> BoxFuture<'_, Result<(), RuntimeError>>;
    /// Ends every process of the container at once.
    fn kill(&self, id: &str) -> BoxFuture<'_, Result<(), RuntimeError>>;
    /// Runs a command in it.
    fn exec(&self, id: &str, spec: ExecSpec) -> BoxFuture<'_, Result<Session, RuntimeError>>;
    /// What it uses now.
    fn usage(&self, id: &str) -> BoxFuture<'_, Result<Usage, RuntimeError>>;
    /// Removes every trace but the sandbox; kills what runs. A missing one is fine.
    fn destroy(&self, id: &str) -> BoxFuture<'_, Result<(), RuntimeError>>;
}
