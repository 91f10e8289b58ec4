//! The process behind `berth __shim`: a small helper that forks one shim for each container.
//!
//! The helper is started once by an agent, has one thread, and dies with it (its socket ends). It keeps what
//! every start needs: the layout of the cgroups, what the kernel allows, the compiled filter. A fork of it costs a
//! fifth of starting the whole binary again, and one is always made ahead of the next request. Forked shims have a session of their own and outlive both.

mod child;
mod exec;
mod files;
mod init;
mod launch;
mod logs;
mod mounts;
mod probe;

use std::ffi::OsString;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;

use rustix::event::{PollFd, PollFlags};
use rustix::stdio::dup2_stdin;

use crate::capability::Set;
use crate::cgroup::Layout;
use crate::features::{Features, Isolation};
use crate::record::LaunchFailure;
use crate::rundir::ContainerDir;
use crate::spec::{ContainerSpec, Seccomp};
use crate::sys::{self, BpfInstruction, Forked};
use crate::wire::{self, Packet, Reply, Request};

/// What the helper knows and every shim inherits.
pub(crate) struct Machine {
    run_dir: PathBuf,
    boot_id: String,
    /// User and group of the agent.
    own_user: (u32, u32),
    features: Features,
    layout: Layout,
    default_filter: (Set, Vec<BpfInstruction>),
    null: OwnedFd,
}

impl Machine {
    /// The seccomp filter of a container; `None`: unconfined.
    fn filter(&self, spec: &ContainerSpec) -> Option<Vec<BpfInstruction>> {
        if spec.privileged || spec.seccomp == Seccomp::Unconfined || !self.features.seccomp {
            return None;
        }
        let capabilities = Set::of(&spec.capabilities, false);
        let (known, filter) = &self.default_filter;
        Some(if capabilities == *known { filter.clone() } else { crate::seccomp::program(capabilities) })
    }
}

/// The body of `berth __shim ARGS…`; returns the process's exit code.
///
/// The CLI calls it before anything else (no runtime, no threads, no log set-up): it must be the only
/// thread of its process. `args` are the arguments after `__shim`; standard input is the agent's socket.
pub fn shim_main(args: impl IntoIterator<Item = OsString>) -> i32 {
    let mut args = args.into_iter();
    let (Some(run_dir), Some(cgroup_parent), None) = (args.next(), args.next(), args.next()) else {
        eprintln!("berth __shim is started by the agent: RUN_DIR CGROUP_PARENT, with a socket as standard input");
        return 2;
    };
    match serve(PathBuf::from(run_dir), &cgroup_parent.to_string_lossy()) {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("berth __shim: {error}");
            1
        }
    }
}

fn serve(run_dir: PathBuf, cgroup_parent: &str) -> std::io::Result<()> {
    // Away from descriptor 0: a shim's standard input is /dev/null.
    let socket = rustix::io::fcntl_dupfd_cloexec(std::io::stdin().as_fd(), 3)?;
    let null = OwnedFd::from(File::options().read(true).write(true).open("/dev/null")?);
    dup2_stdin(&null)?;
    std::env::set_current_dir("/")?;
    sys::set_process_name("berth-helper");
    // A signal from a terminal is meant for the agent, which ends us by closing the socket.
    rustix::process::setsid().ok();
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));

    let layout = Layout::detect(cgroup_parent);
    let features = probe::features(&layout);
    let default = Set::of(&crate::spec::Capabilities::default(), false);
    let machine = Machine {
        run_dir,
        boot_id: crate::procfs::boot_id(),
        own_user: (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw()),
        default_filter: (default, crate::seccomp::program(default)),
        features,
        layout,
        null,
    };
    // All to their defaults once, for every shim and every task to come (the Rust runtime sets some).
    sys::reset_signals();
    sys::ignore_children();
    wire::send(&socket, &Reply::Hello { features: Box::new(machine.features.clone()) }, &[])?;
    loop {
        let (taken, teller) = wire::pair()?;
        // SAFETY: this process has never made a thread.
        match unsafe { sys::fork() } {
            Ok(Forked::Child) => {
                drop(taken);
                sys::exit_now(spare(&machine, socket, teller));
            }
            Ok(Forked::Parent { .. }) => {
                drop(teller);
                match wait_until_taken(&taken) {
                    Some(NO_MORE) => return Ok(()),
                    Some(_) => wait_until_started(&taken, &socket),
                    None => {}
                }
            }
            // The machine has no room for one more process: whoever asks hears it, and the next one may have luck.
            Err(error) => match wire::receive(&socket)? {
                None => return Ok(()),
                Some(mut packet) => {
                    let failure = step("make the container's shim")(error);
                    if let Some(control) = packet.fds.drain(..).next() {
                        let _ = wire::send(&control, &Reply::Failed { failure }, &[]);
                    }
                }
            },
        }
    }
}

