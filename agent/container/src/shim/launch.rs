//! The life of one container, seen from its shim: make, start, mind, record, clean up.

use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::pipe::PipeFlags;

use super::child::{self, HERE_I_AM, Program, with_path};
use super::logs::{self, Stream};
use super::{Machine, errno_step, init, mounts, step};
use crate::capability::Set;
use crate::cgroup::{Entry, Groups, failed};
use crate::features::Isolation;
use crate::procfs;
use crate::record::{ExitRecord, LaunchFailure};
use crate::rundir::{ContainerDir, StateFile};
use crate::spec::{ContainerSpec, PROTO};
use crate::sys::{self, Forked, Reaped};
use crate::wire::{self, Reply};

/// First byte of the packet that carries the terminal.
const TERMINAL: &[u8] = b"t";
/// How long output may still come after the end of the task: a process that it left behind on purpose (no pid
/// namespace) may keep the pipe open for ever.
const DRAIN_TIME: Duration = Duration::from_millis(200);

/// A container that was started.
struct Started {
    /// The process that we wait for.
    child: i32,
    pidfd: OwnedFd,
    /// Where its init tells how the task ended.
    status: OwnedFd,
    streams: Vec<Stream>,
    /// Keeps the terminal open.
    _terminal: Option<OwnedFd>,
}

pub(super) fn run(
    machine: &Machine,
    dir: &ContainerDir,
    control: &OwnedFd,
    spec: OwnedFd,
    ready: Option<mounts::Ready>,
    starting: OwnedFd,
) -> Result<(), LaunchFailure> {
    sys::set_process_name("berth-shim");
    sys::prctl(libc::PR_SET_CHILD_SUBREAPER, 1).map_err(step("become the reaper"))?;
    let spec: ContainerSpec = wire::from_memory(spec).map_err(step("read the container's description"))?;
    let started_unix_nanos = sys::unix_nanos();
    let mut limits = spec.limits;
    if uses_init(machine, &spec) {
        // Ours is not one of the processes that were asked for.
        limits.pids_limit = limits.pids_limit.map(|max| max.saturating_add(1));
    }
    let groups = Groups::create(&machine.layout, &spec.id, &limits);
    let outcome =
        groups.and_then(|groups| match start(machine, dir, &spec, &groups, started_unix_nanos, control, ready) {
            Ok(started) => Ok((started, groups)),
            Err(failure) => {
                reap_all(&groups);
                groups.kill_and_remove();
                Err(failure)
            }
        });
    // The helper waits for it to be closed.
    drop(starting);
    let mut record = ExitRecord { proto: PROTO, started_unix_nanos, ..ExitRecord::default() };
    match outcome {
        Err(failure) => {
            record.finished_unix_nanos = sys::unix_nanos();
            record.failure = Some(failure.clone());
            let _ = dir.write_exit(&record);
            Err(failure)
        }
        Ok((started, groups)) => {
            dir.reserve_exit();
            let has_init = uses_init(machine, &spec);
            let reaped = mind(started, &groups, has_init, &mut record);
            record.cpu_usec = groups.cpu_usec().unwrap_or(reaped.cpu_usec);
            record.max_rss_bytes = reaped.max_rss_bytes;
            record.oom_kills = groups.oom_kills();
            record.memory_peak_bytes = groups.memory_peak();
            record.finished_unix_nanos = sys::unix_nanos();
            // Without a record the container counts as lost, which is the truth.
            let _ = dir.write_exit(&record);
            groups.kill_and_remove();
            Ok(())
        }
    }
}

/// Whether the task is a child of our own process 1.
fn uses_init(machine: &Machine, spec: &ContainerSpec) -> bool {
    machine.features.isolation != Isolation::Plain && !spec.namespaces.host_pid
}

/// The namespaces that a container gets of its own, and that a process joining it enters: one list for both.
pub(super) fn namespaces(spec: &ContainerSpec, isolation: Isolation) -> u64 {
    if isolation == Isolation::Plain {
        return 0;
    }
    let mut flags = libc::CLONE_NEWNS | libc::CLONE_NEWUTS;
    if !spec.namespaces.host_pid {
        flags |= libc::CLONE_NEWPID;
    }
    if !spec.namespaces.host_ipc {
        flags |= libc::CLONE_NEWIPC;
    }
    if isolation == Isolation::UserNamespace {
        flags |= libc::CLONE_NEWUSER;
    }
    flags as u64
}

