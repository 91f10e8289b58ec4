//! Where things are on this machine, by default.

use std::env;
use std::path::PathBuf;

/// Name of the administrator's kubeconfig in a data directory.
pub(crate) const ADMIN_KUBECONFIG: &str = "admin.kubeconfig";

/// Name of the file of users with passwords in a data directory.
pub(crate) const USERS_FILE: &str = "users.yaml";

/// Data directory: `/var/lib/berth` as root, else `$XDG_STATE_HOME/berth` (`~/.local/state/berth`).
pub(crate) fn default_data_dir() -> PathBuf {
    choose_data_dir(is_root(), variable("XDG_STATE_HOME"), variable("HOME"))
}

/// Directory for state that a restart of the machine may take: `/run/berth` as root, else `$XDG_RUNTIME_DIR/berth`,
/// else inside the data directory.
pub(crate) fn default_run_dir(data_dir: &std::path::Path) -> PathBuf {
    let default = default_data_dir();
    let base = if is_root() {
        Some(PathBuf::from("/run/berth"))
    } else {
        variable("XDG_RUNTIME_DIR").map(|dir| dir.join("berth"))
    };
    match base {
        Some(base) if *data_dir == default => base,
        // Clusters beside the default one must not meet in one run directory; the name tells which is whose.
        Some(base) => base.with_file_name(format!("berth-{:016x}", fingerprint(data_dir))),
        None => data_dir.join("run"),
    }
}

/// Name of the control group that holds the tasks of a cluster: clusters beside the default one have their own.
pub(crate) fn cgroup_parent(data_dir: &std::path::Path) -> String {
    if *data_dir == default_data_dir() { "berth".to_owned() } else { format!("berth-{:016x}", fingerprint(data_dir)) }
}

/// FNV-1a of a path: stable over versions, unlike the standard hasher.
fn fingerprint(path: &std::path::Path) -> u64 {
    path.as_os_str()
        .as_encoded_bytes()
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn variable(name: &str) -> Option<PathBuf> {
    env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from)
}

fn choose_data_dir(root: bool, state: Option<PathBuf>, home: Option<PathBuf>) -> PathBuf {
    if root {
        return PathBuf::from("/var/lib/berth");
    }
    let state = state.or_else(|| home.map(|home| home.join(".local/state")));
    state.unwrap_or_else(env::temp_dir).join("berth")
}

/// The address of a listener as clients on this machine reach it: a wildcard becomes loopback.
pub(crate) fn reachable(address: std::net::SocketAddr) -> std::net::SocketAddr {
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
    let mut address = address;
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
        });
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_and_others_have_their_own_places() {
        assert_eq!(choose_data_dir(true, None, None), PathBuf::from("/var/lib/berth"));
        assert_eq!(choose_data_dir(false, Some("/s".into()), Some("/h".into())), PathBuf::from("/s/berth"));
        assert_eq!(choose_data_dir(false, None, Some("/h".into())), PathBuf::from("/h/.local/state/berth"));
    }

    #[test]
    fn two_clusters_do_not_meet_in_one_run_directory() {
        let (one, two) = (default_run_dir("/tmp/one".as_ref()), default_run_dir("/tmp/two".as_ref()));
        assert_ne!(one, two);
        assert_eq!(one, default_run_dir("/tmp/one".as_ref()));
    }

    #[test]
    fn wildcards_are_reached_by_loopback() {
        assert_eq!(reachable("0.0.0.0:7443".parse().unwrap()).to_string(), "127.0.0.1:7443");
        assert_eq!(reachable("10.0.0.1:7443".parse().unwrap()).to_string(), "10.0.0.1:7443");
    }
}
