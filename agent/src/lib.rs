//! Berth's agent: makes one node run the tasks that are bound to it.
//!
//! It is a client of the public API and nothing more: it watches its tasks, writes their status, keeps its Node and
//! Lease, and serves logs and exec to the API server. Containers outlive it; a restarted agent adopts them.
//!
//! | module | what it is |
//! |---|---|
//! | [`task`] | the task machine, the worker that drives it, the hooks that prepare a container, recovery |
//! | [`runtime`] | what is asked of a container runtime; the native one, and a fake for tests |
//! | [`probe`] | start-up, readiness and liveness |
//! | [`status`], [`writer`], [`events`] | what the API server hears of a task |
//! | [`node`] | the Node object and its Lease |
//! | [`logs`], [`http`] | reading logs; the agent's own HTTPS server |

mod agent;
mod config;
pub mod events;
mod fd;
pub mod http;
pub mod logs;
pub mod metrics;
pub mod node;
pub mod probe;
pub mod runtime;
pub mod status;
pub mod task;
pub mod writer;

pub use agent::{Agent, AgentHandle, StartError};
pub use config::{Config, DEFAULT_LOG_MAX_BYTES, DEFAULT_LOG_MAX_FILES, DEFAULT_PORT, DEFAULT_PORT_RANGE};
pub use http::tls::{TlsError, server_config};
