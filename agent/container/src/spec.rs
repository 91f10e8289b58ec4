//! What to run: the whole description of one container, as the agent writes it and the shim reads it.
//!
//! The JSON form lives in the run directory and is read back by later versions (a shim keeps running
//! the binary that started it), so changes are additive: new fields have defaults.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::LaunchError;

/// Version of the files in a container's run directory and of the messages to the shim.
pub const PROTO: u32 = 1;

/// Longest container id: it is a directory name and a cgroup name (255 bytes), with room for suffixes.
const ID_BYTES_MAX: usize = 200;

/// One container. [`ContainerSpec::new`] gives the safe defaults; set what differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ContainerSpec {
    /// Always [`PROTO`] when written by this version.
    pub proto: u32,
    /// Names the run directory and the cgroups: letters, digits, `.`, `_`, `-`; at most 200 bytes.
    pub id: String,
    /// Program and arguments. A program without `/` is looked up in the `PATH` of `env`, inside the container.
    pub argv: Vec<String>,
    /// The whole environment: nothing is inherited. `PATH` is added when absent.
    pub env: Vec<(String, String)>,
    /// Working directory inside the container; the sandbox when absent.
    #[serde(default)]
    pub cwd: Option<PathBuf>,
    /// The writable directory of the task, a path on the host. Must exist and be owned by the task's user.
    pub sandbox: PathBuf,
    /// Where the sandbox appears in the container; the same path as on the host when absent.
    #[serde(default)]
    pub sandbox_target: Option<PathBuf>,
    #[serde(default)]
    pub mounts: Vec<Mount>,
    #[serde(default)]
    pub rootfs: Rootfs,
    /// The host's name when absent.
    #[serde(default)]
    pub hostname: Option<String>,
    /// The agent's own user when absent.
    #[serde(default)]
    pub user: Option<User>,
    #[serde(default)]
    pub capabilities: Capabilities,
    #[serde(default = "yes")]
    pub no_new_privileges: bool,
    #[serde(default)]
    pub seccomp: Seccomp,
    /// All capabilities, no seccomp, no masked paths, the host's devices.
    #[serde(default)]
    pub privileged: bool,
    /// Makes the root of a [`Rootfs::Directory`] read-only; the host's files always are.
    #[serde(default)]
    pub read_only_rootfs: bool,
    /// Further paths inside the container to hide, such as the agent's data directory. Those that
    /// contain the sandbox or a mount keep showing these.
    #[serde(default)]
    pub masked_paths: Vec<PathBuf>,
    #[serde(default)]
    pub limits: Limits,
    #[serde(default)]
    pub rlimits: Vec<Rlimit>,
    #[serde(default)]
    pub namespaces: Namespaces,
    /// Gives the process a terminal; its output goes to the stdout log.
    #[serde(default)]
    pub tty: bool,
    /// Reserved: standard input is `/dev/null` in this version.
    #[serde(default)]
    pub stdin: bool,
    #[serde(default)]
    pub oom_score_adj: Option<i32>,
    pub log: Log,
    /// The agent's own notes (task, namespace, container name…), kept for recovery and not looked at.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}

impl ContainerSpec {
    /// A container with all defaults: the host's files read-only, Docker's capabilities and seccomp, no
    /// limits, logs in `sandbox`.
    pub fn new(id: impl Into<String>, argv: Vec<String>, sandbox: impl Into<PathBuf>) -> Self {
        let sandbox = sandbox.into();
        Self {
            proto: PROTO,
            id: id.into(),
            argv,
            env: Vec::new(),
            cwd: None,
            sandbox_target: None,
            mounts: Vec::new(),
            rootfs: Rootfs::HostReadOnly,
            hostname: None,
            user: None,
            capabilities: Capabilities::default(),
            no_new_privileges: true,
            seccomp: Seccomp::Default,
            privileged: false,
            read_only_rootfs: false,
            masked_paths: Vec::new(),
            limits: Limits::default(),
            rlimits: Vec::new(),
            namespaces: Namespaces::default(),
            tty: false,
            stdin: false,
            oom_score_adj: None,
            log: Log { dir: sandbox.clone(), ..Log::default() },
            labels: BTreeMap::new(),
            sandbox,
        }
    }

    /// Where the sandbox is seen inside the container: the value for `MESOS_SANDBOX`.
    pub fn sandbox_in_container(&self) -> &Path {
        self.sandbox_target.as_deref().unwrap_or(&self.sandbox)
    }

