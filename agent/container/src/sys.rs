//! The system calls that no safe wrapper offers. Everything here is a thin shell over one call.

use std::ffi::{CString, c_char, c_int, c_ulong, c_void};
use std::io;
use std::mem::{self, MaybeUninit};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::time::{SystemTime, UNIX_EPOCH};

/// Which side of a clone returned.
pub(crate) enum Forked {
    Child,
    Parent { pid: i32, pidfd: Option<OwnedFd> },
}

/// `struct clone_args` up to `cgroup` (88 bytes, Linux 5.7).
#[repr(C)]
#[derive(Default)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

const CLONE_PIDFD: u64 = 0x1000;
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// `clone3` without a new stack: like `fork`, into new namespaces (`CLONE_NEW*`) and a version 2 cgroup.
///
/// # Safety
/// The process must have one thread only: the child has none of the others, and whatever they had
/// locked (the allocator) stays locked in it.
pub(crate) unsafe fn clone3(namespaces: u64, cgroup: Option<BorrowedFd<'_>>) -> io::Result<Forked> {
    let mut pidfd: RawFd = -1;
    let mut args = CloneArgs {
        flags: namespaces | CLONE_PIDFD,
        pidfd: (&raw mut pidfd) as u64,
        exit_signal: libc::SIGCHLD as u64,
        ..CloneArgs::default()
    };
    if let Some(cgroup) = cgroup {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = cgroup.as_raw_fd() as u64;
    }
    // SAFETY: `args` is a valid clone_args of the given size; without CLONE_VM and a stack this is a fork,
    // which the caller has made safe.
    let pid = unsafe { libc::syscall(libc::SYS_clone3, &raw mut args, mem::size_of::<CloneArgs>()) };
    let pid = match check_long(pid) {
        // Docker's filter denies clone3, as ours does, because it cannot look into its arguments.
        Err(error) if error.raw_os_error() == Some(libc::ENOSYS) && cgroup.is_none() => {
            let flags = namespaces | CLONE_PIDFD | libc::SIGCHLD as u64;
            // SAFETY: as above; the older call stores the pidfd where the parent's tid would go. The arguments after it
            // are not used without the flags that name them.
            check_long(unsafe { libc::syscall(libc::SYS_clone, flags, 0, &raw mut pidfd, 0, 0) })?
        }
        other => other?,
    };
    match pid {
        0 => Ok(Forked::Child),
        pid => {
            // SAFETY: the kernel stored a new descriptor that nobody else owns.
            let pidfd = (pidfd >= 0).then(|| unsafe { OwnedFd::from_raw_fd(pidfd) });
            Ok(Forked::Parent { pid: pid as i32, pidfd })
        }
    }
}

/// # Safety
/// As [`clone3`].
pub(crate) unsafe fn fork() -> io::Result<Forked> {
    // SAFETY: the caller promises a single thread.
    match check(unsafe { libc::fork() })? {
        0 => Ok(Forked::Child),
        pid => Ok(Forked::Parent { pid, pidfd: None }),
    }
}

pub(crate) fn exit_now(code: i32) -> ! {
    // SAFETY: ends the process without running destructors or exit handlers, which belong to the parent.
    unsafe { libc::_exit(code) }
}

#[repr(C)]
struct MountAttr {
    set: u64,
    clear: u64,
    propagation: u64,
    userns_fd: u64,
}

pub(crate) const MOUNT_RDONLY: u64 = 1;
pub(crate) const MOUNT_NOSUID: u64 = 2;
pub(crate) const MOUNT_NODEV: u64 = 4;
pub(crate) const MOUNT_NOEXEC: u64 = 8;

/// Sets mount flags on the mount that `fd` refers to, on all below it too with `recursive`.
pub(crate) fn mount_set(fd: BorrowedFd<'_>, flags: u64, recursive: bool) -> io::Result<()> {
    mount_change(fd, flags, 0, recursive)
}

/// Takes mount flags back from one mount.
pub(crate) fn mount_clear(fd: BorrowedFd<'_>, flags: u64) -> io::Result<()> {
    mount_change(fd, 0, flags, false)
}

