//! Whether a task's ports are free on the node: a process that is none of ours may hold one.
//!
//! Looked at just before the start, so that the task's status says who is in the way instead of leaving that to the
//! words of whatever program the task runs. Ports are the node's own: tasks share its network.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::path::Path;

use berth_types::AllocatedPort;

/// Why a container may not be started.
pub(super) const PORT_TAKEN: &str = "PortTaken";

/// The first port that somebody else holds, in words; `None`: all are free.
pub(super) fn taken<'a>(ports: impl IntoIterator<Item = &'a AllocatedPort>) -> Option<String> {
    ports.into_iter().find_map(|port| {
        let number = u16::try_from(port.port).ok().filter(|number| *number > 0)?;
        is_taken(number, &port.protocol).then(|| {
            let holder = holder(number, &port.protocol).map(|who| format!(" ({who})")).unwrap_or_default();
            format!("port {number} of the node is taken by another process{holder}")
        })
    })
}

/// Binds as servers do (with `SO_REUSEADDR`: connections of an earlier task that still close are not in the way).
fn is_taken(port: u16, protocol: &str) -> bool {
    let address = (Ipv4Addr::UNSPECIFIED, port);
    let refused = match protocol {
        "UDP" => UdpSocket::bind(address).err(),
        "SCTP" => None,
        _ => TcpListener::bind(address).err(),
    };
    // Without the right to bind a low port nothing can be said.
    refused.is_some_and(|error| error.kind() == std::io::ErrorKind::AddrInUse)
}

/// Name and pid of the process that listens on the port, as far as we may see it.
fn holder(port: u16, protocol: &str) -> Option<String> {
    let tables = if protocol == "UDP" { ["udp", "udp6"] } else { ["tcp", "tcp6"] };
    let inodes: Vec<String> = tables.iter().flat_map(|table| inodes(table, port)).collect();
    let sockets: Vec<String> = inodes.iter().map(|inode| format!("socket:[{inode}]")).collect();
    for entry in fs::read_dir("/proc").ok()?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        if holds(&entry.path(), &sockets) {
            let name = fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
            return Some(format!("{}, pid {pid}", name.trim()));
        }
    }
    None
}

fn holds(process: &Path, sockets: &[String]) -> bool {
    let fds = fs::read_dir(process.join("fd")).into_iter().flatten().flatten();
    fds.filter_map(|fd| fs::read_link(fd.path()).ok()).any(|to| sockets.iter().any(|s| Path::new(s) == to))
}

/// Sockets of a table that are bound to the port and wait for others.
fn inodes(table: &str, port: u16) -> Vec<String> {
    let text = fs::read_to_string(format!("/proc/self/net/{table}")).unwrap_or_default();
    text.lines().skip(1).filter_map(|line| inode(line, port)).collect()
}

/// `sl local_address rem_address st … inode`: ports are hexadecimal; `0A` listens, `07` is an unconnected UDP socket.
fn inode(line: &str, port: u16) -> Option<String> {
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    let (_, local) = fields.get(1)?.rsplit_once(':')?;
    let waits = matches!(*fields.get(3)?, "0A" | "07");
    (waits && u16::from_str_radix(local, 16) == Ok(port)).then(|| fields.get(9).map(|s| (*s).to_owned()))?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(number: u16, protocol: &str) -> AllocatedPort {
        AllocatedPort { container: "c".into(), index: 0, name: None, port: number.into(), protocol: protocol.into() }
    }

    #[test]
    fn a_port_that_somebody_listens_on_is_told_with_who_does() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let number = listener.local_addr().unwrap().port();
        let said = taken(&[port(number, "TCP")]).unwrap();
        let begin = format!("port {number} of the node is taken by another process (");
        assert!(said.starts_with(&begin) && said.contains(&format!("pid {}", std::process::id())), "{said}");
        drop(listener);
        assert_eq!(taken(&[port(number, "TCP")]), None);
    }

    #[test]
    fn a_udp_port_is_another_than_the_tcp_port_of_that_number() {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
        let number = socket.local_addr().unwrap().port();
        assert!(taken(&[port(number, "UDP")]).is_some());
        assert_eq!(taken(&[port(number, "TCP")]), None);
    }
}
