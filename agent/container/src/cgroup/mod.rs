//! Cgroups of a container: made with their limits before the process exists, and removed after it.
//!
//! Three worlds: version 2 alone, version 1 alone, and hybrid, where version 1 holds the controllers and a
//! version 2 tree without any stands beside it. A version 2 group is always made where there is such a tree:
//! it kills and counts whole trees of processes, whoever holds the limits.

mod layout;

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::{Mode, OFlags};
use serde::{Deserialize, Serialize};

pub(crate) use layout::Layout;

use crate::record::{LaunchFailure, Stats};
use crate::spec::Limits;

/// The kernel's default period of processor quotas.
const CPU_PERIOD_USEC: u64 = 100_000;
/// The kernel refuses a quota below a millisecond.
const CPU_QUOTA_MIN_USEC: u64 = 1_000;
/// How long killed processes may take to vanish: a process in a system call to a slow disk lives on.
const KILL_TIMEOUT: Duration = Duration::from_secs(10);

/// The groups of one container, as recorded in its state: a new agent must not guess them again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Groups {
    /// In the version 2 tree.
    pub(crate) v2: Option<PathBuf>,
    /// Whether the limits are there.
    pub(crate) v2_limits: bool,
    pub(crate) v1: Vec<V1Group>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct V1Group {
    pub(crate) controller: String,
    pub(crate) path: PathBuf,
}

/// Where a new process enters: descriptors opened before, as the container cannot see the files.
#[derive(Debug, Default)]
pub(crate) struct Entry {
    pub(crate) v2: Option<OwnedFd>,
    v1: Vec<File>,
}

impl Entry {
    /// Moves the calling thread into the version 1 groups. It must be the only one of its process.
    ///
    /// Written as "0" to `tasks`: a thread that moves itself needs not the lock that stops all forks, so
    /// this costs microseconds where a write to `cgroup.procs` waits for the whole machine.
    pub(crate) fn enter(&self) -> io::Result<()> {
        use io::Write;
        self.v1.iter().try_for_each(|mut file| file.write_all(b"0"))
    }
}

impl Groups {
    /// Makes the groups of container `id` and writes its limits.
    pub(crate) fn create(layout: &Layout, id: &str, limits: &Limits) -> Result<Self, LaunchFailure> {
        let mut groups = Self::default();
        match groups.make(layout, id, limits) {
            Ok(()) => Ok(groups),
            Err(failure) => {
                groups.remove();
                Err(failure)
            }
        }
    }

    fn make(&mut self, layout: &Layout, id: &str, limits: &Limits) -> Result<(), LaunchFailure> {
        if let Some(parent) = &layout.v2_parent {
            let path = parent.join(id);
            make_dir(&path, "cgroup")?;
            self.v2 = Some(path.clone());
            self.v2_limits = layout.v2_limits;
            if layout.v2_limits {
                write_all(&path, "cgroup", &v2_settings(limits, layout))?;
            }
        }
        for (controller, parent) in &layout.v1_parents {
            let needed = match controller.as_str() {
                "memory" => true,
                "cpu" => limits.cpu_milli_limit.is_some() || limits.cpu_milli_request.is_some(),
                "pids" => limits.pids_limit.is_some(),
                // Only to stop the processes while they are killed; version 2 does that better.
                "freezer" => layout.v2_parent.is_none(),
                // Only for the time used, which a version 2 group tells as well.
                "cpuacct" => layout.v2_parent.is_none(),
                _ => false,
            };
            if !needed {
                continue;
            }
            let path = parent.join(id);
            // "cpu" and "cpuacct" may be one hierarchy.
            if !self.v1.iter().any(|made| made.path == path) {
                make_dir(&path, controller)?;
            }
            self.v1.push(V1Group { controller: controller.clone(), path: path.clone() });
            write_all(&path, controller, &v1_settings(controller, limits, &path))?;
        }
        Ok(())
    }

