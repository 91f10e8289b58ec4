//! Berth's native containerizer: runs a process in namespaces, cgroups and a sandbox, with one small
//! shim process a container that outlives the agent.
//!
//! It is a plain, synchronous library: no runtime, no API types. The agent translates a task into a
//! [`ContainerSpec`], calls [`Containerizer::launch`], and awaits [`Containerizer::exit_watch`].
//! `berth __shim …` calls [`shim_main`]; everything that clones, mounts or joins a namespace happens
//! in that process, because the agent has many threads and must never clone.

mod capability;
mod cgroup;
mod containerizer;
mod error;
mod exec;
mod features;
mod helper;
mod procfs;
mod record;
mod rlimit;
mod rundir;
mod seccomp;
mod shim;
mod spec;
mod sys;
mod wire;

pub use containerizer::{Config, Containerizer, Shim};
pub use error::{Error, LaunchError};
pub use exec::ExecProcess;
pub use features::{CgroupLayout, Features, Isolation};
pub use record::{ExecStatus, ExitRecord, Found, LaunchFailure, Running, State, Stats};
pub use shim::shim_main;
pub use spec::{
    Capabilities, ContainerSpec, ExecSpec, Limits, Log, Mount, MountKind, Namespaces, PROTO, Rlimit, Rootfs, Seccomp,
    User,
};
