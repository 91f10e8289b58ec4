//! What this machine lets us do, found out once by trying, and said in words.

use serde::{Deserialize, Serialize};

/// The strongest isolation that works here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Isolation {
    /// Namespaces made with root's rights.
    Root,
    /// Namespaces inside a user namespace: files and processes are private, other users are not mapped.
    UserNamespace,
    /// None: a process group only.
    Plain,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CgroupLayout {
    V1,
    /// Version 1 controllers with a version 2 tree beside them.
    Hybrid,
    V2,
    None,
}

/// The result of the probe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Features {
    pub isolation: Isolation,
    pub cgroups: CgroupLayout,
    /// Of `cpu`, `memory`, `pids`: those whose limits are enforced.
    pub controllers: Vec<String>,
    pub seccomp: bool,
    /// What is missing and what that means, for `Node.status.limitations`.
    pub limitations: Vec<String>,
}