/// Ends of pipes: ours (output, error) and the container's.
struct Pipes {
    ours: [OwnedFd; 2],
    stdout: OwnedFd,
    stderr: OwnedFd,
}

fn start(
    machine: &Machine,
    dir: &ContainerDir,
    spec: &ContainerSpec,
    groups: &Groups,
    started_unix_nanos: u64,
    control: &OwnedFd,
    ready: Option<mounts::Ready>,
) -> Result<Started, LaunchFailure> {
    let Pipes { ours, stdout, stderr } = make_pipes(spec)?;
    let entry = groups.entry()?;
    let (report, reporter) = wire::pair().map_err(step("make a socket"))?;
    rustix::net::sockopt::set_socket_passcred(&report, true).map_err(errno_step("make a socket"))?;
    let (status, status_writer) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC).map_err(errno_step("make a pipe"))?;
    // Not to be traced or looked into from inside the container before it is the task.
    let userns = machine.features.isolation == Isolation::UserNamespace;
    if !userns {
        let _ = sys::prctl(libc::PR_SET_DUMPABLE, 0);
    }
    let flags = namespaces(spec, machine.features.isolation);
    // SAFETY: the shim is a fork of the helper, which has one thread.
    let forked = unsafe { sys::clone3(flags, entry.v2.as_ref().map(AsFd::as_fd)) };
    let (pid, pidfd) = match forked.map_err(step("make the namespaces"))? {
        Forked::Child => {
            drop(report);
            let stdio = [&machine.null, &stdout, &stderr];
            inside(machine, spec, &entry, stdio, &reporter, status_writer, ready)
        }
        Forked::Parent { pid, pidfd } => (pid, pidfd.ok_or(Errno::BADF).map_err(errno_step("watch the process"))?),
    };
    drop((reporter, status_writer, stdout, stderr, entry, ready));
    // Files are made while the new process sets itself up: each costs a good part of a start on a disk.
    dir.write_spec(spec).map_err(|e| failed("write the container's description", &dir.0, e))?;
    let mut streams = open_logs(spec, ours)?;
    let mut terminal = None;
    loop {
        let Some(mut packet) = wire::receive(&report).map_err(step("hear from the new process"))? else { break };
        match packet.bytes() {
            HERE_I_AM => {
                let main_pid = packet.sender.unwrap_or(pid);
                let state = StateFile {
                    proto: PROTO,
                    boot_id: machine.boot_id.clone(),
                    shim_pid: rustix::process::getpid().as_raw_nonzero().get(),
                    shim_start_time: own_start_time(),
                    init_pid: pid,
                    init_start_time: procfs::start_time(pid).unwrap_or(0),
                    main_pid,
                    main_start_time: procfs::start_time(main_pid).unwrap_or(0),
                    started_unix_nanos,
                    isolation: machine.features.isolation,
                    groups: groups.clone(),
                };
                dir.write_state(&state).map_err(|e| failed("write the state", &dir.0, e))?;
                let reply = Reply::Started { pid: main_pid, started_unix_nanos };
                // Sent when it has been executed.
                packet.fds.clear();
                if let Some(failure) = wait_for_exec(&report)? {
                    return Err(failure);
                }
                // An agent that died meanwhile finds the container by its state.
                let _ = wire::send(control, &reply, &[]);
                break;
            }
            TERMINAL => {
                let master = packet.fds.pop().ok_or(Errno::BADF).map_err(errno_step("take the terminal"))?;
                let copy = master.try_clone().map_err(step("take the terminal"))?;
                set_nonblocking(&copy)?;
                let dir = logs::open_dir(spec).map_err(log_failed(spec))?;
                streams = vec![Stream::open(&spec.log, &dir, "stdout", copy).map_err(log_failed(spec))?];
                terminal = Some(master);
            }
            _ => return Err(packet.parse::<LaunchFailure>().map_err(step("understand the new process"))?),
        }
    }
    Ok(Started { child: pid, pidfd, status, streams, _terminal: terminal })
}

