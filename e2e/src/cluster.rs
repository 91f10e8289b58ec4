//! One cluster on this machine, with directories and ports of its own, gone when the test ends.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use crate::machine::pids_with_environ;
use crate::{Leftovers, Run, Until, alive, berth_bin, kill, kubectl_bin, until, until_for};

/// A cluster in one process (`berth up`) and the means to use it.
#[derive(Debug)]
pub struct Cluster {
    dir: tempfile::TempDir,
    data: PathBuf,
    disk: Option<Disk>,
    slot: Slot,
    child: Option<Child>,
    extra: Vec<String>,
    user: Option<User>,
}

/// Somebody else than root, with a copy of the binary that they may execute.
#[derive(Debug)]
struct User {
    id: u32,
    binary: PathBuf,
}

/// The three parts as separate processes.
#[derive(Debug)]
pub struct Parts {
    /// `berth apiserver`.
    pub apiserver: Child,
    /// `berth controllers`.
    pub controllers: Child,
    /// `berth agent`.
    pub agent: Child,
}

impl Cluster {
    /// Directories and free ports; nothing runs yet.
    pub fn prepare() -> Self {
        let dir = tempfile::Builder::new().prefix("berth-e2e-").tempdir().expect("a temporary directory");
        let data = dir.path().join("data");
        Self { dir, data, disk: None, slot: Slot::take(), child: None, extra: vec![], user: None }
    }

    /// Like [`Cluster::prepare`], with the data directory on a file system of its own that is soon full.
    ///
    /// # Panics
    /// Without the right to mount.
    pub fn on_small_disk(mebibytes: u32) -> Self {
        let mut cluster = Self::prepare();
        let disk = Disk::mount(cluster.path("disk"), mebibytes);
        cluster.data = disk.0.join("data");
        cluster.disk = Some(disk);
        cluster
    }

    /// Like [`Cluster::prepare`], with `berth` run by a user without any right: nobody.
    ///
    /// # Panics
    /// When this is not root, who alone can become another.
    pub fn of_nobody() -> Self {
        const NOBODY: u32 = 65_534;
        let mut cluster = Self::prepare();
        let binary = cluster.path("berth");
        std::fs::copy(berth_bin(), &binary).expect("a copy of the binary");
        for path in [cluster.dir.path(), &binary] {
            std::os::unix::fs::chown(path, Some(NOBODY), Some(NOBODY)).expect("only root gives files away");
        }
        cluster.user = Some(User { id: NOBODY, binary });
        cluster
    }

    /// Starts `berth up` and waits until the node is ready.
    pub fn up() -> Self {
        let mut cluster = Self::prepare();
        cluster.start();
        cluster
    }

    /// More arguments for `berth up`, before it starts.
    #[must_use]
    pub fn with(mut self, arguments: &[&str]) -> Self {
        self.extra.extend(arguments.iter().map(|a| (*a).to_owned()));
        self
    }

    /// The directory that holds all the cluster's state.
    pub fn data_dir(&self) -> PathBuf {
        self.data.clone()
    }

    /// Sockets and run-time state of containers.
    pub fn run_dir(&self) -> PathBuf {
        self.dir.path().join("run")
    }

    /// A place for the test's own files.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The text that all the cluster's parts carry in their paths.
    pub fn mark(&self) -> String {
        self.dir.path().file_name().expect("a directory has a name").to_string_lossy().into_owned()
    }

    /// Where the API listens.
    pub fn api_address(&self) -> String {
        format!("127.0.0.1:{}", self.slot.api())
    }

    /// Where the agent listens.
    pub fn agent_address(&self) -> String {
        format!("127.0.0.1:{}", self.slot.agent())
    }

    /// Ports that this cluster may allot: clusters of tests that run at the same time do not meet.
    pub fn task_ports(&self) -> String {
        let first = self.slot.first_task_port();
        format!("{first}-{}", first + TASK_PORTS - 1)
    }

    /// The kubeconfig that `berth up` writes.
    pub fn kubeconfig(&self) -> PathBuf {
        self.data_dir().join("admin.kubeconfig")
    }

