//! The agent's side: start, find, signal, wait for and remove containers.

use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec};

use crate::cgroup::{Groups, Layout};
use crate::error::{Error, LaunchError};
use crate::features::{Features, Isolation};
use crate::helper::{Helper, receive_in_time};
use crate::procfs;
use crate::record::{ExitRecord, Found, Running, State, Stats};
use crate::rundir::{ContainerDir, StateFile};
use crate::spec::{ContainerSpec, check_id};
use crate::sys;
use crate::wire::{self, Reply, Request};

/// How long a shim may take to end after its container was killed.
const SHIM_END_TIMEOUT: Duration = Duration::from_secs(15);
/// How long a new agent waits for a start that was going on when the old one died.
const STARTING_TIMEOUT: Duration = Duration::from_secs(5);
const STARTING_LOOK: Duration = Duration::from_millis(5);

/// How to start the helper process: `exe args…` must end in [`shim_main`](crate::shim_main).
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

/// The native containerizer: share it by `Arc`. Calls take milliseconds, but for `wait`, and `destroy` of a
/// container whose processes are slow to die; run them where blocking is allowed.
#[derive(Debug)]
pub struct Containerizer {
    run_dir: PathBuf,
    cgroup_parent: String,
    boot_id: String,
    /// Held while a container's folder is made: `list` sees it whole or not at all.
    creation: Mutex<()>,
    pub(crate) helper: Helper,
}

impl Containerizer {
    /// Makes the run directory, starts the helper and probes the machine.
    pub fn new(config: Config) -> Result<Self, Error> {
        let helper = Helper::start(&config)?;
        Ok(Self {
            run_dir: config.run_dir,
            cgroup_parent: config.cgroup_parent,
            boot_id: procfs::boot_id(),
            creation: Mutex::new(()),
            helper,
        })
    }

    /// What works here.
    pub fn capabilities(&self) -> &Features {
        &self.helper.features
    }

    /// What does not work here, in words, for `Node.status.limitations`.
    pub fn limitations(&self) -> &[String] {
        &self.capabilities().limitations
    }

    /// Starts a container and returns when its program has been executed. On an error nothing is left.
    pub fn launch(&self, spec: &ContainerSpec) -> Result<Running, LaunchError> {
        spec.validate()?;
        let dir = ContainerDir::of(&self.run_dir, &spec.id);
        let lock = self.create(&dir, spec)?;
        let started = self.start_in(&dir, lock, spec);
        if started.is_err() {
            // Its shim has cleaned up; what it could not is tried once more.
            let _ = self.destroy(&spec.id);
        }
        started
    }