/// `None`: the socket was closed by a successful `execve`.
fn wait_for_exec(report: &OwnedFd) -> Result<Option<LaunchFailure>, LaunchFailure> {
    match wire::receive(report).map_err(step("hear from the new process"))? {
        None => Ok(None),
        Some(packet) => Ok(Some(packet.parse().map_err(step("understand the new process"))?)),
    }
}

fn own_start_time() -> u64 {
    procfs::start_time(rustix::process::getpid().as_raw_nonzero().get()).unwrap_or(0)
}

fn make_pipes(spec: &ContainerSpec) -> Result<Pipes, LaunchFailure> {
    let pipe = || {
        let (read, write) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC).map_err(errno_step("make a pipe"))?;
        set_nonblocking(&read)?;
        if let Some(user) = &spec.user {
            // So that /dev/stdout can be opened by a user that is not root; refused without root, where it is ours.
            let _ = std::os::unix::fs::fchown(&write, Some(user.uid), Some(user.gid));
        }
        Ok::<_, LaunchFailure>((read, write))
    };
    let ((out, stdout), (err, stderr)) = (pipe()?, pipe()?);
    Ok(Pipes { ours: [out, err], stdout, stderr })
}

fn open_logs(spec: &ContainerSpec, [out, err]: [OwnedFd; 2]) -> Result<Vec<Stream>, LaunchFailure> {
    let dir = logs::open_dir(spec).map_err(log_failed(spec))?;
    let open = |name, source| Stream::open(&spec.log, &dir, name, source).map_err(log_failed(spec));
    Ok(vec![open("stdout", out)?, open("stderr", err)?])
}

fn log_failed(spec: &ContainerSpec) -> impl Fn(io::Error) -> LaunchFailure {
    let dir = spec.log.dir.clone();
    move |error| failed("open the logs", &dir, error)
}

fn set_nonblocking(fd: &OwnedFd) -> Result<(), LaunchFailure> {
    rustix::fs::fcntl_setfl(fd, OFlags::NONBLOCK).map_err(errno_step("set up a pipe"))
}

/// The new process, first in its namespaces: becomes the task, or its init with the task as child.
fn inside(
    machine: &Machine,
    spec: &ContainerSpec,
    entry: &Entry,
    stdio: [&OwnedFd; 3],
    report: &OwnedFd,
    status: OwnedFd,
    ready: Option<mounts::Ready>,
) -> ! {
    let mut terminal = None;
    if let Err(failure) = set_up(machine, spec, entry, report, ready, &mut terminal) {
        child::give_up(report, &failure);
    }
    if uses_init(machine, spec) {
        // Before there is anyone to send one: what comes is kept until init looks.
        sys::block_all_signals();
        // SAFETY: a process that was cloned from one with a single thread.
        match unsafe { sys::fork() } {
            Ok(Forked::Child) => sys::unblock_all_signals(),
            Ok(Forked::Parent { pid, .. }) => {
                // Init keeps none of the task's pipes: their end must be seen.
                let null = machine.null.as_fd();
                let _ = sys::set_stdio([null, null, null]);
                let _ = rustix::process::chdir("/");
                init::run(pid, status)
            }
            Err(error) => child::give_up(report, &step("start the task's process")(error)),
        }
    } else if machine.features.isolation == Isolation::Plain {
        // Nothing else ends the task if the shim is killed.
        let _ = sys::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as u64);
    }
    let stdio = match &terminal {
        Some(slave) => [slave, slave, slave],
        None => stdio,
    };
    let cwd = spec.cwd.as_deref().unwrap_or_else(|| match machine.features.isolation {
        Isolation::Plain => &spec.sandbox,
        _ => spec.sandbox_in_container(),
    });
    let program = Program {
        argv: &spec.argv,
        env: with_path(spec.env.clone()),
        cwd,
        user: spec.user.as_ref(),
        capabilities: Set::of(&spec.capabilities, spec.privileged),
        no_new_privileges: spec.no_new_privileges && !spec.privileged,
        filter: machine.filter(spec),
        rlimits: &spec.rlimits,
        oom_score_adj: spec.oom_score_adj,
        isolation: machine.features.isolation,
        stdio: stdio.map(AsFd::as_fd),
        tty: terminal.is_some(),
    };
    let failure = child::execute(program, report);
    child::give_up(report, &failure)
}