    /// What `berth up` has printed on standard error so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.path("up.log")).unwrap_or_default()
    }

    /// The arguments of this cluster's `berth up`.
    pub fn up_arguments(&self) -> Vec<String> {
        let mut arguments = vec![
            "up".to_owned(),
            "--data-dir".to_owned(),
            self.data_dir().display().to_string(),
            "--run-dir".to_owned(),
            self.run_dir().display().to_string(),
            "--listen".to_owned(),
            self.api_address(),
            "--agent-listen".to_owned(),
            self.agent_address(),
            "--ports".to_owned(),
            self.task_ports(),
        ];
        arguments.extend(self.extra.iter().cloned());
        arguments
    }

    /// Starts `berth up` (again) and waits until it says that it is ready.
    ///
    /// # Panics
    /// When it ends instead, or is not ready in time.
    #[track_caller]
    pub fn start(&mut self) {
        self.spawn();
        self.wait_ready();
    }

    /// Starts `berth up` without waiting.
    #[track_caller]
    pub fn spawn(&mut self) {
        let log = File::options().create(true).append(true).open(self.path("up.log")).expect("a log file");
        let mut command = Command::new(self.binary());
        if let Some(user) = &self.user {
            // Other groups are dropped with the user.
            command.uid(user.id).gid(user.id).current_dir("/").env("HOME", self.dir.path());
        }
        let child = command
            .args(self.up_arguments())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("the log file again"))
            .stderr(log)
            .spawn()
            .expect("berth starts");
        self.child = Some(child);
    }

    /// Waits until the API says ready and the node is.
    #[track_caller]
    pub fn wait_ready(&mut self) {
        until("the node to be ready", || {
            if let Some(child) = &mut self.child
                && let Ok(Some(status)) = child.try_wait()
            {
                panic!("berth up ended with {status}:\n{}", self.log());
            }
            if !self.kubeconfig().exists() {
                return Err(format!("no kubeconfig yet; log:\n{}", self.log()));
            }
            let nodes = self.berth(&["get", "nodes", "-o", "json"]);
            if nodes.code != 0 {
                return Err(format!("{nodes}log:\n{}", self.log()));
            }
            let ready = items(&nodes.json()).iter().any(|node| condition(node, "Ready") == Some("True"));
            if ready { Ok(()) } else { Err(nodes.out) }
        });
    }

    /// Process id of `berth up`.
    ///
    /// # Panics
    /// When it is not running.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("the cluster runs").id()
    }

    /// kill -9 of `berth up`; the tasks are left alone.
    pub fn crash(&mut self) {
        if let Some(mut child) = self.child.take() {
            kill(child.id(), Signal::KILL);
            let _ = child.wait();
        }
    }

    /// A polite stop, as Ctrl-C does it. Gives the exit code.
    ///
    /// # Panics
    /// When it does not end in time.
    #[track_caller]
    pub fn stop(&mut self) -> Option<i32> {
        let mut child = self.child.take()?;
        kill(child.id(), Signal::INT);
        let status = until("berth up to stop", || match child.try_wait() {
            Ok(Some(status)) => Ok(status),
            other => Err(format!("{other:?}; log:\n{}", self.log())),
        });
        status.code()
    }

    /// Runs `berth` against this cluster.
    pub fn berth(&self, arguments: &[&str]) -> Run {
        self.run(&self.binary(), arguments, None)
    }

    /// Runs `berth` with this text on standard input.
    pub fn berth_stdin(&self, arguments: &[&str], input: &str) -> Run {
        self.run(&self.binary(), arguments, Some(input))
    }

    /// Applies a manifest given as text, without waiting.
    #[track_caller]
    pub fn apply(&self, manifest: &str) -> Run {
        self.berth_stdin(&["apply", "--no-wait", "-f", "-"], manifest).ok()
    }

    /// Runs Debian's kubectl against this cluster.
    pub fn kubectl(&self, arguments: &[&str]) -> Run {
        self.run(&kubectl_bin(), arguments, None)
    }

    fn binary(&self) -> PathBuf {
        self.user.as_ref().map_or_else(berth_bin, |user| user.binary.clone())
    }

    /// Runs any client against this cluster, with this text on its standard input.
    pub fn run(&self, program: &Path, arguments: &[&str], input: Option<&str>) -> Run {
        let typed = format!("{} {}", program.file_name().unwrap_or_default().to_string_lossy(), arguments.join(" "));
        let mut command = self.command(program, arguments);
        command.stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() });
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the command starts");
        if let (Some(text), Some(mut stdin)) = (input, child.stdin.take()) {
            use std::io::Write as _;
            // A command that refuses early closes its input: that is its answer, not our failure.
            let _ = stdin.write_all(text.as_bytes());
        }
        Run::new(typed, &child.wait_with_output().expect("the command ends"))
    }

    /// The command, set up with this cluster's kubeconfig and no colours, not started.
    pub fn command(&self, program: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env("KUBECONFIG", self.kubeconfig())
            .env("HOME", self.dir.path())
            .env("NO_COLOR", "1")
            .env_remove("BERTH_BIN");
        if let Some(user) = &self.user {
            command.uid(user.id).gid(user.id).current_dir("/");
        }
        command
    }

    /// Starts a command that goes on, such as `get -w` or `logs -f`, and hands its output on line by line.
    pub fn follow(&self, program: &Path, arguments: &[&str]) -> Following {
        let mut child = self
            .command(program, arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the command starts");
        let stdout = child.stdout.take().expect("it is piped");
        let (sender, lines) = mpsc::sync_channel(10_000);
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Following { child, lines, seen: vec![] }
    }

    /// One object.
    #[track_caller]
    pub fn get(&self, kind: &str, name: &str) -> Value {
        self.berth(&["get", kind, name, "-o", "json"]).ok().json()
    }

    /// The tasks of a service or job run that are not ended.
    #[track_caller]
    pub fn live_tasks(&self, selector: &str) -> Vec<Value> {
        self.tasks(selector)
            .into_iter()
            .filter(|task| !matches!(phase(task), "Succeeded" | "Failed" | "Killed"))
            .filter(|task| task["metadata"]["deletionTimestamp"].is_null())
            .collect()
    }

    /// All tasks that carry these labels.
    #[track_caller]
    pub fn tasks(&self, selector: &str) -> Vec<Value> {
        items(&self.berth(&["get", "tasks", "-l", selector, "-o", "json"]).ok().json())
    }

    /// Waits until so many tasks of the service are ready, and no other is live.
    #[track_caller]
    pub fn wait_service(&self, name: &str, ready: usize) -> Vec<Value> {
        self.wait_service_for(Duration::from_secs(60), name, ready)
    }

    /// Like [`Cluster::wait_service`], with another patience.
    #[track_caller]
    pub fn wait_service_for(&self, patience: Duration, name: &str, ready: usize) -> Vec<Value> {
        until_for(patience, &format!("{ready} ready tasks of {name}"), || self.service_is(name, ready))
    }

    /// Whether the service has just so many tasks, all ready, and its status says so for its newest generation.
    pub fn service_is(&self, name: &str, ready: usize) -> Until<Vec<Value>> {
        let service = self.berth(&["get", "services.berth.dev", name, "-o", "json"]);
        if service.code != 0 {
            return Err(service.to_string());
        }
        let service = service.json();
        let live = self.live_tasks(&format!("berth.dev/service={name}"));
        let all_ready = live.iter().all(|task| condition(task, "Ready") == Some("True"));
        let status = &service["status"];
        let settled = status["observedGeneration"] == service["metadata"]["generation"]
            && status["readyReplicas"] == ready
            && status["updatedReplicas"] == ready;
        if live.len() == ready && all_ready && settled {
            return Ok(live);
        }
        let seen: Vec<_> = live.iter().map(|t| format!("{}={}", name_of(t), phase(t))).collect();
        Err(format!("status {status}, tasks {seen:?}"))
    }

    /// Processes of this cluster's tasks whose environment has this `NAME=value`.
    pub fn pids(&self, entry: &str) -> Vec<u32> {
        let mark = self.mark();
        pids_with_environ(entry)
            .into_iter()
            .filter(|pid| {
                let environ = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
                String::from_utf8_lossy(&environ).contains(&mark)
            })
            .collect()
    }

    /// Removes everything of the cluster, and insists that nothing is left.
    ///
    /// # Panics
    /// With what is left.
    #[track_caller]
    pub fn purge(mut self) {
        let data = self.data_dir().display().to_string();
        self.berth(&["down", "--data-dir", &data, "--purge"]).ok();
        if let Some(mut child) = self.child.take() {
            until("berth up to end after down", || match child.try_wait() {
                Ok(Some(_)) => Ok(()),
                other => Err(format!("{other:?}")),
            });
        }
        let (data, run) = (self.data_dir(), self.run_dir());
        self.disk = None;
        until("nothing to be left", || {
            let left = Leftovers::of(&self.mark(), &cgroup_name(&data), &[&data, &run]);
            if left.is_empty() { Ok(()) } else { Err(format!("{left:#?}")) }
        });
    }

    /// Remembers a process as this cluster's main one, to be ended with it.
    pub fn adopt(&mut self, child: Child) {
        self.child = Some(child);
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            kill(child.id(), Signal::INT);
            let ended = (0..400).any(|_| {
                std::thread::sleep(Duration::from_millis(25));
                matches!(child.try_wait(), Ok(Some(_)))
            });
            if !ended {
                kill(child.id(), Signal::KILL);
                let _ = child.wait();
            }
        }
        if std::thread::panicking() {
            eprintln!("--- log of berth up:\n{}", self.log());
        }
        if self.data_dir().exists() {
            let data = self.data_dir().display().to_string();
            let _ = Command::new(berth_bin())
                .args(["down", "--data-dir", &data, "--purge"])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status();
        }
    }
}

