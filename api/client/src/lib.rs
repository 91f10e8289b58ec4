//! How every part of Berth, and every plugin in Rust, talks to the API server.
//!
//! Re-exports [`kube`] and [`k8s_openapi`], so that a new major version of either is one change. Beside them:
//! [`kubeconfig`] finds and reads the file that says where the API is, [`Session`] sends raw requests and shows
//! what the typed client hides (warnings, status codes), and [`Watch`] follows a list through restarts.

pub use k8s_openapi;
pub use kube;

pub mod discovery;
pub mod error;
pub mod kubeconfig;
pub mod resource;
pub mod retry;
pub mod session;
pub mod watch;

pub use error::{Cause, ClientError, Status, StatusDetails};
pub use kubeconfig::{KubeconfigError, Location, Target};
pub use resource::Resource;
pub use retry::Retry;
pub use session::{Reply, Session};
pub use watch::{Change, Watch};

/// Makes *ring* the process's TLS provider. Every `main` and test harness that speaks TLS calls it first;
/// further calls do nothing.
pub fn install_crypto_provider() {
    // An error means that a provider is installed already, which is what is wanted.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