fn mount_change(fd: BorrowedFd<'_>, set: u64, clear: u64, recursive: bool) -> io::Result<()> {
    let attr = MountAttr { set, clear, propagation: 0, userns_fd: 0 };
    let at = libc::AT_EMPTY_PATH | if recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: the path is a C string and `attr` a valid struct of the given size.
    check_long(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            fd.as_raw_fd(),
            c"".as_ptr(),
            at,
            &raw const attr,
            mem::size_of::<MountAttr>(),
        )
    })
    .map(drop)
}

/// The effective and permitted capabilities of this thread; none are inheritable, so that a file's inheritable
/// capabilities give a user of the container nothing (CVE-2022-24769).
pub(crate) fn set_capabilities(set: u64) -> io::Result<()> {
    #[repr(C)]
    struct Header {
        version: u32,
        pid: c_int,
    }
    #[repr(C)]
    #[derive(Clone, Copy)]
    struct Data {
        effective: u32,
        permitted: u32,
        inheritable: u32,
    }
    const VERSION_3: u32 = 0x2008_0522;
    let header = Header { version: VERSION_3, pid: 0 };
    let half = |bits: u32| Data { effective: bits, permitted: bits, inheritable: 0 };
    let data = [half(set as u32), half((set >> 32) as u32)];
    // SAFETY: version 3 takes one header and two data structs, which are these.
    check_long(unsafe { libc::syscall(libc::SYS_capset, &raw const header, data.as_ptr()) }).map(drop)
}

/// The permitted capabilities of this thread.
pub(crate) fn permitted_capabilities() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("CapPrm:"));
    line.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()).unwrap_or(0)
}

pub(crate) fn prctl(option: c_int, value: u64) -> io::Result<i32> {
    // SAFETY: only options whose arguments are numbers are used in this crate.
    check(unsafe { libc::prctl(option, value as c_ulong, 0 as c_ulong, 0 as c_ulong, 0 as c_ulong) })
}

/// The name that `ps` shows (15 bytes are kept).
pub(crate) fn set_process_name(name: &str) {
    let Ok(name) = CString::new(name) else { return };
    // SAFETY: the kernel reads at most 16 bytes of a C string that outlives the call.
    unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr()) };
}

/// One instruction of a seccomp filter.
pub(crate) type BpfInstruction = libc::sock_filter;

/// Installs a seccomp filter for this thread and its children, for ever.
pub(crate) fn install_seccomp(program: &[BpfInstruction]) -> io::Result<()> {
    let len = u16::try_from(program.len()).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))?;
    let fprog = libc::sock_fprog { len, filter: program.as_ptr().cast_mut() };
    // SAFETY: `fprog` points to `len` instructions; the kernel copies and checks them.
    check_long(unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &raw const fprog) })
        .map(drop)
}

/// User and groups of this single-threaded process: raw calls, as glibc's would signal other threads.
pub(crate) fn set_groups(groups: &[u32]) -> io::Result<()> {
    // SAFETY: the pointer and length describe `groups`.
    check_long(unsafe { libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr()) }).map(drop)
}

pub(crate) fn set_gid(gid: u32) -> io::Result<()> {
    // SAFETY: takes three numbers.
    check_long(unsafe { libc::syscall(libc::SYS_setresgid, gid, gid, gid) }).map(drop)
}

pub(crate) fn set_uid(uid: u32) -> io::Result<()> {
    // SAFETY: takes three numbers.
    check_long(unsafe { libc::syscall(libc::SYS_setresuid, uid, uid, uid) }).map(drop)
}

