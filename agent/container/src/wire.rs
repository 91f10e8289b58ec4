//! Messages between the agent, the helper and the shims: one JSON value a packet, with descriptors.
//!
//! Sockets are `SOCK_SEQPACKET` pairs: a packet arrives whole or not at all, and the end of the other
//! side is an end of file. What may be long (an exec request) travels in an anonymous file.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, SocketFlags, SocketType,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::features::Features;
use crate::record::LaunchFailure;

/// Longest packet: a failure with two long paths fits.
const PACKET_BYTES_MAX: usize = 32 << 10;
/// Most descriptors in a packet: control, lock or request, and three for input and output.
const FDS_MAX: usize = 5;

/// Agent to helper.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "op")]
pub(crate) enum Request {
    /// Descriptors: control, lock, the `ContainerSpec` as an anonymous file.
    Launch { dir: PathBuf },
    /// Descriptors: control, the `ExecSpec` as an anonymous file, then input, output, error without a terminal.
    Exec { dir: PathBuf },
}

/// Helper or shim to agent.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all_fields = "camelCase")]
pub(crate) enum Reply {
    /// The helper is ready.
    Hello {
        features: Box<Features>,
    },
    /// The program has been executed. Descriptor: the terminal, when one was asked for.
    Started {
        pid: i32,
        started_unix_nanos: u64,
    },
    Failed {
        failure: LaunchFailure,
    },
    /// An exec'ed process has ended; raw wait status.
    Ended {
        status: i32,
    },
}

/// Agent to the process that minds an exec.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "op")]
pub(crate) enum ExecOrder {
    Signal { signal: i32 },
}

/// A value in an anonymous file, to be read from its beginning.
pub(crate) fn to_memory(value: &impl Serialize) -> io::Result<OwnedFd> {
    use std::io::{Seek, Write};
    let mut file = std::fs::File::from(rustix::fs::memfd_create("request", rustix::fs::MemfdFlags::CLOEXEC)?);
    file.write_all(&serde_json::to_vec(value)?)?;
    file.rewind()?;
    Ok(file.into())
}

pub(crate) fn from_memory<T: DeserializeOwned>(file: OwnedFd) -> io::Result<T> {
    use std::io::Read;
    let mut text = Vec::new();
    std::fs::File::from(file).read_to_end(&mut text)?;
    Ok(serde_json::from_slice(&text)?)
}

/// A received packet.
pub(crate) struct Packet {
    bytes: Vec<u8>,
    pub(crate) fds: Vec<OwnedFd>,
    /// The sender, as numbered here; only when asked for by `SO_PASSCRED`.
    pub(crate) sender: Option<i32>,
}

impl Packet {
    pub(crate) fn parse<T: DeserializeOwned>(&self) -> io::Result<T> {
        Ok(serde_json::from_slice(&self.bytes)?)
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

pub(crate) fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?)
}

pub(crate) fn send(socket: impl AsFd, message: &impl Serialize, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    send_bytes(socket, &serde_json::to_vec(message)?, fds)
}

pub(crate) fn send_bytes(socket: impl AsFd, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FDS_MAX))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(io::Error::other("too many descriptors for one packet"));
    }
    rustix::net::sendmsg(socket, &[IoSlice::new(bytes)], &mut ancillary, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// The next packet; `None` when the other side is gone. Blocks unless the socket does not.
pub(crate) fn receive(socket: impl AsFd) -> io::Result<Option<Packet>> {
    let mut bytes = vec![0; PACKET_BYTES_MAX];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FDS_MAX), ScmCredentials(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let received = loop {
        let mut slices = [IoSliceMut::new(&mut bytes)];
        match rustix::net::recvmsg(&socket, &mut slices, &mut ancillary, RecvFlags::CMSG_CLOEXEC) {
            Err(rustix::io::Errno::INTR) => {}
            Err(rustix::io::Errno::CONNRESET) => return Ok(None),
            other => break other?,
        }
    };
    if received.bytes == 0 {
        return Ok(None);
    }
    bytes.truncate(received.bytes);
    let mut packet = Packet { bytes, fds: Vec::new(), sender: None };
    for message in ancillary.drain() {
        match message {
            RecvAncillaryMessage::ScmRights(fds) => packet.fds.extend(fds),
            RecvAncillaryMessage::ScmCredentials(sender) => packet.sender = Some(sender.pid.as_raw_nonzero().get()),
            _ => {}
        }
    }
    Ok(Some(packet))
}
