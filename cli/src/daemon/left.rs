//! What a cluster may leave on a machine: looked for, so that `down --purge` can prove that nothing is.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::mount::{UnmountFlags, unmount};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

/// Most things of one sort that are listed.
const LISTED_MAX: usize = 10;

/// Each sort of thing, and what is left of it.
pub(crate) fn look(data_dir: &Path, run_dir: &Path, cgroup: &str) -> [(&'static str, Vec<String>); 4] {
    let folders = [data_dir, run_dir];
    let files = folders.iter().filter(|f| f.exists()).map(|f| f.display().to_string()).collect();
    let mounts = mounts_below(&folders).iter().map(|m| m.display().to_string()).collect();
    [("processes", named(processes(&folders))), ("mounts", mounts), ("cgroups", cgroups(cgroup)), ("files", files)].map(
        |(what, mut all): (_, Vec<String>)| {
            all.truncate(LISTED_MAX);
            (what, all)
        },
    )
}

/// Waits until the processes of these directories have ended, for so long at most. A launcher ends by itself when it
/// sees that its agent is gone, which may be a moment later.
pub(crate) fn await_processes(folders: &[&Path], limit: Duration) {
    let deadline = Instant::now() + limit;
    while let Some((pid, _)) = processes(folders).first() {
        let Some(handle) = Pid::from_raw(*pid).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok()) else {
            continue;
        };
        let left = deadline.saturating_duration_since(Instant::now());
        let wait = Timespec { tv_sec: left.as_secs().cast_signed(), tv_nsec: left.subsec_nanos().into() };
        if poll(&mut [PollFd::new(&handle, PollFlags::IN)], Some(&wait)).is_ok_and(|ready| ready == 0) {
            return;
        }
    }
}

fn named(processes: Vec<(i32, String)>) -> Vec<String> {
    processes.into_iter().map(|(_, name)| name).collect()
}

/// Takes off every mount in these directories, the deepest first.
pub(crate) fn unmount_below(folders: &[&Path]) {
    for mount in mounts_below(folders) {
        // What stays is found and told by `look`.
        let _ = unmount(&mount, UnmountFlags::DETACH);
    }
}

fn mounts_below(folders: &[&Path]) -> Vec<PathBuf> {
    let text = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let mut mounts = mounts_in(&text, folders);
    mounts.reverse();
    mounts
}

/// The fifth field of each line is where it is mounted, with octal escapes.
fn mounts_in(mountinfo: &str, folders: &[&Path]) -> Vec<PathBuf> {
    let points = mountinfo.lines().filter_map(|line| line.split(' ').nth(4)).map(|p| PathBuf::from(unescape(p)));
    points.filter(|p| folders.iter().any(|f| p.starts_with(f))).collect()
}

fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let code = rest.get(at + 1..at + 4).and_then(|c| u8::from_str_radix(c, 8).ok());
        match code {
            Some(code) => out.push(char::from(code)),
            None => out.push('\\'),
        }
        rest = rest.get(at + if code.is_some() { 4 } else { 1 }..).unwrap_or_default();
    }
    out + rest
}

/// Processes that were started for these directories: launchers by their command lines, tasks by the sandbox that
/// their environment names.
fn processes(folders: &[&Path]) -> Vec<(i32, String)> {
    let own = std::process::id().to_string();
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries
        .filter_map(|e| e.file_name().into_string().ok())
        .filter(|n| n.bytes().all(|b| b.is_ascii_digit()) && *n != own);
    pids.filter_map(|pid| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let words: Vec<String> = line.split(|b| *b == 0).map(|w| String::from_utf8_lossy(w).into_owned()).collect();
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        let in_sandbox = environment.split(|b| *b == 0).any(|variable| {
            let value = variable.iter().position(|b| *b == b'=').map(|at| &variable[at + 1..]).unwrap_or_default();
            variable.starts_with(b"MESOS_")
                && folders.iter().any(|f| Path::new(OsStr::from_bytes(value)).starts_with(f))
        });
        let shim = words.iter().any(|w| w == "__shim");
        let ours = words.iter().any(|w| folders.iter().any(|f| Path::new(w).starts_with(f)));
        let number = pid.parse().ok()?;
        (shim && ours || in_sandbox).then(|| (number, format!("{pid} ({})", words.join(" ").trim())))
    })
    .collect()
}

/// Control groups of that name, two levels deep in every hierarchy: they are made below our own group.
fn cgroups(name: &str) -> Vec<String> {
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let mut found = Vec::new();
    let root = Path::new("/sys/fs/cgroup");
    let mut hierarchies = vec![root.to_owned()];
    hierarchies.extend(fs::read_dir(root).into_iter().flatten().flatten().map(|e| e.path()).filter(|p| p.is_dir()));
    for hierarchy in hierarchies {
        let below =
            own.lines().filter_map(|line| line.splitn(3, ':').nth(2)).map(|group| group.trim_start_matches('/'));
        for group in below.chain([""]) {
            let path = hierarchy.join(group).join(name);
            if path.is_dir() && !found.contains(&path) {
                found.push(path);
            }
        }
    }
    found.iter().map(|p| p.display().to_string()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_are_found_by_their_path_and_not_by_its_beginning() {
        let text = "22 1 0:5 / /var/lib/berth/a\\040b rw - tmpfs t rw\n23 1 0:6 / /var/lib/berth2 rw - tmpfs t rw\n24 1 0:7 / / rw - ext4 d rw\n";
        assert_eq!(mounts_in(text, &[Path::new("/var/lib/berth")]), [PathBuf::from("/var/lib/berth/a b")]);
        assert_eq!(unescape("a\\134b\\x"), "a\\b\\x");
    }

    #[test]
    fn a_place_that_was_never_used_has_nothing_left() {
        let nowhere = Path::new("/nonexistent/berth-test");
        for (what, left) in look(nowhere, nowhere, "berth-test-never") {
            assert_eq!(left, Vec::<String>::new(), "{what}");
        }
    }
}
