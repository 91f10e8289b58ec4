//! A probe that opens a connection.

use tokio::net::TcpStream;

/// The container shares the node's network: its server is on loopback, or only on the node's own address.
const LOOPBACK: &str = "127.0.0.1";

/// Connects to the host, or else to the container itself.
pub(super) async fn connect(host: Option<&str>, port: u16, address: &str) -> Result<TcpStream, String> {
    let connect = async |host: &str| TcpStream::connect((host, port)).await.map_err(|e| format!("{host}:{port}: {e}"));
    match host {
        Some(host) => connect(host).await,
        None => match connect(LOOPBACK).await {
            Err(_) if address != LOOPBACK && !address.is_empty() => connect(address).await,
            result => result,
        },
    }
}