    /// Those of `id` that exist, when nothing was noted of them.
    pub(crate) fn found(layout: &Layout, id: &str) -> Self {
        let exists = |path: &PathBuf| path.is_dir();
        let v1 = layout.v1_parents.iter().map(|(controller, parent)| (controller, parent.join(id)));
        Self {
            v2: layout.v2_parent.as_ref().map(|parent| parent.join(id)).filter(exists),
            v2_limits: layout.v2_limits,
            v1: v1
                .filter(|(_, path)| exists(path))
                .map(|(controller, path)| V1Group { controller: controller.clone(), path })
                .collect(),
        }
    }

    /// Opens what a process needs to enter.
    pub(crate) fn entry(&self) -> Result<Entry, LaunchFailure> {
        let mut entry = Entry::default();
        if let Some(path) = &self.v2 {
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let opened = rustix::fs::open(path, flags, Mode::empty());
            entry.v2 = Some(opened.map_err(|e| failed("open the cgroup", path, e.into()))?);
        }
        let mut paths: Vec<_> = self.v1.iter().map(|g| g.path.join("tasks")).collect();
        paths.dedup();
        for path in paths {
            let opened = OpenOptions::new().write(true).open(&path);
            entry.v1.push(opened.map_err(|e| failed("open the cgroup", &path, e))?);
        }
        Ok(entry)
    }

    fn v1_path(&self, controller: &str) -> Option<&Path> {
        self.v1.iter().find(|g| g.controller == controller).map(|g| g.path.as_path())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.v2.is_none() && self.v1.is_empty()
    }

    /// Sends SIGKILL to all processes in the groups; new ones cannot escape.
    pub(crate) fn kill(&self) {
        if let Some(path) = &self.v2 {
            if fs::write(path.join("cgroup.kill"), "1").is_ok() {
                return;
            }
            // Before Linux 5.14: hold them still, then one by one.
            let _ = fs::write(path.join("cgroup.freeze"), "1");
            kill_listed(path);
            let _ = fs::write(path.join("cgroup.freeze"), "0");
            return;
        }
        if let Some(path) = self.v1_path("freezer") {
            let _ = fs::write(path.join("freezer.state"), "FROZEN");
            kill_listed(path);
            let _ = fs::write(path.join("freezer.state"), "THAWED");
            return;
        }
        self.v1.iter().for_each(|group| kill_listed(&group.path));
    }