    /// Refuses what the kernel would refuse later with a less clear word.
    pub fn validate(&self) -> Result<(), LaunchError> {
        let refuse = |detail: String| Err(LaunchError::InvalidSpec { detail });
        check_id(&self.id)?;
        if self.proto != PROTO {
            return refuse(format!("proto is {}, this version speaks {PROTO}", self.proto));
        }
        check_argv(&self.argv)?;
        check_env(&self.env)?;
        for (what, path) in
            [("sandbox", Some(&self.sandbox)), ("log.dir", Some(&self.log.dir)), ("cwd", self.cwd.as_ref())]
                .into_iter()
                .chain([("sandboxTarget", self.sandbox_target.as_ref())])
                .chain(self.mounts.iter().map(|m| ("mounts[].target", Some(&m.target))))
        {
            if let Some(path) = path.filter(|p| !p.is_absolute() || p.as_os_str().as_encoded_bytes().contains(&0)) {
                return refuse(format!("{what} {path:?} must be an absolute path without a NUL byte"));
            }
        }
        if let Some(adj) = self.oom_score_adj.filter(|adj| !(-1000..=1000).contains(adj)) {
            return refuse(format!("oomScoreAdj {adj} must be between -1000 and 1000"));
        }
        crate::capability::Set::parse_all(&self.capabilities.add)?;
        crate::capability::Set::parse_all(&self.capabilities.drop)?;
        for limit in &self.rlimits {
            crate::rlimit::resource(&limit.kind)
                .map_or_else(|| refuse(format!("rlimit {:?} is not known", limit.kind)), |_| Ok(()))?;
        }
        Ok(())
    }
}

/// A process that joins a running container. Its capabilities, seccomp filter and limits are the container's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExecSpec {
    pub argv: Vec<String>,
    /// Added to the container's environment; a name that is there already is replaced.
    #[serde(default)]
    pub env: Vec<(String, String)>,
    /// The container's working directory when absent.
    #[serde(default)]
    pub cwd: Option<PathBuf>,
    /// The container's user when absent.
    #[serde(default)]
    pub user: Option<User>,
    /// A terminal of its own: then there is one descriptor for input and output.
    #[serde(default)]
    pub tty: bool,
    /// A pipe for standard input; `/dev/null` without. Ignored with `tty`.
    #[serde(default)]
    pub stdin: bool,
}

impl ExecSpec {
    pub(crate) fn validate(&self) -> Result<(), LaunchError> {
        check_argv(&self.argv)?;
        check_env(&self.env)
    }
}

/// What the container sees as `/`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all_fields = "camelCase")]
pub enum Rootfs {
    /// The node's own files, read-only, with a private `/tmp`, `/dev` and `/proc`: no image is needed.
    #[default]
    HostReadOnly,
    /// A directory that holds a whole root file system.
    Directory { path: PathBuf },
}

/// One more thing to see inside the container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Mount {
    /// Absolute path inside the container; made when it is missing.
    pub target: PathBuf,
    #[serde(default)]
    pub read_only: bool,
    #[serde(flatten)]
    pub kind: MountKind,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all_fields = "camelCase")]
pub enum MountKind {
    /// A file or directory of the host, or what is at `sub_path` below it. The way there leads through no symbolic
    /// link, whoever may change what is there in the same moment.
    Bind {
        source: PathBuf,
        #[serde(default)]
        sub_path: Option<PathBuf>,
    },
    /// An empty directory in memory, counted against the container's memory limit.
    Tmpfs { size_bytes: Option<u64> },
}

/// Who the process runs as. Numbers only: the agent resolves names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct User {
    pub uid: u32,
    pub gid: u32,
    #[serde(default)]
    pub groups: Vec<u32>,
}

/// Changes to the default set, by name, with or without `CAP_`, any case; `ALL` means all.
/// `drop` is applied first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capabilities {
    #[serde(default)]
    pub add: Vec<String>,
    #[serde(default)]
    pub drop: Vec<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Seccomp {
    /// Refuses the calls that Docker's default profile refuses.
    #[default]
    Default,
    Unconfined,
}

/// In force before the first instruction of the process. `None` means no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Limits {
    /// Share of the processor when there is not enough for all, in thousandths of a core.
    pub cpu_milli_request: Option<u64>,
    /// Most processor time, in thousandths of a core.
    pub cpu_milli_limit: Option<u64>,
    pub memory_request_bytes: Option<u64>,
    /// Above it the kernel kills a process of the container. Swap is not extra.
    pub memory_limit_bytes: Option<u64>,
    /// Most processes and threads.
    pub pids_limit: Option<u64>,
}

/// A `setrlimit` value, clamped to what the agent itself may have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rlimit {
    /// `NOFILE`, `NPROC`, `CORE`…, with or without `RLIMIT_`.
    pub kind: String,
    /// `None` means unlimited.
    pub soft: Option<u64>,
    pub hard: Option<u64>,
}