/// Signals to their default action (the Rust runtime ignores SIGPIPE) and none blocked.
pub(crate) fn reset_signals() {
    for signal in 1..=64 {
        // SAFETY: SIG_DFL needs no handler; KILL, STOP and libc's own numbers are refused, which is fine.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    unblock_all_signals();
}

pub(crate) fn ignore_children() {
    // SAFETY: SIG_IGN needs no handler. Ended children are then reaped by the kernel.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
}

/// Takes [`ignore_children`] back.
pub(crate) fn heed_children() {
    // SAFETY: SIG_DFL needs no handler.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_DFL) };
}

/// Takes [`block_all_signals`] back.
pub(crate) fn unblock_all_signals() {
    // SAFETY: an initialised empty set is installed as the mask.
    unsafe {
        let mut set = MaybeUninit::<libc::sigset_t>::uninit();
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigprocmask(libc::SIG_SETMASK, set.as_ptr(), std::ptr::null_mut());
    }
}

pub(crate) fn block_all_signals() {
    // SAFETY: an initialised full set is installed as the mask.
    unsafe {
        let mut set = MaybeUninit::<libc::sigset_t>::uninit();
        libc::sigfillset(set.as_mut_ptr());
        libc::sigprocmask(libc::SIG_SETMASK, set.as_ptr(), std::ptr::null_mut());
    }
}

/// Waits for any (blocked) signal and returns its number.
pub(crate) fn next_signal() -> i32 {
    // SAFETY: an initialised full set is given; no information is asked for.
    unsafe {
        let mut set = MaybeUninit::<libc::sigset_t>::uninit();
        libc::sigfillset(set.as_mut_ptr());
        libc::sigwaitinfo(set.as_ptr(), std::ptr::null_mut())
    }
}

pub(crate) fn kill(pid: i32, signal: i32) -> io::Result<()> {
    // SAFETY: takes two numbers.
    check(unsafe { libc::kill(pid, signal) }).map(drop)
}

pub(crate) fn pidfd_signal(pidfd: BorrowedFd<'_>, signal: i32) -> io::Result<()> {
    // SAFETY: a descriptor, a number, no siginfo, no flags.
    check_long(unsafe {
        libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), signal, std::ptr::null::<c_void>(), 0)
    })
    .map(drop)
}

/// An ended child.
pub(crate) struct Reaped {
    pub(crate) pid: i32,
    /// Raw wait status.
    pub(crate) status: i32,
    /// Largest resident set of it and its reaped children.
    pub(crate) max_rss_bytes: u64,
    pub(crate) cpu_usec: u64,
}

/// Reaps a child (-1: any). `None`: none has ended (with `block` false) or there is none at all.
pub(crate) fn reap(pid: i32, block: bool) -> Option<Reaped> {
    loop {
        let mut status = 0;
        let mut usage = MaybeUninit::<libc::rusage>::zeroed();
        let flags = if block { 0 } else { libc::WNOHANG };
        // SAFETY: both pointers are valid for writing; a zeroed rusage is a valid one.
        let (got, usage) = unsafe {
            let got = libc::wait4(pid, &raw mut status, flags, usage.as_mut_ptr());
            (got, usage.assume_init())
        };
        if got > 0 {
            let usec = |t: libc::timeval| t.tv_sec as u64 * 1_000_000 + t.tv_usec as u64;
            return Some(Reaped {
                pid: got,
                status,
                max_rss_bytes: usage.ru_maxrss as u64 * 1024,
                cpu_usec: usec(usage.ru_utime) + usec(usage.ru_stime),
            });
        }
        if got == 0 || io::Error::last_os_error().raw_os_error() != Some(libc::EINTR) {
            return None;
        }
    }
}

/// `(code, signal)` of a raw wait status.
pub(crate) fn decode_status(status: i32) -> (Option<i32>, Option<i32>) {
    match status & 0x7f {
        0 => (Some((status >> 8) & 0xff), None),
        signal => (None, Some(signal)),
    }
}

/// Marks all descriptors from `first` on to be closed by `execve`.
pub(crate) fn close_on_exec_from(first: u32) -> io::Result<()> {
    const CLOSE_RANGE_CLOEXEC: u32 = 4;
    // SAFETY: only changes flags of descriptors.
    check_long(unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, CLOSE_RANGE_CLOEXEC) }).map(drop)
}

/// Closes all descriptors from `first` on, except `keep`.
///
/// # Safety
/// No live `OwnedFd` among them may be used or dropped afterwards: the process must leave by [`exit_now`].
pub(crate) unsafe fn close_from_except(first: u32, keep: u32) {
    // SAFETY: the caller answers for the descriptors; failure leaves them open, which is harmless.
    unsafe {
        if keep > first {
            libc::syscall(libc::SYS_close_range, first, keep - 1, 0);
        }
        libc::syscall(libc::SYS_close_range, keep.max(first.wrapping_sub(1)) + 1, u32::MAX, 0);
    }
}