    /// Kills what is inside and removes the groups. `false`: something is still there.
    pub(crate) fn kill_and_remove(&self) -> bool {
        let deadline = Instant::now() + KILL_TIMEOUT;
        loop {
            if self.remove() {
                return true;
            }
            self.kill();
            if Instant::now() >= deadline {
                return false;
            }
            match &self.v2 {
                Some(path) if wait_until_empty(path, deadline) => {}
                // Version 1 tells nobody when a group becomes empty, and keeps it busy until its processes
                // are reaped: look again.
                _ => {}
            }
            if !self.remove() {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    }

    /// Removes the groups if they are empty. May be called again.
    pub(crate) fn remove(&self) -> bool {
        let paths = self.v2.iter().chain(self.v1.iter().map(|g| &g.path));
        // All, even after one failed: counting does not stop early.
        paths.filter(|path| !remove_group(path)).count() == 0
    }

    /// Processes that the kernel killed for memory.
    pub(crate) fn oom_kills(&self) -> u64 {
        let (path, file) = match (self.v1_path("memory"), &self.v2) {
            (Some(path), _) => (path, "memory.oom_control"),
            (None, Some(path)) if self.v2_limits => (path.as_path(), "memory.events"),
            _ => return 0,
        };
        keyed(path, file, "oom_kill").unwrap_or(0)
    }

    pub(crate) fn memory_peak(&self) -> Option<u64> {
        match (self.v1_path("memory"), &self.v2) {
            (Some(path), _) => number(path, "memory.max_usage_in_bytes"),
            (None, Some(path)) if self.v2_limits => number(path, "memory.peak"),
            _ => None,
        }
    }

    pub(crate) fn cpu_usec(&self) -> Option<u64> {
        match (&self.v2, self.v1_path("cpuacct")) {
            (Some(path), _) => keyed(path, "cpu.stat", "usage_usec"),
            (None, Some(path)) => number(path, "cpuacct.usage").map(|nanos| nanos / 1_000),
            (None, None) => None,
        }
    }

    pub(crate) fn stats(&self) -> Stats {
        let mut stats =
            Stats { cpu_usec: self.cpu_usec().unwrap_or(0), oom_kills: self.oom_kills(), ..Stats::default() };
        if let Some(path) = self.v1_path("cpu") {
            stats.cpu_throttled_usec = keyed(path, "cpu.stat", "throttled_time").unwrap_or(0) / 1_000;
        } else if let Some(path) = &self.v2 {
            stats.cpu_throttled_usec = keyed(path, "cpu.stat", "throttled_usec").unwrap_or(0);
        }
        if let Some(path) = self.v1_path("memory") {
            stats.memory_bytes = number(path, "memory.usage_in_bytes").unwrap_or(0);
            let idle = keyed(path, "memory.stat", "total_inactive_file").unwrap_or(0);
            stats.memory_working_set_bytes = stats.memory_bytes.saturating_sub(idle);
            // "No limit" is the largest multiple of a page.
            stats.memory_limit_bytes = number(path, "memory.limit_in_bytes").filter(|limit| *limit < 1 << 62);
        } else if let Some(path) = self.v2.as_ref().filter(|_| self.v2_limits) {
            stats.memory_bytes = number(path, "memory.current").unwrap_or(0);
            let idle = keyed(path, "memory.stat", "inactive_file").unwrap_or(0);
            stats.memory_working_set_bytes = stats.memory_bytes.saturating_sub(idle);
            stats.memory_limit_bytes = number(path, "memory.max");
        }
        stats.pids = match self.v1_path("pids").or(self.v2.as_deref()) {
            Some(path) => number(path, "pids.current").unwrap_or_else(|| listed(path, "cgroup.threads").len() as u64),
            None => 0,
        };
        stats
    }
}

fn v2_settings(limits: &Limits, layout: &Layout) -> Vec<(&'static str, String)> {
    let mut settings = Vec::new();
    let has = |controller: &str| layout.controllers.iter().any(|c| c == controller);
    if has("cpu") {
        if let Some(milli) = limits.cpu_milli_request {
            // The mapping of shares (2..262144) to weights (1..10000) that systemd and runc use.
            settings.push(("cpu.weight", (1 + (cpu_shares(milli) - 2) * 9_999 / 262_142).to_string()));
        }
        if let Some(milli) = limits.cpu_milli_limit {
            settings.push(("cpu.max", format!("{} {CPU_PERIOD_USEC}", cpu_quota(milli))));
        }
    }
    if has("memory") {
        if let Some(bytes) = limits.memory_limit_bytes {
            settings.push(("memory.max", bytes.to_string()));
            settings.push(("?memory.swap.max", "0".to_owned()));
        }
        if let Some(bytes) = limits.memory_request_bytes {
            settings.push(("?memory.low", bytes.to_string()));
        }
    }
    if let Some(max) = limits.pids_limit.filter(|_| has("pids")) {
        settings.push(("pids.max", max.to_string()));
    }
    settings
}

fn v1_settings(controller: &str, limits: &Limits, path: &Path) -> Vec<(&'static str, String)> {
    let mut settings = Vec::new();
    match controller {
        "cpu" => {
            if let Some(milli) = limits.cpu_milli_request {
                settings.push(("cpu.shares", cpu_shares(milli).to_string()));
            }
            if let Some(milli) = limits.cpu_milli_limit {
                settings.push(("cpu.cfs_period_us", CPU_PERIOD_USEC.to_string()));
                settings.push(("cpu.cfs_quota_us", cpu_quota(milli).to_string()));
            }
        }
        "memory" => {
            if let Some(bytes) = limits.memory_limit_bytes {
                settings.push(("memory.limit_in_bytes", bytes.to_string()));
                if path.join("memory.memsw.limit_in_bytes").exists() {
                    settings.push(("memory.memsw.limit_in_bytes", bytes.to_string()));
                }
            }
            if let Some(bytes) = limits.memory_request_bytes {
                settings.push(("?memory.soft_limit_in_bytes", bytes.to_string()));
            }
        }
        "pids" => {
            if let Some(max) = limits.pids_limit {
                settings.push(("pids.max", max.to_string()));
            }
        }
        _ => {}
    }
    settings
}

/// 1024 shares a core, as Mesos and Docker have it, within what the kernel takes.
fn cpu_shares(milli: u64) -> u64 {
    (milli.saturating_mul(1_024) / 1_000).clamp(2, 262_144)
}

fn cpu_quota(milli: u64) -> u64 {
    (milli.saturating_mul(CPU_PERIOD_USEC) / 1_000).max(CPU_QUOTA_MIN_USEC)
}

/// Writes the settings; a name that begins with `?` may fail (an older kernel has no such file).
fn write_all(group: &Path, controller: &str, settings: &[(&str, String)]) -> Result<(), LaunchFailure> {
    for (file, value) in settings {
        let optional = file.starts_with('?');
        let path = group.join(file.trim_start_matches('?'));
        match fs::write(&path, value) {
            Err(error) if !optional => {
                return Err(failed(&format!("set the {controller} limit to {value}"), &path, error));
            }
            _ => {}
        }
    }
    Ok(())
}

fn make_dir(path: &Path, controller: &str) -> Result<(), LaunchFailure> {
    match fs::create_dir(path) {
        // Left by a container of that name whose records are gone.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && remove_group(path) => fs::create_dir(path),
        other => other,
    }
    .map_err(|error| failed(&format!("make the {controller} group"), path, error))
}

fn remove_group(path: &Path) -> bool {
    match fs::remove_dir(path) {
        Ok(()) => true,
        Err(error) if error.kind() == io::ErrorKind::NotFound => true,
        // A task with the right to make cgroups may have made children.
        Err(_) => {
            let children = fs::read_dir(path).into_iter().flatten().flatten();
            for child in children.filter(|c| c.file_type().is_ok_and(|t| t.is_dir())) {
                remove_group(&child.path());
            }
            fs::remove_dir(path).is_ok()
        }
    }
}

fn kill_listed(path: &Path) {
    for pid in listed(path, "cgroup.procs") {
        // Gone already is fine.
        let _ = crate::sys::kill(pid, libc::SIGKILL);
    }
}

fn listed(path: &Path, file: &str) -> Vec<i32> {
    let text = fs::read_to_string(path.join(file)).unwrap_or_default();
    text.lines().filter_map(|line| line.parse().ok()).filter(|pid| *pid > 0).collect()
}

/// Waits for `populated 0` of a version 2 group.
fn wait_until_empty(path: &Path, deadline: Instant) -> bool {
    let events = path.join("cgroup.events");
    let Ok(file) = File::open(&events) else { return true };
    loop {
        if keyed(path, "cgroup.events", "populated") != Some(1) {
            return true;
        }
        let left = deadline.saturating_duration_since(Instant::now());
        // A change may come between the look and the wait: never wait longer than this.
        let wait = left.min(Duration::from_millis(20));
        let wait = Timespec { tv_sec: 0, tv_nsec: wait.subsec_nanos().into() };
        let mut polled = [PollFd::from_borrowed_fd(file.as_fd(), PollFlags::PRI)];
        let _ = rustix::event::poll(&mut polled, Some(&wait));
        if left.is_zero() {
            return false;
        }
    }
}

fn number(path: &Path, file: &str) -> Option<u64> {
    fs::read_to_string(path.join(file)).ok()?.trim().parse().ok()
}

/// The number behind `key` in a file of `key number` lines.
fn keyed(path: &Path, file: &str, key: &str) -> Option<u64> {
    let text = fs::read_to_string(path.join(file)).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' '))?;
    line.trim().parse().ok()
}

