//! One more process in a running container, and the process that minds it for the agent.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;

use super::child::{self, HERE_I_AM, Program, with_path};
use super::{Machine, errno_step, mounts, step};
use crate::capability::Set;
use crate::features::Isolation;
use crate::procfs;
use crate::record::LaunchFailure;
use crate::rundir::ContainerDir;
use crate::spec::{ContainerSpec, ExecSpec};
use crate::sys::{self, Forked};
use crate::wire::{self, ExecOrder, Reply};

pub(super) fn run(
    machine: &Machine,
    dir: &ContainerDir,
    control: &OwnedFd,
    fds: Vec<OwnedFd>,
) -> Result<(), LaunchFailure> {
    sys::set_process_name("berth-exec");
    let mut fds = fds.into_iter();
    let request = fds.next().ok_or(Errno::BADF).map_err(errno_step("read the request"))?;
    let exec: ExecSpec = wire::from_memory(request).map_err(step("read the request"))?;
    let not_running = || LaunchFailure::NotRunning {
        id: dir.0.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default(),
    };
    let (Ok(Some(spec)), Ok(Some(state))) = (dir.spec(), dir.state()) else { return Err(not_running()) };
    let init = procfs::open_process(state.init_pid, state.init_start_time)
        .map_err(step("find the container's process"))?
        .ok_or_else(not_running)?;
    let entry = state.groups.entry()?;
    let flags = super::launch::namespaces(&spec, state.isolation);
    if state.isolation != Isolation::UserNamespace {
        let _ = sys::prctl(libc::PR_SET_DUMPABLE, 0);
    }
    if flags != 0 {
        sys::join_namespaces(init.as_fd(), flags).map_err(step("join the container's namespaces"))?;
    }
    let mut terminal = None;
    let stdio: Vec<OwnedFd> = if exec.tty {
        let (master, slave) =
            mounts::open_terminal(exec.user.as_ref().or(spec.user.as_ref())).map_err(step("open a terminal"))?;
        terminal = Some(master);
        let copy = || slave.try_clone().map_err(step("open a terminal"));
        vec![copy()?, copy()?, slave]
    } else {
        fds.collect()
    };
    let [stdin, stdout, stderr] = &stdio[..] else { return Err(errno_step("take input and output")(Errno::BADF)) };

    let (report, reporter) = wire::pair().map_err(step("make a socket"))?;
    // SAFETY: a fork of the helper, which has one thread.
    let forked = unsafe { sys::clone3(0, entry.v2.as_ref().map(AsFd::as_fd)) };
    let (pid, pidfd) = match forked.map_err(step("make the process"))? {
        Forked::Child => {
            if let Err(error) = entry.enter() {
                child::give_up(&reporter, &step("enter the cgroups")(error));
            }
            let user = exec.user.as_ref().or(spec.user.as_ref());
            let program = program(machine, &spec, &exec, user, state.isolation, [stdin, stdout, stderr]);
            let failure = child::execute(program, &reporter);
            child::give_up(&reporter, &failure)
        }
        Forked::Parent { pid, pidfd } => (pid, pidfd.ok_or(Errno::BADF).map_err(errno_step("watch the process"))?),
    };
    drop((reporter, entry, stdio));
    while let Some(packet) = wire::receive(&report).map_err(step("hear from the new process"))? {
        if packet.bytes() != HERE_I_AM {
            sys::reap(pid, true);
            return Err(packet.parse().map_err(step("understand the new process"))?);
        }
    }
    let reply = Reply::Started { pid, started_unix_nanos: sys::unix_nanos() };
    let fds: Vec<_> = terminal.iter().map(AsFd::as_fd).collect();
    let told = wire::send(control, &reply, &fds);
    // The agent's copy is the only one: its end hangs the terminal up.
    drop(terminal);
    if told.is_err() {
        let _ = sys::pidfd_signal(pidfd.as_fd(), libc::SIGKILL);
    }
    let status = mind(pid, &pidfd, control);
    let _ = wire::send(control, &Reply::Ended { status }, &[]);
    Ok(())
}

fn program<'a>(
    machine: &Machine,
    spec: &'a ContainerSpec,
    exec: &'a ExecSpec,
    user: Option<&'a crate::spec::User>,
    isolation: Isolation,
    stdio: [&'a OwnedFd; 3],
) -> Program<'a> {
    let mut env: Vec<_> =
        spec.env.iter().filter(|(name, _)| !exec.env.iter().any(|(new, _)| new == name)).cloned().collect();
    env.extend(exec.env.iter().cloned());
    if exec.tty && !env.iter().any(|(name, _)| name == "TERM") {
        env.push(("TERM".to_owned(), "xterm".to_owned()));
    }
    let sandbox: &Path = if isolation == Isolation::Plain { &spec.sandbox } else { spec.sandbox_in_container() };
    Program {
        argv: &exec.argv,
        env: with_path(env),
        cwd: exec.cwd.as_deref().or(spec.cwd.as_deref()).unwrap_or(sandbox),
        user,
        capabilities: Set::of(&spec.capabilities, spec.privileged),
        no_new_privileges: spec.no_new_privileges && !spec.privileged,
        filter: machine.filter(spec),
        rlimits: &spec.rlimits,
        oom_score_adj: spec.oom_score_adj,
        isolation,
        stdio: stdio.map(AsFd::as_fd),
        tty: exec.tty,
    }
}

/// Waits for the end and takes orders meanwhile. An agent that is gone ends the process.
fn mind(pid: i32, pidfd: &OwnedFd, control: &OwnedFd) -> i32 {
    let mut listening = true;
    loop {
        let mut polled = vec![PollFd::new(pidfd, PollFlags::IN)];
        if listening {
            polled.push(PollFd::new(control, PollFlags::IN));
        }
        match rustix::event::poll(&mut polled, None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(_) => return libc::SIGKILL,
        }
        if !polled[0].revents().is_empty() {
            return sys::reap(pid, true).map_or(libc::SIGKILL, |ended| ended.status);
        }
        if polled.get(1).is_none_or(|p| p.revents().is_empty()) {
            continue;
        }
        match wire::receive(control) {
            Ok(Some(order)) => {
                if let Ok(ExecOrder::Signal { signal }) = order.parse() {
                    let _ = sys::pidfd_signal(pidfd.as_fd(), signal);
                }
            }
            _ => {
                listening = false;
                let _ = sys::pidfd_signal(pidfd.as_fd(), libc::SIGKILL);
            }
        }
    }
}
