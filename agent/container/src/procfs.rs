//! The few facts read from `/proc`.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use rustix::process::{Pid, PidfdFlags};

use crate::record::Stats;

/// When a process started, in clock ticks since boot: with the pid it names one process for ever.
pub(crate) fn start_time(pid: i32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the program's name in parentheses and may hold anything; 22 is the start time.
    stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(19)?.parse().ok()
}

/// A descriptor of the process with this pid and start time; `None` when it has ended and was reaped.
pub(crate) fn open_process(pid: i32, started: u64) -> io::Result<Option<OwnedFd>> {
    let Some(pid) = Pid::from_raw(pid) else { return Ok(None) };
    let pidfd = match rustix::process::pidfd_open(pid, PidfdFlags::empty()) {
        Err(rustix::io::Errno::SRCH) => return Ok(None),
        other => other?,
    };
    // Looked at after it was opened: the number cannot have been given to another since.
    Ok((start_time(pid.as_raw_nonzero().get()) == Some(started)).then_some(pidfd))
}

/// Differs after every boot.
pub(crate) fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

/// One line of `/proc/self/mountinfo`.
pub(crate) struct MountInfo {
    /// Which directory of the file system is the root of this mount.
    pub(crate) root: PathBuf,
    pub(crate) point: PathBuf,
    pub(crate) fs_type: String,
    pub(crate) super_options: String,
}

pub(crate) fn mounts() -> io::Result<Vec<MountInfo>> {
    Ok(fs::read_to_string("/proc/self/mountinfo")?.lines().filter_map(parse_mount).collect())
}

fn parse_mount(line: &str) -> Option<MountInfo> {
    let (left, right) = line.split_once(" - ")?;
    let mut left = left.split(' ').skip(3);
    let mut right = right.split(' ');
    Some(MountInfo {
        root: unescape(left.next()?),
        point: unescape(left.next()?),
        fs_type: right.next()?.to_owned(),
        super_options: right.nth(1)?.to_owned(),
    })
}

/// The kernel writes blanks and backslashes as `\040`.
fn unescape(text: &str) -> PathBuf {
    use std::os::unix::ffi::OsStringExt;
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        match (*first, tail) {
            (b'\\', [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', after @ ..]) => {
                bytes.push((a - b'0') * 64 + (b - b'0') * 8 + (c - b'0'));
                rest = after;
            }
            (byte, _) => bytes.push(byte),
        }
    }
    std::ffi::OsString::from_vec(bytes).into()
}

/// Our own cgroups: `(controllers, path)`, with empty controllers for version 2.
pub(crate) fn own_cgroups() -> Vec<(String, String)> {
    let text = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    text.lines()
        .filter_map(|line| {
            let mut parts = line.splitn(3, ':').skip(1);
            Some((parts.next()?.to_owned(), parts.next()?.to_owned()))
        })
        .collect()
}

/// The processes of a session, by its leader: for containers without a namespace or a cgroup.
pub(crate) fn session(leader: i32) -> Vec<i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|e| e.file_name().to_str()?.parse::<i32>().ok());
    let in_session = |pid: &i32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // Field 6, the fourth after the name.
        let session: i32 = stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(3)?.parse().ok()?;
        (session == leader).then_some(())
    };
    pids.filter(|pid| in_session(pid).is_some()).collect()
}

/// `sysconf(_SC_CLK_TCK)`: the kernel tells user space 100 on every architecture we run on.
const TICKS_PER_SECOND: u64 = 100;
/// The smallest page; only used for estimates.
const PAGE_BYTES: u64 = 4_096;

/// What one process uses, where there are no cgroups.
pub(crate) fn process_stats(pid: i32, started: u64) -> Stats {
    let read = || {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let fields: Vec<u64> =
            stat.rsplit_once(')')?.1.split_ascii_whitespace().map(|f| f.parse().unwrap_or(0)).collect();
        let (user, system, threads, start, pages) =
            (fields.get(11)?, fields.get(12)?, fields.get(17)?, fields.get(19)?, fields.get(21)?);
        let tick_usec = 1_000_000 / TICKS_PER_SECOND;
        (*start == started).then(|| Stats {
            cpu_usec: (user + system) * tick_usec,
            memory_bytes: pages * PAGE_BYTES,
            memory_working_set_bytes: pages * PAGE_BYTES,
            pids: *threads,
            ..Stats::default()
        })
    };
    read().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_line_with_blanks_and_options_is_read() {
        let line = r"36 35 98:0 /mnt1 /a\040b rw,noatime shared:1 master:2 - cgroup none rw,cpu,cpuacct";
        let mount = parse_mount(line).unwrap();
        assert_eq!((mount.root, mount.point), ("/mnt1".into(), "/a b".into()));
        assert_eq!((mount.fs_type.as_str(), mount.super_options.as_str()), ("cgroup", "rw,cpu,cpuacct"));
    }

    #[test]
    fn a_process_is_known_by_its_start_time() {
        let pid = i32::try_from(std::process::id()).unwrap();
        let started = start_time(pid).unwrap();
        assert!(open_process(pid, started).unwrap().is_some());
        assert!(open_process(pid, started + 1).unwrap().is_none());
    }
}
