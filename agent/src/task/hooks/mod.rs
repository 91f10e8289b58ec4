//! From a Task and one of its containers to a [`ContainerSpec`](berth_container::ContainerSpec): environment, volumes, identity, limits, directories.
//!
//! Everything here is decided from what is handed in, but [`sources`] (ConfigMaps and Secrets from the API) and
//! [`volumes`] and [`sandbox`], which make directories and files. All may run twice for one container.

pub mod env;
pub mod expand;
pub mod fields;
pub mod launch;
pub mod sandbox;
pub mod security;
pub mod sources;
pub mod volumes;

/// Why a container cannot be started (yet).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HookError {
    /// Something is missing that may still come: it is tried again.
    #[error("{message}")]
    Waiting { reason: &'static str, message: String },
    /// It will never work as written.
    #[error("{message}")]
    Invalid { reason: &'static str, message: String },
}

impl HookError {
    /// A mistake in the spec.
    pub fn invalid(reason: &'static str, message: impl Into<String>) -> Self {
        Self::Invalid { reason, message: message.into() }
    }

    /// Something that is not there yet.
    pub fn waiting(reason: &'static str, message: impl Into<String>) -> Self {
        Self::Waiting { reason, message: message.into() }
    }
}

/// What the node tells its tasks about itself.
#[derive(Clone, Debug, Default)]
pub struct NodeFacts {
    /// Name of the Node.
    pub name: String,
    /// Its address: `HOST`, `status.hostIP`.
    pub address: String,
    /// Port of the agent's own API.
    pub agent_port: u16,
    /// Stays with the installation: `MESOS_SLAVE_ID`.
    pub machine_id: String,
    /// Thousandths of a CPU that tasks may have: what `limits.cpu` is without a limit.
    pub cpu_milli: i64,
    /// Bytes of memory that tasks may have.
    pub memory_bytes: i64,
}
