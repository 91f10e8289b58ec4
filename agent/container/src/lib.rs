//! Berth's native containerizer: runs a process in namespaces, cgroups and a sandbox, with one small
//! shim process a container that outlives the agent.
//!
//! It is a plain, synchronous library: no runtime, no API types. The agent translates a task into a
//! [`ContainerSpec`], calls [`Containerizer::launch`], and awaits [`Containerizer::exit_watch`].
//! `berth __shim …` calls [`shim_main`]; everything that clones, mounts or joins a namespace happens
//! in that process, because the agent has many threads and must never clone.

mod capability;
mod containerizer;
mod error;
mod features;
mod record;
mod rlimit;
mod spec;

pub use containerizer::{Config, Containerizer, ExecProcess, Shim};
pub use error::{Error, LaunchError};
pub use features::{CgroupLayout, Features, Isolation};
pub use record::{ExecStatus, ExitRecord, Found, LaunchFailure, Running, State, Stats};
pub use spec::{
    Capabilities, ContainerSpec, ExecSpec, Limits, Log, Mount, MountKind, Namespaces, PROTO, Rlimit, Rootfs, Seccomp,
    User,
};

/// The body of `berth __shim ARGS…`; returns the process's exit code.
///
/// The CLI calls it before anything else (no runtime, no threads, no log set-up): it must be the only
/// thread of its process. `args` are the arguments after `__shim`.
pub fn shim_main(args: impl IntoIterator<Item = std::ffi::OsString>) -> i32 {
    let _ = args.into_iter().count();
    1
}
