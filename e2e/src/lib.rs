//! Starts real clusters and drives them as a user does: by the `berth` binary, by kubectl, by signals.
//!
//! Nothing here reads Berth's insides: what a test may know is what a user can see.

mod cluster;
mod machine;
mod output;
mod until;

pub use cluster::{Cluster, Following, Parts, condition, items, name_of, phase};
pub use machine::{Leftovers, alive, kill};
pub use output::Run;
pub use until::{Until, until, until_for};

use std::path::PathBuf;

/// The binary under test: `BERTH_BIN`, else the one of the last build beside this crate.
///
/// # Panics
/// When there is none: the tests are run by `make e2e`, which builds it.
pub fn berth_bin() -> PathBuf {
    if let Some(path) = std::env::var_os("BERTH_BIN") {
        return path.into();
    }
    let root = repository();
    ["target/debug/berth", "target/release/berth"]
        .map(|path| root.join(path))
        .into_iter()
        .find(|path| path.exists())
        .expect("build first: make e2e does")
}

/// kubectl 1.20, unpacked by `make deps`.
///
/// # Panics
/// When `make deps` has not run.
pub fn kubectl_bin() -> PathBuf {
    let tools = std::env::var_os("BERTH_TOOLS").map_or_else(|| repository().join(".tools"), PathBuf::from);
    let path = tools.join("kubectl-1.20");
    assert!(path.exists(), "{} is missing: run make deps", path.display());
    path
}

/// The top of the checkout.
pub fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// One of the manifests that the documentation shows.
pub fn example(name: &str) -> String {
    repository().join("manifests/examples").join(name).display().to_string()
}
