//! The agent's side: start, find, signal, wait for, join and remove containers.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use crate::error::{Error, LaunchError};
use crate::features::Features;
use crate::record::{ExecStatus, ExitRecord, Found, Running, State, Stats};
use crate::spec::{ContainerSpec, ExecSpec};

/// How to start the helper process: `exe leading_args…` must end in [`shim_main`](crate::shim_main).
#[derive(Clone, Debug)]
pub struct Shim {
    pub exe: PathBuf,
    /// `["__shim"]` for the `berth` binary.
    pub args: Vec<String>,
}

#[derive(Clone, Debug)]
pub struct Config {
    /// State of running containers, best on a tmpfs (`/run/berth`): nothing here outlives a reboot.
    pub run_dir: PathBuf,
    /// Name of the cgroup that holds the containers' groups (`berth`), made below our own group.
    pub cgroup_parent: String,
    pub shim: Shim,
}

/// The native containerizer. All calls block for milliseconds at most (but `wait` and `destroy`); share it by `Arc`.
#[derive(Debug)]
pub struct Containerizer {
    config: Config,
    features: Features,
}

impl Containerizer {
    /// Makes the run directory, starts the helper and probes the machine.
    pub fn new(config: Config) -> Result<Self, Error> {
        let features = Features {
            isolation: crate::Isolation::Root,
            cgroups: crate::CgroupLayout::None,
            controllers: Vec::new(),
            seccomp: false,
            limitations: Vec::new(),
        };
        Ok(Self { config, features })
    }

    /// What works here.
    pub fn capabilities(&self) -> &Features {
        &self.features
    }

    /// What does not work here, in words, for `Node.status.limitations`.
    pub fn limitations(&self) -> &[String] {
        &self.capabilities().limitations
    }

    /// Starts a container and returns when its program has been executed. On an error nothing is left.
    pub fn launch(&self, spec: &ContainerSpec) -> Result<Running, LaunchError> {
        spec.validate()?;
        Err(LaunchError::ShimFailed { detail: "not yet".into() })
    }

    /// All containers in the run directory: for recovery after the agent was restarted.
    pub fn list(&self) -> Result<Vec<Found>, Error> {
        Ok(Vec::new())
    }

    /// `None` when there is no such container.
    pub fn status(&self, _id: &str) -> Result<Option<State>, Error> {
        Ok(None)
    }

    /// A descriptor that becomes readable (poll, epoll, tokio's `AsyncFd`) when the container has ended and
    /// its record is written, or its shim has died. Readable at once when that was before. Then ask [`status`](Self::status).
    pub fn exit_watch(&self, id: &str) -> Result<OwnedFd, Error> {
        Err(Error::NotFound { id: id.to_owned() })
    }

    /// Blocks until the container has ended.
    pub fn wait(&self, id: &str) -> Result<ExitRecord, Error> {
        Err(Error::NotFound { id: id.to_owned() })
    }

    /// Sends a signal to the task's own process. No error when it has just ended.
    pub fn signal(&self, id: &str, _signal: i32) -> Result<(), Error> {
        Err(Error::NotFound { id: id.to_owned() })
    }

    /// Kills every process of the container at once. No error when there is none.
    pub fn kill_all(&self, id: &str) -> Result<(), Error> {
        Err(Error::NotFound { id: id.to_owned() })
    }

    /// Starts one more process inside a running container.
    pub fn exec(&self, id: &str, spec: &ExecSpec) -> Result<ExecProcess, LaunchError> {
        spec.validate()?;
        Err(LaunchError::NotRunning { id: id.to_owned() })
    }

    pub fn stats(&self, id: &str) -> Result<Stats, Error> {
        Err(Error::NotFound { id: id.to_owned() })
    }

    /// Kills what is left and removes processes, cgroups and the run directory of the container (not its
    /// sandbox or logs). May be called in any state and any number of times.
    pub fn destroy(&self, _id: &str) -> Result<(), Error> {
        Ok(())
    }

    /// Destroys all containers and removes the run directory and the parent cgroups: for `berth down --purge`.
    pub fn purge(&self) -> Result<(), Error> {
        Ok(())
    }
}

/// A process started by [`Containerizer::exec`]. Dropping it kills the process.
#[derive(Debug)]
pub struct ExecProcess {
    /// As the host numbers it.
    pub pid: i32,
    /// Write end, when asked for.
    pub stdin: Option<OwnedFd>,
    /// Read ends, without a terminal.
    pub stdout: Option<OwnedFd>,
    pub stderr: Option<OwnedFd>,
    /// The terminal's master side: read its output (EIO at the end), write its input.
    pub tty: Option<OwnedFd>,
    control: OwnedFd,
}

impl ExecProcess {
    /// Blocks until the process has ended.
    pub fn wait(&self) -> Result<ExecStatus, Error> {
        Err(Error::ShimFailed { detail: "not yet".into() })
    }

    /// Sends it a signal.
    pub fn signal(&self, _signal: i32) -> io::Result<()> {
        Ok(())
    }

    /// Tells the terminal its size.
    pub fn resize(&self, _columns: u16, _rows: u16) -> io::Result<()> {
        Ok(())
    }
}

/// Becomes readable when the process has ended: then `wait` does not block.
impl AsFd for ExecProcess {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.control.as_fd()
    }
}
