//! What an agent is told when it is started.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use berth_types::{PortRange, Quantity};

/// Port of the agent's own API.
pub const DEFAULT_PORT: u16 = 5051;
/// Ports that may be allotted to tasks, as Mesos' agent offers them.
pub const DEFAULT_PORT_RANGE: PortRange = PortRange { begin: 31000, end: 32000 };
/// A log file is rotated at this size: kubelet's `containerLogMaxSize`.
pub const DEFAULT_LOG_MAX_BYTES: u64 = 10 << 20;
/// Rotated files beside the current one: kubelet's `containerLogMaxFiles` of five in all.
pub const DEFAULT_LOG_MAX_FILES: u32 = 4;

/// An agent's settings. [`Config::new`] gives every default.
#[derive(Clone, Debug)]
pub struct Config {
    /// Name of the Node object.
    pub node_name: String,
    /// Sandboxes, volumes, ledgers. Outlives a restart of the machine.
    pub data_dir: PathBuf,
    /// State of running containers and volumes in memory, best on a tmpfs.
    pub run_dir: PathBuf,
    /// Where the agent's own API listens.
    pub listen: SocketAddr,
    /// The address that others reach this machine by; found out when it is `None`.
    pub advertise: Option<IpAddr>,
    /// TLS of the agent's own API: see [`server_config`](crate::server_config).
    pub tls: Arc<rustls::ServerConfig>,
    /// Facts for constraints (Mesos' agent attributes).
    pub attributes: BTreeMap<String, String>,
    /// Labels that the Node gets, beside its host name. Labels that others set are kept.
    pub labels: BTreeMap<String, String>,
    /// Ports that may be allotted to tasks.
    pub port_ranges: Vec<PortRange>,
    /// Amounts that replace what was found on the machine: `cpu`, `memory`, `disk`, `pids`, or names of your own.
    pub resources: BTreeMap<String, Quantity>,
    /// The program that holds containers, and its leading arguments: `berth __shim`.
    pub shim_exe: PathBuf,
    /// See `shim_exe`.
    pub shim_args: Vec<String>,
    /// Name of the cgroup that holds the containers' groups.
    pub cgroup_parent: String,
    /// A log file is rotated at this size, bytes.
    pub log_max_bytes: u64,
    /// Rotated files that are kept.
    pub log_max_files: u32,
    /// Hidden from containers, beside the agent's own directories: the API server's state and keys, say.
    pub masked_paths: Vec<PathBuf>,
    /// What `nodeInfo.agentVersion` says.
    pub version: String,
}

impl Config {
    /// Every default; the shim is the running program.
    pub fn new(
        node_name: impl Into<String>,
        data_dir: impl Into<PathBuf>,
        run_dir: impl Into<PathBuf>,
        tls: Arc<rustls::ServerConfig>,
    ) -> Self {
        Self {
            node_name: node_name.into(),
            data_dir: data_dir.into(),
            run_dir: run_dir.into(),
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), DEFAULT_PORT),
            advertise: None,
            tls,
            attributes: BTreeMap::new(),
            labels: BTreeMap::new(),
            port_ranges: vec![DEFAULT_PORT_RANGE],
            resources: BTreeMap::new(),
            shim_exe: std::env::current_exe().unwrap_or_else(|_| PathBuf::from("/proc/self/exe")),
            shim_args: vec!["__shim".to_owned()],
            cgroup_parent: "berth".to_owned(),
            log_max_bytes: DEFAULT_LOG_MAX_BYTES,
            log_max_files: DEFAULT_LOG_MAX_FILES,
            masked_paths: Vec::new(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}