impl Parts {
    /// Ends the three, in the order that loses nothing.
    pub fn stop(&mut self) {
        for child in [&mut self.agent, &mut self.controllers, &mut self.apiserver] {
            kill(child.id(), Signal::TERM);
            let _ = child.wait();
        }
    }
}

impl Drop for Parts {
    fn drop(&mut self) {
        for child in [&mut self.agent, &mut self.controllers, &mut self.apiserver] {
            if alive(child.id()) {
                kill(child.id(), Signal::KILL);
                let _ = child.wait();
            }
        }
    }
}

/// A command that goes on.
#[derive(Debug)]
pub struct Following {
    child: Child,
    lines: mpsc::Receiver<String>,
    seen: Vec<String>,
}

impl Following {
    /// All lines so far.
    pub fn lines(&mut self) -> &[String] {
        while let Ok(line) = self.lines.try_recv() {
            self.seen.push(line);
        }
        &self.seen
    }

    /// Waits for a line that fits.
    ///
    /// # Panics
    /// When none comes in time, with all that came.
    #[track_caller]
    pub fn wait_line(&mut self, what: &str, fits: impl Fn(&str) -> bool) -> String {
        until(what, || {
            let lines = self.lines();
            lines.iter().find(|line| fits(line)).cloned().ok_or_else(|| lines.join("\n"))
        })
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        kill(self.child.id(), Signal::KILL);
        let _ = self.child.wait();
    }
}

