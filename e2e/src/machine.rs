//! What the machine itself shows of a cluster: processes, mounts, cgroups, files.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, Signal, kill_process};

/// Sends a signal; a process that is gone already is fine.
pub fn kill(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, signal);
    }
}

/// Whether the process executes (a zombie that waits for pid 1 does not).
pub fn alive(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .ok()
        .and_then(|stat| stat.rsplit_once(')').map(|(_, rest)| !rest.trim_start().starts_with(['Z', 'X'])))
        .unwrap_or(false)
}

/// Processes whose environment carries this `NAME=value`.
pub(crate) fn pids_with_environ(entry: &str) -> Vec<u32> {
    processes()
        .filter(|pid| {
            fs::read(format!("/proc/{pid}/environ"))
                .is_ok_and(|environ| environ.split(|byte| *byte == 0).any(|line| line == entry.as_bytes()))
        })
        .filter(|pid| alive(*pid))
        .collect()
}

fn processes() -> impl Iterator<Item = u32> {
    fs::read_dir("/proc").into_iter().flatten().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

/// What is left of a cluster on the machine, by a text that all its parts carry (its directory's name).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leftovers {
    /// Processes that name it on their command line.
    pub processes: Vec<String>,
    /// Mounts of the host that name it.
    pub mounts: Vec<String>,
    /// cgroups that name it.
    pub cgroups: Vec<PathBuf>,
    /// Files and directories.
    pub files: Vec<PathBuf>,
}

impl Leftovers {
    /// Looks for all that carries `mark`, and for control groups of that name; `files` are places that must not exist.
    pub fn of(mark: &str, cgroup: &str, files: &[&Path]) -> Self {
        let me = std::process::id();
        let processes = processes()
            .filter(|pid| *pid != me && alive(*pid))
            .filter_map(|pid| {
                let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
                let line = String::from_utf8_lossy(&line).replace('\0', " ");
                line.contains(mark).then(|| format!("{pid}: {line}"))
            })
            .collect();
        let mounts = fs::read_to_string("/proc/self/mountinfo")
            .unwrap_or_default()
            .lines()
            .filter(|line| line.contains(mark))
            .map(str::to_owned)
            .collect();
        let mut cgroups = vec![];
        find_directories(Path::new("/sys/fs/cgroup"), cgroup, 6, &mut cgroups);
        let files = files.iter().filter(|path| path.exists()).map(|path| path.to_path_buf()).collect();
        Self { processes, mounts, cgroups, files }
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

fn find_directories(top: &Path, mark: &str, depth: usize, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(top) else { return };
    for entry in entries.flatten().filter(|entry| entry.file_type().is_ok_and(|t| t.is_dir())) {
        if entry.file_name().to_string_lossy().contains(mark) {
            found.push(entry.path());
        } else if depth > 0 {
            find_directories(&entry.path(), mark, depth - 1, found);
        }
    }
}
