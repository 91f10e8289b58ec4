//! The last steps of a new process, from "in its namespaces" to `execve`.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Access, AtFlags};

use super::{errno_step, step};
use crate::capability::Set;
use crate::features::Isolation;
use crate::record::LaunchFailure;
use crate::spec::{Rlimit, User};
use crate::sys::{self, BpfInstruction};
use crate::wire;

/// Where commands are looked for when the environment does not say.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What the process becomes.
pub(super) struct Program<'a> {
    pub(super) argv: &'a [String],
    pub(super) env: Vec<(String, String)>,
    pub(super) cwd: &'a Path,
    pub(super) user: Option<&'a User>,
    pub(super) capabilities: Set,
    pub(super) no_new_privileges: bool,
    pub(super) filter: Option<Vec<BpfInstruction>>,
    pub(super) rlimits: &'a [Rlimit],
    pub(super) oom_score_adj: Option<i32>,
    pub(super) isolation: Isolation,
    /// Input, output, error.
    pub(super) stdio: [BorrowedFd<'a>; 3],
    /// The stdio are a terminal, to become the controlling one.
    pub(super) tty: bool,
}

/// First byte of the packet that tells the parent this process's pid. Failures begin with `{`.
pub(super) const HERE_I_AM: &[u8] = b"p";

/// Runs the program; returns only when that fails. `report` is closed by the successful `execve`.
pub(super) fn execute(program: Program<'_>, report: &OwnedFd) -> LaunchFailure {
    match prepare(&program, report) {
        Ok((argv, env)) => find_and_exec(&program, &argv, &env),
        Err(failure) => failure,
    }
}

/// Sends a failure to the parent and ends.
pub(super) fn give_up(report: &OwnedFd, failure: &LaunchFailure) -> ! {
    let _ = wire::send(report, failure, &[]);
    sys::exit_now(127)
}

fn prepare(program: &Program<'_>, report: &OwnedFd) -> Result<(Vec<CString>, Vec<CString>), LaunchFailure> {
    // A message with our pid, as the kernel translates it for the receiver.
    wire::send_bytes(report, HERE_I_AM, &[]).map_err(step("report the process"))?;
    rustix::process::setsid().ok();
    sys::set_stdio(program.stdio).map_err(step("connect standard input and output"))?;
    if program.tty {
        sys::take_terminal(std::io::stdin().as_fd()).map_err(step("take the terminal"))?;
    }
    for limit in program.rlimits {
        let value = |v: Option<u64>| v.unwrap_or(libc::RLIM_INFINITY);
        if let Some(resource) = crate::rlimit::resource(&limit.kind) {
            sys::set_rlimit(resource, value(limit.soft), value(limit.hard))
                .map_err(step(&format!("set the {} limit", limit.kind)))?;
        }
    }
    if let Some(adj) = program.oom_score_adj {
        let written = std::fs::write("/proc/self/oom_score_adj", adj.to_string());
        // Lowering it needs a right that the agent may not have; being killed later is better than not starting.
        if let Err(error) = written.or_else(|e| if e.raw_os_error() == Some(libc::EACCES) { Ok(()) } else { Err(e) }) {
            return Err(step("set oom_score_adj")(error));
        }
    }
    let argv = c_strings(program.argv.iter().cloned())?;
    let env = c_strings(program.env.iter().map(|(name, value)| format!("{name}={value}")))?;
    // As the user that will run, so that a directory it may not enter is refused; root reaches all.
    if !program.no_new_privileges {
        install_filter(program)?;
    }
    become_user(program)?;
    rustix::process::chdir(program.cwd)
        .map_err(|e| crate::cgroup::failed("enter the working directory", program.cwd, e.into()))?;
    if program.no_new_privileges {
        sys::prctl(libc::PR_SET_NO_NEW_PRIVS, 1).map_err(step("set no_new_privs"))?;
        install_filter(program)?;
    }
    // Whatever was open here: nothing of the host's may reach the program.
    sys::close_on_exec_from(3).map_err(step("close descriptors"))?;
    Ok((argv, env))
}

fn install_filter(program: &Program<'_>) -> Result<(), LaunchFailure> {
    match &program.filter {
        None => Ok(()),
        Some(filter) => match sys::install_seccomp(filter) {
            // Without no_new_privs only root may install one.
            Err(error) if error.raw_os_error() == Some(libc::EACCES) && !program.no_new_privileges => Ok(()),
            other => other.map_err(step("install the seccomp filter")),
        },
    }
}