fn set_up(
    machine: &Machine,
    spec: &ContainerSpec,
    entry: &Entry,
    report: &OwnedFd,
    ready: Option<mounts::Ready>,
    terminal: &mut Option<OwnedFd>,
) -> Result<(), LaunchFailure> {
    let isolation = machine.features.isolation;
    if isolation == Isolation::UserNamespace {
        // Noted before: here, without a map yet, we are "nobody".
        let outside = machine.own_user;
        let inside = spec.user.as_ref().map_or(outside, |user| (user.uid, user.gid));
        mounts::map_own_user(outside, inside).map_err(step("map the user"))?;
    }
    entry.enter().map_err(step("enter the cgroups"))?;
    if isolation == Isolation::Plain {
        return Ok(());
    }
    if let Some(name) = &spec.hostname {
        rustix::system::sethostname(name.as_bytes()).map_err(errno_step("set the host name"))?;
    }
    mounts::build(spec, &machine.run_dir, isolation, ready)?;
    if spec.tty {
        let (master, slave) = mounts::open_terminal(spec.user.as_ref()).map_err(step("open a terminal"))?;
        wire::send_bytes(report, TERMINAL, &[master.as_fd()]).map_err(step("hand the terminal over"))?;
        *terminal = Some(slave);
    }
    Ok(())
}

/// Moves output until the container ends. Fills in how it ended.
fn mind(mut started: Started, groups: &Groups, has_init: bool, record: &mut ExitRecord) -> Reaped {
    let mut buffer = Vec::new();
    loop {
        let mut polled: Vec<_> = started
            .streams
            .iter()
            .filter_map(Stream::source)
            .map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN))
            .collect();
        polled.push(PollFd::new(&started.pidfd, PollFlags::IN));
        match rustix::event::poll(&mut polled, None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(_) => break,
        }
        let ended = polled.last().is_some_and(|p| !p.revents().is_empty());
        drop(polled);
        for stream in &mut started.streams {
            stream.pump(&mut buffer);
        }
        if ended {
            break;
        }
    }
    let reaped = sys::reap(started.child, true).unwrap_or(Reaped { pid: 0, status: 9, max_rss_bytes: 0, cpu_usec: 0 });
    let raw = if has_init { read_status(&started.status) } else { None };
    (record.code, record.signal) = sys::decode_status(raw.unwrap_or(reaped.status));
    if !has_init {
        groups.kill();
        reap_all(groups);
    }
    drain(&mut started.streams, &mut buffer);
    record.log_bytes = started.streams.iter().map(|s| s.written).sum();
    record.log_bytes_dropped = started.streams.iter().map(|s| s.dropped).sum();
    reaped
}

/// What init wrote; `None` when it was killed itself.
fn read_status(status: &OwnedFd) -> Option<i32> {
    let mut bytes = [0; 4];
    let mut file = std::fs::File::from(status.try_clone().ok()?);
    file.read_exact(&mut bytes).ok()?;
    Some(i32::from_ne_bytes(bytes))
}

fn drain(streams: &mut [Stream], buffer: &mut Vec<u8>) {
    let deadline = Instant::now() + DRAIN_TIME;
    for stream in streams {
        loop {
            while stream.pump(buffer) {}
            let left = deadline.saturating_duration_since(Instant::now());
            let Some(source) = stream.source().filter(|_| !left.is_zero()) else { break };
            let wait = Timespec { tv_sec: 0, tv_nsec: left.subsec_nanos().into() };
            let _ = rustix::event::poll(&mut [PollFd::from_borrowed_fd(source, PollFlags::IN)], Some(&wait));
        }
    }
}

/// Kills and reaps all children of this shim. As the reaper of orphans it gets grandchildren in turn.
fn reap_all(groups: &Groups) {
    groups.kill();
    let own = rustix::process::getpid().as_raw_nonzero();
    let list = Path::new("/proc/self/task").join(own.to_string()).join("children");
    loop {
        while sys::reap(-1, false).is_some() {}
        let children = std::fs::read_to_string(&list).unwrap_or_default();
        let mut any = false;
        for pid in children.split_whitespace().filter_map(|pid| pid.parse().ok()) {
            any = true;
            let _ = sys::kill(pid, libc::SIGKILL);
        }
        if !any || sys::reap(-1, true).is_none() {
            break;
        }
    }
}