/// A spare has taken a request.
const TAKEN: u8 = b't';
/// The agent is gone.
const NO_MORE: u8 = b'e';

/// A shim that was forked before anybody asked, with all prepared that is the same for all: a start does not wait
/// for that. Takes one request.
fn spare(machine: &Machine, socket: OwnedFd, teller: OwnedFd) -> i32 {
    sys::heed_children();
    rustix::process::setsid().ok();
    let ready = if machine.features.isolation == Isolation::Root { mounts::Ready::make().ok() } else { None };
    let packet = wire::receive(&socket);
    drop(socket);
    let told = if matches!(packet, Ok(Some(_))) { TAKEN } else { NO_MORE };
    // A helper that was killed meanwhile listens no more; the request is served all the same.
    let _ = wire::send_bytes(&teller, &[told], &[]);
    match packet {
        Ok(Some(packet)) => handle(machine, packet, ready, teller),
        _ => 0,
    }
}

/// What the spare said; `None` when it was killed before it could.
fn wait_until_taken(taken: &OwnedFd) -> Option<u8> {
    wire::receive(taken).ok().flatten()?.bytes().first().copied()
}

/// Waits until the shim has started its container, or somebody asks for the next: the next spare is made in neither's
/// way.
fn wait_until_started(starting: &OwnedFd, socket: &OwnedFd) {
    let mut polled = [PollFd::new(starting, PollFlags::IN), PollFd::new(socket, PollFlags::IN)];
    while rustix::event::poll(&mut polled, None) == Err(rustix::io::Errno::INTR) {}
}

/// In the forked shim: one request, to the end of its process.
fn handle(machine: &Machine, mut packet: Packet, ready: Option<mounts::Ready>, starting: OwnedFd) -> i32 {
    let Ok(request) = packet.parse::<Request>() else { return 2 };
    let mut fds = std::mem::take(&mut packet.fds).into_iter();
    let Some(control) = fds.next() else { return 2 };
    let outcome = match request {
        Request::Launch { dir } => {
            // Held until this process ends, however it ends.
            let _lock = fds.next();
            let Some(spec) = fds.next() else { return 2 };
            launch::run(machine, &ContainerDir(dir), &control, spec, ready, starting)
        }
        Request::Exec { dir } => {
            drop((ready, starting));
            exec::run(machine, &ContainerDir(dir), &control, fds.collect())
        }
    };
    match outcome {
        Ok(()) => 0,
        Err(failure) => {
            // Nobody may be listening any more; the record tells then.
            let _ = wire::send(&control, &Reply::Failed { failure }, &[]);
            1
        }
    }
}

/// A failed step that has no path.
fn step(what: &str) -> impl Fn(std::io::Error) -> LaunchFailure + use<> {
    let what = what.to_owned();
    move |error| LaunchFailure::StartError {
        step: what.clone(),
        path: None,
        errno: error.raw_os_error().unwrap_or(libc::EIO),
    }
}

/// The same for errors of rustix.
fn errno_step(what: &str) -> impl Fn(rustix::io::Errno) -> LaunchFailure + use<> {
    let step = step(what);
    move |error| step(error.into())
}