fn become_user(program: &Program<'_>) -> Result<(), LaunchFailure> {
    let root = rustix::process::geteuid().is_root();
    if program.isolation != Isolation::Plain || root {
        for number in 0..64 {
            // EINVAL: past the last that this kernel knows.
            if !program.capabilities.contains(Set(1 << number)) && sys::prctl(libc::PR_CAPBSET_DROP, number).is_err() {
                break;
            }
        }
    }
    let (uid, gid) = (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
    let own = User { uid, gid, groups: Vec::new() };
    let user = program.user.unwrap_or(&own);
    if program.isolation == Isolation::Root {
        let refused = |what: &str| step(&format!("{what} of user {} and group {}", user.uid, user.gid));
        sys::set_groups(&user.groups).map_err(refused("take the groups"))?;
        sys::set_gid(user.gid).map_err(refused("take the group"))?;
        sys::set_uid(user.uid).map_err(refused("take the identity"))?;
    } else if (user.uid, user.gid) != (uid, gid) {
        // In a user namespace the wanted user was mapped to ours already.
        let what =
            format!("run as user {} and group {}: the agent is not root (it is {uid}:{gid})", user.uid, user.gid);
        return Err(errno_step(&what)(rustix::io::Errno::PERM));
    }
    // For another user the kernel has cleared all on setuid, as it should.
    if rustix::process::geteuid().is_root() || program.isolation == Isolation::UserNamespace {
        let keep = if user.uid == 0 { program.capabilities.0 & sys::permitted_capabilities() } else { 0 };
        sys::set_capabilities(keep).map_err(step("drop capabilities"))?;
    }
    Ok(())
}

fn find_and_exec(program: &Program<'_>, argv: &[CString], env: &[CString]) -> LaunchFailure {
    let command = program.argv[0].clone();
    if command.contains('/') {
        let error = sys::execve(&argv[0], argv, env);
        return not_executed(&command, &command, "", &error);
    }
    let path = program.env.iter().rev().find(|(name, _)| name == "PATH").map_or(DEFAULT_PATH, |(_, value)| value);
    let mut denied = None;
    for dir in path.split(':') {
        let file = if dir.is_empty() { format!("./{command}") } else { format!("{dir}/{command}") };
        let Ok(c_file) = CString::new(file.clone()) else { continue };
        let error = sys::execve(&c_file, argv, env);
        match error.raw_os_error() {
            Some(libc::ENOENT) if !exists(&file) => {}
            Some(libc::ENOTDIR) => {}
            // As a shell does: another directory may have one that we may execute.
            Some(libc::EACCES) => denied = Some((file, error)),
            _ => return not_executed(&command, &file, path, &error),
        }
    }
    match denied {
        Some((file, error)) if exists(&file) => not_executed(&command, &file, path, &error),
        _ => LaunchFailure::CommandNotFound { command, path: path.to_owned() },
    }
}

fn not_executed(command: &str, file: &str, path: &str, error: &io::Error) -> LaunchFailure {
    let errno = error.raw_os_error().unwrap_or(libc::EIO);
    let failed = |why: &str| LaunchFailure::StartError {
        step: format!("execute {command}{why}"),
        path: Some(file.into()),
        errno,
    };
    match errno {
        libc::ENOENT | libc::ENOTDIR if !exists(file) => {
            LaunchFailure::CommandNotFound { command: command.to_owned(), path: path.to_owned() }
        }
        libc::ENOENT => failed(": its interpreter or loader does not exist"),
        libc::ENOEXEC => failed(": it is neither a program for this machine nor a script with #!"),
        libc::EACCES | libc::EPERM => {
            let detail = if Path::new(file).is_dir() {
                format!("{file} is a directory")
            } else {
                format!("{file} is not executable for this user, or its file system is mounted noexec")
            };
            LaunchFailure::PermissionDenied { command: command.to_owned(), detail }
        }
        _ => failed(""),
    }
}

fn exists(file: &str) -> bool {
    rustix::fs::accessat(rustix::fs::CWD, file, Access::EXISTS, AtFlags::empty()).is_ok()
}

fn c_strings(texts: impl Iterator<Item = String>) -> Result<Vec<CString>, LaunchFailure> {
    texts.map(|t| CString::new(t).map_err(|e| step("read the arguments")(e.into()))).collect()
}

/// The environment with `PATH` when it has none.
pub(super) fn with_path(mut env: Vec<(String, String)>) -> Vec<(String, String)> {
    if !env.iter().any(|(name, _)| name == "PATH") {
        env.push(("PATH".to_owned(), DEFAULT_PATH.to_owned()));
    }
    env
}
