//! Where the clients are that the stories drive: `make deps` fetched them, unmodified.

use std::path::PathBuf;

use crate::repository;

/// kubectl 1.20, Debian's: it asks for the legacy discovery and for OpenAPI v2 as protobuf.
///
/// # Panics
/// When `make deps` has not run.
pub fn kubectl_bin() -> PathBuf {
    tool("kubectl-1.20")
}

/// kubectl as it is now: aggregated discovery, OpenAPI v3, protobuf bodies, streaming lists.
///
/// # Panics
/// When `make deps` has not run.
pub fn kubectl_now_bin() -> PathBuf {
    tool("kubectl-1.37")
}

/// Helm of this major version: 3 or 4.
///
/// # Panics
/// When `make deps` has not run.
pub fn helm_bin(major: u8) -> PathBuf {
    tool(&format!("helm-{major}"))
}

/// Python with the Kubernetes client and kopf.
///
/// # Panics
/// When `make deps` has not run.
pub fn python_bin() -> PathBuf {
    tool("python/bin/python")
}

/// Node.js, the machine's own.
pub fn node_bin() -> PathBuf {
    "node".into()
}

/// OpenLDAP, unpacked: a directory like `/`.
///
/// # Panics
/// When `make deps` has not run.
pub fn slapd_root() -> PathBuf {
    tool("slapd")
}

/// The packages that a JavaScript program imports.
///
/// # Panics
/// When `make deps` has not run.
pub fn node_modules() -> PathBuf {
    tool("js/node_modules")
}

/// One of the programs, charts and manifests in `e2e/clients`.
pub fn client(name: &str) -> String {
    repository().join("e2e/clients").join(name).display().to_string()
}

/// The text of one of the files in `e2e/clients`.
///
/// # Panics
/// When there is none of that name.
pub fn client_text(name: &str) -> String {
    std::fs::read_to_string(client(name)).unwrap_or_else(|error| panic!("{}: {error}", client(name)))
}

fn tool(name: &str) -> PathBuf {
    let tools = std::env::var_os("BERTH_TOOLS").map_or_else(|| repository().join(".tools"), PathBuf::from);
    let path = tools.join(name);
    assert!(path.exists(), "{} is missing: run make deps", path.display());
    path
}