/// Replaces descriptors 0, 1 and 2.
pub(crate) fn set_stdio(fds: [BorrowedFd<'_>; 3]) -> io::Result<()> {
    // Above 2 first: a source may itself be one of the targets.
    let mut high = [-1; 3];
    for (high, fd) in high.iter_mut().zip(fds) {
        // SAFETY: duplicates a descriptor that is open.
        *high = check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, 3) })?;
    }
    for (target, fd) in high.into_iter().enumerate() {
        // SAFETY: `fd` was made above; 0 to 2 are owned by no Rust value.
        check(unsafe { libc::dup2(fd, target as i32) })?;
        // SAFETY: closes what was made above.
        unsafe { libc::close(fd) };
    }
    Ok(())
}

/// `execve`; returns only the error.
pub(crate) fn execve(path: &CString, argv: &[CString], env: &[CString]) -> io::Error {
    let pointers =
        |list: &[CString]| list.iter().map(|s| s.as_ptr()).chain([std::ptr::null::<c_char>()]).collect::<Vec<_>>();
    let (argv, env) = (pointers(argv), pointers(env));
    // SAFETY: two null-terminated arrays of C strings that outlive the call.
    unsafe { libc::execve(path.as_ptr(), argv.as_ptr(), env.as_ptr()) };
    io::Error::last_os_error()
}

/// Joins namespaces of the process behind `pidfd`.
pub(crate) fn join_namespaces(pidfd: BorrowedFd<'_>, flags: u64) -> io::Result<()> {
    // SAFETY: takes a descriptor and a number.
    check(unsafe { libc::setns(pidfd.as_raw_fd(), flags as c_int) }).map(drop)
}

/// The other side of a pseudo terminal's master, opened without a path.
pub(crate) fn terminal_peer(master: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let unlock: c_int = 0;
    // SAFETY: TIOCSPTLCK reads one int.
    check(unsafe { libc::ioctl(master.as_raw_fd(), libc::TIOCSPTLCK, &raw const unlock) })?;
    let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;
    // SAFETY: TIOCGPTPEER takes open flags and returns a new descriptor.
    let fd = check(unsafe { libc::ioctl(master.as_raw_fd(), libc::TIOCGPTPEER, flags) })?;
    // SAFETY: new and owned by nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Makes the terminal the controlling one of this session.
pub(crate) fn take_terminal(slave: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: takes a number.
    check(unsafe { libc::ioctl(slave.as_raw_fd(), libc::TIOCSCTTY, 0) }).map(drop)
}

pub(crate) fn set_terminal_size(fd: BorrowedFd<'_>, columns: u16, rows: u16) -> io::Result<()> {
    let size = libc::winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: TIOCSWINSZ reads one winsize.
    check(unsafe { libc::ioctl(fd.as_raw_fd(), libc::TIOCSWINSZ, &raw const size) }).map(drop)
}

/// Sets a resource limit, no higher than the hard limit of this process when raising it is refused.
pub(crate) fn set_rlimit(resource: libc::__rlimit_resource_t, soft: u64, hard: u64) -> io::Result<()> {
    let wanted = libc::rlimit { rlim_cur: soft.min(hard), rlim_max: hard };
    // SAFETY: reads one rlimit.
    if unsafe { libc::setrlimit(resource, &raw const wanted) } == 0 {
        return Ok(());
    }
    let mut now = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: writes one rlimit.
    check(unsafe { libc::getrlimit(resource, &raw mut now) })?;
    let clamped = libc::rlimit { rlim_cur: soft.min(hard).min(now.rlim_max), rlim_max: hard.min(now.rlim_max) };
    // SAFETY: reads one rlimit.
    check(unsafe { libc::setrlimit(resource, &raw const clamped) }).map(drop)
}

pub(crate) fn unix_nanos() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

fn check(result: c_int) -> io::Result<c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

fn check_long(result: libc::c_long) -> io::Result<libc::c_long> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