/// Which of the host's namespaces are shared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Namespaces {
    /// Always true in this version.
    pub host_network: bool,
    pub host_pid: bool,
    pub host_ipc: bool,
}

impl Default for Namespaces {
    fn default() -> Self {
        Self { host_network: true, host_pid: false, host_ipc: false }
    }
}

/// Where output goes: `dir/stdout` and `dir/stderr`, rotated to `stdout.1` (newest) … `stdout.N`.
///
/// Beside each file that is not empty is an index (`stdout.idx`, `stdout.1.idx`…): 16 bytes for each write, the offset in
/// the file where it began and the time in nanoseconds since 1970, both little-endian `u64`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Log {
    /// On the host; made when it is missing.
    pub dir: PathBuf,
    /// A file that would grow beyond this is rotated first.
    #[serde(default = "Log::default_max_bytes")]
    pub max_bytes: u64,
    /// Rotated files kept besides the current one.
    #[serde(default = "Log::default_max_files")]
    pub max_files: u32,
}

impl Log {
    /// 10 MiB a file, as kubelet's `containerLogMaxSize`.
    fn default_max_bytes() -> u64 {
        10 << 20
    }

    /// Five files with the current one, as kubelet's `containerLogMaxFiles`.
    fn default_max_files() -> u32 {
        4
    }
}

impl Default for Log {
    fn default() -> Self {
        Self { dir: PathBuf::new(), max_bytes: Self::default_max_bytes(), max_files: Self::default_max_files() }
    }
}

fn yes() -> bool {
    true
}

/// An id that is one harmless path component.
pub(crate) fn check_id(id: &str) -> Result<(), LaunchError> {
    let harmless = id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
    if id.is_empty() || id.len() > ID_BYTES_MAX || id.starts_with('.') || !harmless {
        return Err(LaunchError::InvalidSpec {
            detail: format!(
                "id {id:?} must be 1 to {ID_BYTES_MAX} letters, digits, '.', '_' or '-', and not begin with '.'"
            ),
        });
    }
    Ok(())
}

fn check_argv(argv: &[String]) -> Result<(), LaunchError> {
    let detail = match argv.first() {
        None => "argv is empty: name a program".to_owned(),
        Some(program) if program.is_empty() => "argv[0] is empty: name a program".to_owned(),
        Some(_) if argv.iter().any(|a| a.contains('\0')) => "argv contains a NUL byte".to_owned(),
        Some(_) => return Ok(()),
    };
    Err(LaunchError::InvalidSpec { detail })
}

fn check_env(env: &[(String, String)]) -> Result<(), LaunchError> {
    match env.iter().find(|(k, v)| k.is_empty() || k.contains(['=', '\0']) || v.contains('\0')) {
        None => Ok(()),
        Some((name, _)) => Err(LaunchError::InvalidSpec {
            detail: format!("environment variable {name:?} must have a name without '=', and no NUL byte"),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wire_form_is_camel_case_and_has_defaults() {
        let text = r#"{"proto":1,"id":"a","argv":["true"],"env":[["A","b"]],"sandbox":"/s","log":{"dir":"/l"},
            "mounts":[{"target":"/d","kind":"Bind","source":"/x"},{"target":"/t","kind":"Tmpfs","sizeBytes":5,"readOnly":true}]}"#;
        let spec: ContainerSpec = serde_json::from_str(text).unwrap();
        assert!(spec.no_new_privileges && spec.namespaces.host_network);
        assert_eq!(spec.mounts[1].kind, MountKind::Tmpfs { size_bytes: Some(5) });
        assert_eq!(spec.log.max_bytes, 10 << 20);
        let again: ContainerSpec = serde_json::from_str(&serde_json::to_string(&spec).unwrap()).unwrap();
        assert_eq!(again, spec);
    }

    #[test]
    fn bad_ids_arguments_and_variables_are_refused() {
        let good = ContainerSpec::new("web-1.a_b", vec!["true".into()], "/s");
        assert!(good.validate().is_ok());
        for id in ["", "../x", "a/b", ".hidden", &"x".repeat(201)] {
            assert!(ContainerSpec { id: id.into(), ..good.clone() }.validate().is_err(), "{id}");
        }
        assert!(ContainerSpec { argv: vec![], ..good.clone() }.validate().is_err());
        assert!(ContainerSpec { argv: vec!["a\0".into()], ..good.clone() }.validate().is_err());
        assert!(ContainerSpec { env: vec![("A=B".into(), "".into())], ..good.clone() }.validate().is_err());
        assert!(ContainerSpec { sandbox: "rel".into(), ..good.clone() }.validate().is_err());
        let capabilities = Capabilities { add: vec!["FLY".into()], drop: vec![] };
        assert!(ContainerSpec { capabilities, ..good }.validate().is_err());
    }
}
