//! A process that joins a running container, seen from the agent.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Mutex, PoisonError};

use rustix::pipe::PipeFlags;

use crate::containerizer::{Containerizer, shim_failed};
use crate::error::{Error, LaunchError};
use crate::helper::receive_in_time;
use crate::record::ExecStatus;
use crate::spec::ExecSpec;
use crate::sys;
use crate::wire::{self, ExecOrder, Reply, Request};

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
    ended: Mutex<Option<ExecStatus>>,
}

impl Containerizer {
    /// Starts one more process inside a running container.
    pub fn exec(&self, id: &str, spec: &ExecSpec) -> Result<ExecProcess, LaunchError> {
        spec.validate()?;
        let dir = self.dir(id).ok_or_else(|| LaunchError::NotRunning { id: id.to_owned() })?;
        let failed = |source: io::Error| LaunchError::StartError { step: "make pipes".to_owned(), path: None, source };
        let request = wire::to_memory(spec).map_err(failed)?;
        let pipe = || rustix::pipe::pipe_with(PipeFlags::CLOEXEC).map_err(|e| failed(e.into()));
        let (mut stdin, mut stdout, mut stderr) = (None, None, None);
        let mut theirs = vec![request];
        if !spec.tty {
            if spec.stdin {
                let (read, write) = pipe()?;
                theirs.push(read);
                stdin = Some(write);
            } else {
                theirs.push(std::fs::File::open("/dev/null").map_err(failed)?.into());
            }
            for ours in [&mut stdout, &mut stderr] {
                let (read, write) = pipe()?;
                theirs.push(write);
                *ours = Some(read);
            }
        }
        let fds: Vec<_> = theirs.iter().map(AsFd::as_fd).collect();
        let control = self.helper.request(&Request::Exec { dir: dir.0 }, &fds).map_err(shim_failed)?;
        drop(theirs);
        let mut answer = receive_in_time(&control).map_err(shim_failed)?;
        match answer.parse() {
            Ok(Reply::Started { pid, .. }) => {
                Ok(ExecProcess { pid, stdin, stdout, stderr, tty: answer.fds.pop(), control, ended: Mutex::new(None) })
            }
            Ok(Reply::Failed { failure }) => Err(failure.into()),
            _ => Err(LaunchError::ShimFailed { detail: "an answer that is not understood".to_owned() }),
        }
    }
}

impl ExecProcess {
    /// Blocks until the process has ended. May be called again.
    pub fn wait(&self) -> Result<ExecStatus, Error> {
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(status) = *ended {
            return Ok(status);
        }
        let failed = |detail: String| Error::ShimFailed { detail };
        let packet = wire::receive(&self.control).map_err(|e| failed(e.to_string()))?;
        let packet = packet.ok_or_else(|| failed("the process that minds the exec was killed".to_owned()))?;
        match packet.parse() {
            Ok(Reply::Ended { status }) => {
                let (code, signal) = sys::decode_status(status);
                Ok(*ended.insert(ExecStatus { code, signal }))
            }
            _ => Err(failed("an answer that is not understood".to_owned())),
        }
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: i32) -> io::Result<()> {
        wire::send(&self.control, &ExecOrder::Signal { signal }, &[])
    }

    /// Tells the terminal its size.
    pub fn resize(&self, columns: u16, rows: u16) -> io::Result<()> {
        match &self.tty {
            Some(tty) => sys::set_terminal_size(tty.as_fd(), columns, rows),
            None => Ok(()),
        }
    }
}

/// Becomes readable when the process has ended: then `wait` does not block.
impl AsFd for ExecProcess {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.control.as_fd()
    }
}