pub(crate) fn failed(step: &str, path: &Path, error: io::Error) -> LaunchFailure {
    LaunchFailure::StartError {
        step: step.to_owned(),
        path: Some(path.to_owned()),
        errno: error.raw_os_error().unwrap_or(libc::EIO),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::CgroupLayout;

    const LIMITS: Limits = Limits {
        cpu_milli_request: Some(500),
        cpu_milli_limit: Some(1_500),
        memory_request_bytes: Some(1 << 20),
        memory_limit_bytes: Some(2 << 20),
        pids_limit: Some(9),
    };

    /// The files of a plain directory after the limits were written there, as `name value`.
    fn written(layout: &Layout) -> Vec<String> {
        let groups = Groups::create(layout, "c", &LIMITS).unwrap();
        let paths = groups.v2.iter().chain(groups.v1.iter().map(|g| &g.path));
        let mut lines: Vec<_> = paths
            .flat_map(|path| fs::read_dir(path).unwrap().flatten())
            .map(|e| format!("{} {}", e.file_name().display(), fs::read_to_string(e.path()).unwrap()))
            .collect();
        lines.sort();
        lines.dedup();
        lines
    }

    fn layout(kind: CgroupLayout, v2: Option<&Path>, v1: Vec<(String, PathBuf)>) -> Layout {
        let controllers = ["cpu", "memory", "pids"].map(str::to_owned).to_vec();
        let v2_limits = kind == CgroupLayout::V2;
        Layout { kind, v2_parent: v2.map(Path::to_owned), v2_limits, v1_parents: v1, controllers, notes: Vec::new() }
    }

    #[test]
    fn version_2_gets_all_limits_in_one_group() {
        let tree = tempfile::tempdir().unwrap();
        assert_eq!(
            written(&layout(CgroupLayout::V2, Some(tree.path()), Vec::new())),
            [
                "cpu.max 150000 100000",
                "cpu.weight 20",
                "memory.low 1048576",
                "memory.max 2097152",
                "memory.swap.max 0",
                "pids.max 9"
            ]
        );
    }

    #[test]
    fn version_1_gets_them_by_controller_also_where_two_share_a_tree() {
        let tree = tempfile::tempdir().unwrap();
        let parent = |name: &str| {
            let path = tree.path().join(name);
            fs::create_dir_all(&path).unwrap();
            path
        };
        let v1 = [
            ("memory", "memory"),
            ("cpu", "cpu,cpuacct"),
            ("cpuacct", "cpu,cpuacct"),
            ("pids", "pids"),
            ("freezer", "freezer"),
        ]
        .map(|(controller, dir)| (controller.to_owned(), parent(dir)));
        assert_eq!(
            written(&layout(CgroupLayout::V1, None, v1.to_vec())),
            [
                "cpu.cfs_period_us 100000",
                "cpu.cfs_quota_us 150000",
                "cpu.shares 512",
                "memory.limit_in_bytes 2097152",
                "memory.soft_limit_in_bytes 1048576",
                "pids.max 9"
            ]
        );
    }

    #[test]
    fn a_refused_limit_names_the_file_and_removes_what_was_made() {
        let tree = tempfile::tempdir().unwrap();
        let missing = vec![("memory".to_owned(), tree.path().join("gone"))];
        let failure =
            Groups::create(&layout(CgroupLayout::Hybrid, Some(tree.path()), missing), "c", &LIMITS).unwrap_err();
        assert!(
            matches!(&failure, LaunchFailure::StartError { path: Some(path), .. } if path.ends_with("gone/c")),
            "{failure:?}"
        );
        assert!(!tree.path().join("c").exists());
    }

    #[test]
    fn processor_limits_stay_within_what_the_kernel_takes() {
        assert_eq!((cpu_shares(0), cpu_shares(1_000), cpu_shares(u64::MAX)), (2, 1_024, 262_144));
        assert_eq!((cpu_quota(1), cpu_quota(100), cpu_quota(2_500)), (1_000, 10_000, 250_000));
    }
}
