//! Starts real clusters and drives them as a user does: by the `berth` binary, by kubectl, by signals.
//!
//! Nothing here reads Berth's insides: what a test may know is what a user can see.

mod cluster;
mod machine;
mod output;
mod program;
mod tools;
mod until;

pub use cluster::{Cluster, Following, Parts, condition, items, name_of, phase};
pub use machine::{Leftovers, alive, kill};
pub use output::Run;
pub use program::Program;
pub use tools::{
    client, client_text, helm_bin, kubectl_bin, kubectl_now_bin, node_bin, node_modules, python_bin, slapd_root,
};
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

/// The top of the checkout.
pub fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// One of the manifests that the documentation shows.
pub fn example(name: &str) -> String {
    repository().join("manifests/examples").join(name).display().to_string()
}