    /// Makes the container's folder, locked.
    fn create(&self, dir: &ContainerDir, spec: &ContainerSpec) -> Result<OwnedFd, LaunchError> {
        let _creation = self.creation.lock().unwrap_or_else(PoisonError::into_inner);
        match dir.create() {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(LaunchError::AlreadyExists { id: spec.id.clone() });
            }
            other => other.map_err(|e| start_error("make the run directory", dir, e))?,
        }
        dir.lock().map_err(|e| {
            let _ = dir.remove();
            start_error("lock the run directory", dir, e)
        })
    }

    fn start_in(&self, dir: &ContainerDir, lock: OwnedFd, spec: &ContainerSpec) -> Result<Running, LaunchError> {
        let memory = wire::to_memory(spec).map_err(|e| start_error("hand the description over", dir, e))?;
        let request = Request::Launch { dir: dir.0.clone() };
        let control = self.helper.request(&request, &[lock.as_fd(), memory.as_fd()]).map_err(shim_failed)?;
        drop(lock);
        let packet = receive_in_time(&control).map_err(shim_failed)?;
        match packet.parse() {
            Ok(Reply::Started { pid, started_unix_nanos }) => Ok(Running { pid, started_at: time(started_unix_nanos) }),
            Ok(Reply::Failed { failure }) => Err(failure.into()),
            _ => Err(LaunchError::ShimFailed { detail: "an answer that is not understood".to_owned() }),
        }
    }

    /// All containers in the run directory: for recovery after the agent was restarted. One whose description
    /// cannot be read is removed: nobody could say what it was.
    pub fn list(&self) -> Result<Vec<Found>, Error> {
        let containers = ContainerDir::containers(&self.run_dir);
        let creation = self.creation.lock().unwrap_or_else(PoisonError::into_inner);
        let entries = match fs::read_dir(&containers) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.map_err(|source| Error::Io { action: "list", path: containers.clone(), source })?,
        };
        let entries: Vec<_> = entries.flatten().collect();
        drop(creation);
        let mut found = Vec::new();
        for entry in entries {
            let Ok(id) = entry.file_name().into_string() else { continue };
            // Waits for a start that is going on, so the description is there afterwards.
            let Some(state) = self.status(&id)? else { continue };
            match ContainerDir(entry.path()).spec() {
                Ok(Some(spec)) => found.push(Found { id, spec, state }),
                _ => self.destroy(&id)?,
            }
        }
        found.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(found)
    }

    /// `None` when there is no such container.
    pub fn status(&self, id: &str) -> Result<Option<State>, Error> {
        let Some(dir) = self.dir(id) else { return Ok(None) };
        let deadline = Instant::now() + STARTING_TIMEOUT;
        loop {
            // In this order: the shim writes the record before it lets the lock go.
            let locked = dir.is_locked();
            if let Some(record) = dir.exit()? {
                return Ok(Some(State::Exited(record)));
            }
            match dir.state()? {
                Some(state) if locked && state.boot_id == self.boot_id => {
                    let started_at = time(state.started_unix_nanos);
                    return Ok(Some(State::Running(Running { pid: state.main_pid, started_at })));
                }
                None if locked && Instant::now() < deadline => std::thread::sleep(STARTING_LOOK),
                _ if !dir.exists() => return Ok(None),
                _ => return Ok(Some(State::Lost)),
            }
        }
    }

    /// A descriptor that becomes readable (poll, epoll, tokio's `AsyncFd`) when the container has ended and
    /// its record is written, or its shim has died. Readable at once when that was before. Then ask
    /// [`status`](Self::status).
    pub fn exit_watch(&self, id: &str) -> Result<OwnedFd, Error> {
        let dir = self.dir(id).ok_or_else(|| Error::NotFound { id: id.to_owned() })?;
        let state = dir.state()?;
        let shim = match &state {
            Some(state) => self.open_shim(state)?,
            None => None,
        };
        match shim {
            Some(pidfd) => Ok(pidfd),
            None => rustix::event::eventfd(1, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map_err(watch_failed),
        }
    }

    /// Blocks until the container has ended.
    pub fn wait(&self, id: &str) -> Result<ExitRecord, Error> {
        loop {
            let watch = self.exit_watch(id)?;
            readable(&watch, None);
            match self.status(id)? {
                None => return Err(Error::NotFound { id: id.to_owned() }),
                Some(State::Exited(record)) => return Ok(record),
                Some(State::Lost) => return Err(Error::Lost { id: id.to_owned() }),
                Some(State::Running(_)) => {}
            }
        }
    }

    /// Sends a signal to the task's own process. No error when it has just ended.
    pub fn signal(&self, id: &str, signal: i32) -> Result<(), Error> {
        let state = self.state(id)?;
        let Some(process) = open_process(state.main_pid, state.main_start_time)? else { return Ok(()) };
        match sys::pidfd_signal(process.as_fd(), signal) {
            Err(error) if error.raw_os_error() != Some(libc::ESRCH) => Err(Error::Io {
                action: "send a signal to",
                path: format!("/proc/{}", state.main_pid).into(),
                source: error,
            }),
            _ => Ok(()),
        }
    }

    /// Kills every process of the container at once. No error when there is none.
    pub fn kill_all(&self, id: &str) -> Result<(), Error> {
        let state = self.state(id)?;
        if state.boot_id == self.boot_id {
            kill_processes(&state)?;
        }
        Ok(())
    }

    /// What the container uses now.
    pub fn stats(&self, id: &str) -> Result<Stats, Error> {
        let state = self.state(id)?;
        if state.groups.is_empty() {
            return Ok(procfs::process_stats(state.main_pid, state.main_start_time));
        }
        Ok(state.groups.stats())
    }

    /// Kills what is left and removes processes, cgroups and the run directory of the container (not its
    /// sandbox or logs). May be called in any state and any number of times.
    pub fn destroy(&self, id: &str) -> Result<(), Error> {
        let Some(dir) = self.dir(id) else { return Ok(()) };
        let stuck = |detail: &str| Error::Stuck { id: id.to_owned(), detail: detail.to_owned() };
        // A damaged state must not keep the rest from being removed.
        let state = dir.state().unwrap_or_default();
        if state.is_none() && !Groups::found(&Layout::look(&self.cgroup_parent), id).kill_and_remove() {
            // Its shim was killed before it could note what it made.
            return Err(stuck("processes in its cgroup do not end"));
        }
        if let Some(state) = state {
            let same_boot = state.boot_id == self.boot_id;
            if same_boot {
                kill_processes(&state)?;
                // It writes its record and removes the groups.
                if let Some(shim) = self.open_shim(&state)?
                    && !readable(&shim, Some(SHIM_END_TIMEOUT))
                {
                    return Err(stuck("its processes do not end (blocked on a disk or a network file system?)"));
                }
                kill_processes(&state)?;
            }
            if !state.groups.kill_and_remove() {
                return Err(stuck("processes in its cgroup do not end"));
            }
        }
        dir.remove().map_err(|source| Error::Io { action: "remove", path: dir.0.clone(), source })
    }

    /// Destroys all containers and removes the run directory and the parent cgroups: for `berth down --purge`.
    /// The containerizer cannot launch afterwards.
    pub fn purge(&self) -> Result<(), Error> {
        let containers = ContainerDir::containers(&self.run_dir);
        for entry in fs::read_dir(&containers).into_iter().flatten().flatten() {
            if let Ok(id) = entry.file_name().into_string() {
                self.destroy(&id)?;
            }
        }
        Layout::look(&self.cgroup_parent).remove_parents();
        match fs::remove_dir_all(&self.run_dir) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(Error::Io { action: "remove", path: self.run_dir.clone(), source })
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn dir(&self, id: &str) -> Option<ContainerDir> {
        // An id that could not have been launched is not looked for: it might be a path.
        check_id(id).ok()?;
        Some(ContainerDir::of(&self.run_dir, id)).filter(ContainerDir::exists)
    }

    fn state(&self, id: &str) -> Result<StateFile, Error> {
        let dir = self.dir(id).ok_or_else(|| Error::NotFound { id: id.to_owned() })?;
        dir.state()?.ok_or_else(|| Error::NotRunning { id: id.to_owned() })
    }

    fn open_shim(&self, state: &StateFile) -> Result<Option<OwnedFd>, Error> {
        if state.boot_id != self.boot_id {
            return Ok(None);
        }
        open_process(state.shim_pid, state.shim_start_time)
    }
}

/// All processes of a container, whoever minds them.
fn kill_processes(state: &StateFile) -> Result<(), Error> {
    state.groups.kill();
    if let Some(init) = open_process(state.init_pid, state.init_start_time)? {
        // Process 1 of a namespace takes all others with it. Gone meanwhile is fine.
        let _ = sys::pidfd_signal(init.as_fd(), libc::SIGKILL);
    }
    if state.isolation == Isolation::Plain {
        procfs::session(state.main_pid).into_iter().for_each(|pid| drop(sys::kill(pid, libc::SIGKILL)));
    }
    Ok(())
}

fn open_process(pid: i32, started: u64) -> Result<Option<OwnedFd>, Error> {
    procfs::open_process(pid, started).map_err(|source| Error::Io {
        action: "watch",
        path: format!("/proc/{pid}").into(),
        source,
    })
}

/// Waits; `false` after the time is over.
fn readable(fd: &OwnedFd, timeout: Option<Duration>) -> bool {
    let deadline = timeout.map(|t| Instant::now() + t);
    loop {
        let left = deadline.map(|d| d.saturating_duration_since(Instant::now()));
        let left = left.map(|l| Timespec { tv_sec: l.as_secs() as i64, tv_nsec: l.subsec_nanos().into() });
        match rustix::event::poll(&mut [PollFd::new(fd, PollFlags::IN)], left.as_ref()) {
            Ok(n) => return n > 0,
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return false,
        }
    }
}

fn watch_failed(error: rustix::io::Errno) -> Error {
    Error::Io { action: "make a descriptor for", path: Path::new("eventfd").to_owned(), source: error.into() }
}

fn start_error(step: &str, dir: &ContainerDir, source: io::Error) -> LaunchError {
    LaunchError::StartError { step: step.to_owned(), path: Some(dir.0.clone()), source }
}

pub(crate) fn shim_failed(error: Error) -> LaunchError {
    LaunchError::ShimFailed { detail: error.to_string() }
}

fn time(unix_nanos: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_nanos(unix_nanos)
}