/// The items of a list, or the one object.
pub fn items(list: &Value) -> Vec<Value> {
    match list["items"].as_array() {
        Some(items) => items.clone(),
        None => vec![list.clone()],
    }
}

/// The status of a condition.
pub fn condition<'a>(object: &'a Value, type_: &str) -> Option<&'a str> {
    object["status"]["conditions"].as_array()?.iter().find(|c| c["type"] == type_)?["status"].as_str()
}

/// A task's phase.
pub fn phase(task: &Value) -> &str {
    task["status"]["phase"].as_str().unwrap_or("Pending")
}

/// An object's name.
pub fn name_of(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap_or_default()
}

/// A small file system in memory, unmounted when it is dropped.
#[derive(Debug)]
struct Disk(PathBuf);

impl Disk {
    fn mount(at: PathBuf, mebibytes: u32) -> Self {
        std::fs::create_dir_all(&at).expect("a directory to mount on");
        let size = format!("size={mebibytes}m");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "berth-e2e"]).arg(&at).status();
        assert!(mounted.is_ok_and(|status| status.success()), "mounting needs root");
        Self(at)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// How many ports a cluster may allot.
const TASK_PORTS: u16 = 100;
/// Clusters that can run at the same time: their ports stay below those that the kernel hands to clients.
const SLOTS: u16 = 90;

/// Ports of one cluster, its own as long as the lock is held: tests are processes and run at the same time.
#[derive(Debug)]
struct Slot {
    number: u16,
    _lock: File,
}

impl Slot {
    fn take() -> Self {
        until("a free range of ports", || {
            let start = (std::process::id() % u32::from(SLOTS)) as u16;
            (0..SLOTS).map(|step| (start + step) % SLOTS).find_map(Self::lock).ok_or_else(|| "all are taken".to_owned())
        })
    }

    fn lock(number: u16) -> Option<Self> {
        let path = std::env::temp_dir().join(format!("berth-e2e-ports-{number}.lock"));
        let file = File::options().create(true).truncate(false).write(true).open(path).ok()?;
        rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive).ok()?;
        let slot = Self { number, _lock: file };
        [slot.api(), slot.agent()].iter().all(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).then_some(slot)
    }

    fn api(&self) -> u16 {
        20_000 + self.number * 2
    }

    fn agent(&self) -> u16 {
        self.api() + 1
    }

    fn first_task_port(&self) -> u16 {
        10_000 + self.number * TASK_PORTS
    }
}

/// The control group of a cluster: `berth-` and the FNV-1a hash of its data directory, as `berth up` documents it.
fn cgroup_name(data_dir: &Path) -> String {
    let hash = data_dir
        .as_os_str()
        .as_encoded_bytes()
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    format!("berth-{hash:016x}")
}
