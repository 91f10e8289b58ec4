//! What the machine is and has: read from /proc, /sys and the file system.

use std::collections::BTreeMap;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::path::Path;

use berth_types::{NodeInfo, Quantity, ResourceList};

use crate::runtime::Abilities;

/// Less than this part of memory or disk left is pressure: a twentieth.
const PRESSURE_PART: u64 = 20;
/// What the system and the agent themselves need, at most: tasks get the rest.
const MEMORY_KEPT_MAX: u64 = 512 << 20;
/// The part of the memory that is kept for them, up to [`MEMORY_KEPT_MAX`].
const MEMORY_KEPT_PART: u64 = 16;
/// The part of the disk that is kept free.
const DISK_KEPT_PART: u64 = 10;

/// Capacity and what tasks may have of it. `overrides` win in both.
pub fn resources(data_dir: &Path, overrides: &BTreeMap<String, Quantity>) -> (ResourceList, ResourceList) {
    let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let memory = memory_total();
    let disk = disk(data_dir).map_or(0, |(total, _)| total);
    let pids = read_number("/proc/sys/kernel/pid_max").unwrap_or(32768);
    let bytes = |n: u64| Quantity::from_bytes(i64::try_from(n).unwrap_or(i64::MAX));
    let units = |n: u64| Quantity::from_units(i64::try_from(n).unwrap_or(i64::MAX));
    let list = |memory: u64, disk: u64| -> ResourceList {
        let mut list: ResourceList = [
            ("cpu".to_owned(), units(cpus as u64)),
            ("memory".to_owned(), bytes(memory >> 10 << 10)),
            ("disk".to_owned(), bytes(disk >> 20 << 20)),
            ("pids".to_owned(), units(pids)),
        ]
        .into();
        list.extend(overrides.clone());
        list
    };
    let kept = (memory / MEMORY_KEPT_PART).min(MEMORY_KEPT_MAX);
    (list(memory, disk), list(memory - kept, disk - disk / DISK_KEPT_PART))
}

/// Versions and ids.
pub fn node_info(version: &str, abilities: &Abilities) -> NodeInfo {
    let uname = rustix::system::uname();
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    NodeInfo {
        agent_version: version.to_owned(),
        kernel_version: uname.release().to_string_lossy().into_owned(),
        os_image: os_image(),
        architecture: architecture.to_owned(),
        boot_id: boot_id(),
        machine_id: machine_id(),
        runtimes: vec![abilities.name.clone()],
        cgroups: abilities.cgroups.clone(),
    }
}

/// Changes with each boot of the machine.
pub fn boot_id() -> String {
    read("/proc/sys/kernel/random/boot_id").unwrap_or_default()
}

/// Stays with the installation; without one, the host name.
pub fn machine_id() -> String {
    let named = || rustix::system::uname().nodename().to_string_lossy().into_owned();
    read("/etc/machine-id").filter(|id| !id.is_empty()).unwrap_or_else(named)
}

/// The address that this machine uses towards others. Nothing is sent: the kernel only picks the route.
pub fn address() -> IpAddr {
    let route = || -> std::io::Result<IpAddr> {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        // An address of documentation's: routed by default, owned by nobody.
        socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9))?;
        Ok(socket.local_addr()?.ip())
    };
    // Without a route there is only this machine.
    route().ok().filter(|ip| !ip.is_unspecified()).unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST))
}

/// Whether memory is nearly used up.
pub(super) fn memory_is_short() -> bool {
    match (meminfo("MemAvailable:"), meminfo("MemTotal:")) {
        (Some(available), Some(total)) => available < total / PRESSURE_PART,
        _ => false,
    }
}

/// Whether the file system of this directory is nearly full.
pub(super) fn disk_is_short(dir: &Path) -> bool {
    disk(dir).is_some_and(|(total, free)| free < total / PRESSURE_PART)
}

/// Total and free bytes.
fn disk(dir: &Path) -> Option<(u64, u64)> {
    let stat = rustix::fs::statvfs(dir).ok()?;
    Some((stat.f_blocks.saturating_mul(stat.f_frsize), stat.f_bavail.saturating_mul(stat.f_frsize)))
}

/// The machine's memory, or the agent's own limit where it runs in a container itself.
fn memory_total() -> u64 {
    let machine = meminfo("MemTotal:").unwrap_or(0);
    let limits = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];
    limits.iter().filter_map(|path| read_number(path)).fold(machine, u64::min)
}

fn meminfo(key: &str) -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    Some(line.trim().trim_end_matches("kB").trim().parse::<u64>().ok()? * 1024)
}

fn os_image() -> String {
    let text = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let name = text.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    name.map_or_else(|| "Linux".to_owned(), |name| name.trim_matches('"').to_owned())
}

fn read(path: &str) -> Option<String> {
    fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
}

fn read_number(path: &str) -> Option<u64> {
    read(path)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_has_something_and_overrides_win() {
        let overrides =
            BTreeMap::from([("cpu".to_owned(), Quantity::from("8")), ("gpu".to_owned(), Quantity::from("1"))]);
        let (capacity, allocatable) = resources(Path::new("/"), &overrides);
        assert_eq!((capacity["cpu"].0.as_str(), allocatable["gpu"].0.as_str()), ("8", "1"));
        let memory = |list: &ResourceList| list["memory"].units().unwrap();
        assert!(memory(&allocatable) > 0 && memory(&allocatable) < memory(&capacity));
        assert!(!boot_id().is_empty());
    }
}
