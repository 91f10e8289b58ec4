//! A test runner that speaks enough of libtest for `cargo test` and `cargo nextest`, and a node to test on.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use berth_container::{Config, ContainerSpec, Containerizer, ExitRecord, Shim};

pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) run: fn(),
}

/// `cases![module: a, b]` names functions as tests.
macro_rules! cases {
    ($($name:ident),* $(,)?) => {
        vec![$(crate::harness::Case { name: concat!(module_path!(), "::", stringify!($name)), run: $name }),*]
    };
}
pub(crate) use cases;

pub(crate) fn run(args: Vec<String>, cases: &[Case]) -> i32 {
    let has = |flag: &str| args.iter().any(|a| a == flag);
    if has("--list") {
        // nextest asks a second time for ignored tests: there are none.
        if !has("--ignored") {
            cases.iter().for_each(|case| println!("{}: test", case.name));
        }
        return 0;
    }
    let exact = has("--exact");
    let filters: Vec<_> = args.iter().filter(|a| !a.starts_with("--")).collect();
    let wanted = |name: &str| {
        filters.is_empty() || filters.iter().any(|f| if exact { name == f.as_str() } else { name.contains(f.as_str()) })
    };
    let mut failed = 0;
    for case in cases.iter().filter(|case| wanted(case.name)) {
        let passed = catch_unwind(AssertUnwindSafe(case.run)).is_ok();
        println!("test {} ... {}", case.name, if passed { "ok" } else { "FAILED" });
        failed += i32::from(!passed);
    }
    i32::from(failed > 0) * 101
}

/// A run directory, a cgroup parent and a place for sandboxes of one test; removed at its end.
pub(crate) struct Node {
    pub(crate) root: tempfile::TempDir,
    pub(crate) berth: Option<Containerizer>,
}

impl Node {
    pub(crate) fn new() -> Self {
        // Not /tmp, which containers replace; except in a container, where nothing else can be written.
        let place = std::env::var("BERTH_IT_DIR").unwrap_or_else(|_| "/var/tmp".to_owned());
        let root = tempfile::Builder::new().prefix("berth-it-").tempdir_in(place).unwrap();
        fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let berth = Containerizer::new(config(root.path())).unwrap();
        Self { root, berth: Some(berth) }
    }

    pub(crate) fn berth(&self) -> &Containerizer {
        self.berth.as_ref().unwrap()
    }

    /// As a new agent on the same machine.
    pub(crate) fn restart(&mut self) {
        drop(self.berth.take());
        self.berth = Some(Containerizer::new(config(self.root.path())).unwrap());
    }

    pub(crate) fn sandbox(&self, id: &str) -> PathBuf {
        let path = self.root.path().join("sandboxes").join(id);
        fs::create_dir_all(&path).unwrap();
        path
    }

    /// A container that runs a line of shell.
    pub(crate) fn shell(&self, id: &str, line: &str) -> ContainerSpec {
        self.program(id, &["/bin/sh", "-c", line])
    }

    pub(crate) fn program(&self, id: &str, argv: &[&str]) -> ContainerSpec {
        ContainerSpec::new(id, argv.iter().map(|a| (*a).to_owned()).collect(), self.sandbox(id))
    }

    /// Runs it to its end and removes it.
    pub(crate) fn run(&self, spec: &ContainerSpec) -> Output {
        for old in ["stdout", "stderr"] {
            let _ = fs::remove_file(spec.log.dir.join(old));
        }
        self.berth().launch(spec).unwrap();
        let record = self.berth().wait(&spec.id).unwrap();
        self.berth().destroy(&spec.id).unwrap();
        let log = |name: &str| fs::read_to_string(spec.log.dir.join(name)).unwrap();
        Output { record, stdout: log("stdout"), stderr: log("stderr") }
    }

    /// What a shell line prints inside a default container.
    pub(crate) fn prints(&self, line: &str) -> String {
        self.run(&self.shell("prints", line)).stdout.trim().to_owned()
    }

    pub(crate) fn cgroup_name(&self) -> String {
        parent_name(self.root.path())
    }

    /// All groups of this test's parent in all trees.
    pub(crate) fn groups(&self) -> Vec<PathBuf> {
        let name = self.cgroup_name();
        let mut found = Vec::new();
        let mut open = vec![PathBuf::from("/sys/fs/cgroup")];
        while let Some(dir) = open.pop() {
            for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
                if entry.file_type().is_ok_and(|t| t.is_dir()) {
                    let path = entry.path();
                    if path.parent().is_some_and(|p| p.ends_with(&name)) {
                        found.push(path.clone());
                    }
                    open.push(path);
                }
            }
        }
        found
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(berth) = &self.berth {
            let purged = berth.purge();
            if !std::thread::panicking() {
                purged.unwrap();
            }
        }
    }
}

pub(crate) struct Output {
    pub(crate) record: ExitRecord,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

pub(crate) fn config(root: &Path) -> Config {
    Config {
        run_dir: root.join("run"),
        cgroup_parent: parent_name(root),
        shim: Shim { exe: std::env::current_exe().unwrap(), args: vec!["__shim".into()] },
    }
}

fn parent_name(root: &Path) -> String {
    root.file_name().unwrap().to_str().unwrap().to_owned()
}

/// Waits for a condition that has no event, with a limit that only a broken run reaches.
pub(crate) fn eventually(what: &str, mut check: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !check() {
        assert!(Instant::now() < deadline, "never happened: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Gone, or dead and not yet reaped (process 1 of a build machine may be slow).
pub(crate) fn is_dead(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with(['Z', 'X']))
}

/// The processes whose command line holds `marker`.
pub(crate) fn processes_with(marker: &str) -> Vec<i32> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|e| e.file_name().to_str()?.parse::<i32>().ok());
    let of_it = |pid: &i32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(marker) && !is_dead(*pid)
    };
    pids.filter(|pid| *pid != std::process::id() as i32 && of_it(pid)).collect()
}

pub(crate) fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|m| std::os::unix::fs::MetadataExt::uid(&m) == 0)
}
