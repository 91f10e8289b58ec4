//! The agent's end of the helper process: starts it, starts it again if it died, hands it requests.

use std::fs::{DirBuilder, OpenOptions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};

use crate::containerizer::Config;
use crate::error::Error;
use crate::features::Features;
use crate::wire::{self, Packet, Reply, Request};

/// A start takes milliseconds; a machine that swaps or a dead network disk may take long.
const REPLY_TIMEOUT: Duration = Duration::from_secs(60);

/// The running helper. Ended by closing its socket.
#[derive(Debug)]
struct Running {
    socket: OwnedFd,
    child: Child,
}

impl Drop for Running {
    fn drop(&mut self) {
        // Its loop ends when it reads the end of the socket, which is then closed; shims do not hold it.
        let _ = rustix::net::shutdown(&self.socket, rustix::net::Shutdown::Both);
        let _ = self.child.wait();
    }
}

#[derive(Debug)]
pub(crate) struct Helper {
    config: Config,
    running: Mutex<Running>,
    pub(crate) features: Features,
}

impl Helper {
    pub(crate) fn start(config: &Config) -> Result<Self, Error> {
        let (running, features) = spawn(config)?;
        Ok(Self { config: config.clone(), running: Mutex::new(running), features })
    }

    /// Hands a request over; the answer comes on the returned socket.
    pub(crate) fn request(&self, request: &Request, fds: &[BorrowedFd<'_>]) -> Result<OwnedFd, Error> {
        let refused = |error: io::Error| Error::ShimFailed { detail: error.to_string() };
        let (ours, theirs) = wire::pair().map_err(refused)?;
        let all: Vec<_> = [theirs.as_fd()].into_iter().chain(fds.iter().copied()).collect();
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if wire::send(&running.socket, request, &all).is_err() {
            // It was killed: containers do not need it, but the next one does.
            *running = spawn(&self.config)?.0;
            wire::send(&running.socket, request, &all).map_err(refused)?;
        }
        Ok(ours)
    }
}

/// The next packet, in time.
pub(crate) fn receive_in_time(socket: &OwnedFd) -> Result<Packet, Error> {
    let failed = |detail: String| Error::ShimFailed { detail };
    let wait = Timespec { tv_sec: REPLY_TIMEOUT.as_secs() as i64, tv_nsec: 0 };
    loop {
        let mut polled = [PollFd::new(socket, PollFlags::IN)];
        match rustix::event::poll(&mut polled, Some(&wait)) {
            Ok(0) => return Err(failed(format!("no answer within {} seconds", REPLY_TIMEOUT.as_secs()))),
            Ok(_) => break,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(failed(error.to_string())),
        }
    }
    match wire::receive(socket) {
        Ok(Some(packet)) => Ok(packet),
        Ok(None) => Err(failed("it ended without an answer; see shim.log in the run directory".to_owned())),
        Err(error) => Err(failed(error.to_string())),
    }
}

fn spawn(config: &Config) -> Result<(Running, Features), Error> {
    let io_error = |action, path: &std::path::Path| {
        let path = path.to_owned();
        move |source| Error::Io { action, path, source }
    };
    let run_dir = &config.run_dir;
    DirBuilder::new().recursive(true).mode(0o700).create(run_dir.join("c")).map_err(io_error("make", run_dir))?;
    let log_path = run_dir.join("shim.log");
    let log = OpenOptions::new().create(true).append(true).mode(0o600).open(&log_path);
    let log = log.map_err(io_error("open", &log_path))?;
    let (socket, theirs) = wire::pair().map_err(|e| Error::ShimFailed { detail: e.to_string() })?;
    // No pre_exec and no working directory: std then uses vfork, which costs the same from a large process.
    let child = Command::new(&config.shim.exe)
        .args(&config.shim.args)
        .arg(run_dir)
        .arg(&config.cgroup_parent)
        .env_clear()
        .stdin(Stdio::from(theirs))
        .stdout(Stdio::null())
        .stderr(Stdio::from(log))
        .spawn()
        .map_err(io_error("start the container helper", &config.shim.exe))?;
    let running = Running { socket, child };
    let hello = receive_in_time(&running.socket)?;
    match hello.parse::<Reply>() {
        Ok(Reply::Hello { features }) => Ok((running, *features)),
        _ => Err(Error::ShimFailed { detail: "the helper does not speak our protocol".to_owned() }),
    }
}
