//! Many clients that mean no good, on a real socket: the server goes on answering, and forgets them.

use std::net::SocketAddr;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::tls::{Running, running};

/// Descriptors of this process that are open.
fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Raises the number of descriptors as far as the system lets us; the answer is how many there may be.
fn raise_descriptors() -> usize {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }).unwrap();
    limit.maximum.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap())
}

async fn is_answering(running: &Running) {
    let client = running.client(berth_api::kubeconfig::Credentials::Token(&running.token)).await;
    let asked = tokio::time::timeout(Duration::from_secs(30), client.apiserver_version()).await;
    asked.expect("an answer comes in time").expect("and is a good one");
}

/// A connection with its handshake done, that trusts anybody.
pub(crate) async fn secure(address: SocketAddr, running: &Running) -> tokio_rustls::client::TlsStream<TcpStream> {
    let mut roots = rustls::RootCertStore::empty();
    let pem = running.pki.ca_pem().as_bytes();
    let (_, pem) = x509_parser::pem::parse_x509_pem(pem).unwrap();
    roots.add(pem.contents.into()).unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(address).await.unwrap();
    let name = rustls::pki_types::ServerName::try_from("127.0.0.1").unwrap();
    tokio_rustls::TlsConnector::from(std::sync::Arc::new(config)).connect(name, stream).await.unwrap()
}

#[tokio::test]
async fn ten_thousand_idle_connections_leave_the_server_answering() {
    // Both ends of each are in this process.
    let affordable = raise_descriptors().saturating_sub(1_000) / 2;
    let count = affordable.min(10_000);
    let running = running().await;
    let mut idle = Vec::with_capacity(count);
    for n in 0..count {
        let connected = tokio::time::timeout(Duration::from_secs(30), TcpStream::connect(running.address)).await;
        idle.push(connected.expect("the listener takes it in").unwrap());
        if n % 2_500 == 2_499 {
            is_answering(&running).await;
        }
    }
    is_answering(&running).await;
    drop(idle);
    running.stop.cancel();
}

#[tokio::test]
async fn who_sends_slowly_keeps_nobody_waiting() {
    let running = running().await;
    let mut slow = Vec::new();
    for n in 0..200 {
        let mut stream = secure(running.address, &running).await;
        let begun = match n % 3 {
            // Headers that never end.
            0 => "GET /version HTTP/1.1\r\nHost: x\r\nX-A".to_owned(),
            // A body that never comes, from somebody who may write.
            1 => format!(
                "POST /api/v1/namespaces/default/configmaps HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\
                 Content-Type: application/json\r\nContent-Length: 1000000\r\n\r\n{{\"a\":",
                running.token
            ),
            // A body in pieces that never ends.
            _ => format!(
                "POST /api/v1/namespaces/default/configmaps HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\
                 Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{{\"a\":",
                running.token
            ),
        };
        stream.write_all(begun.as_bytes()).await.unwrap();
        slow.push(stream);
    }
    is_answering(&running).await;
    // Bodies are read before a seat is taken, so the seats are all free; and there is room for another body, too.
    let map = serde_json::json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "quick"}});
    crate::support::post(&running.server, crate::support::CONFIG_MAPS, &map).await.expect(201);
    let metrics = crate::support::get(&running.server, "/metrics").await.text();
    assert!(metrics.contains("apiserver_flowcontrol_current_inqueue_requests{priority_level=\"global-default\"} 0"));
    drop(slow);
    running.stop.cancel();
}

#[tokio::test]
async fn a_thousand_rude_clients_leave_no_trace() {
    raise_descriptors();
    let running = running().await;
    is_answering(&running).await;
    let before = descriptors();
    let huge = format!("GET /version HTTP/1.1\r\nHost: x\r\nX-Huge: {}\r\n\r\n", "x".repeat(1 << 20));
    for batch in 0..20 {
        let clients = (0..50).map(|n| {
            let (running, huge) = (&running, &huge);
            async move {
                match (batch * 50 + n) % 8 {
                    // Gone at once.
                    0 => drop(TcpStream::connect(running.address).await.unwrap()),
                    // No TLS at all.
                    1 => {
                        let mut stream = TcpStream::connect(running.address).await.unwrap();
                        let _ = stream.write_all(b"\x00\xff\xfeGET / HTTP/1.1\r\n\r\n").await;
                        let _ = stream.read_to_end(&mut Vec::new()).await;
                    }
                    // A reset in the middle of the handshake.
                    2 => {
                        let stream = TcpStream::connect(running.address).await.unwrap();
                        stream.set_zero_linger().unwrap();
                        let _ = stream.try_write(&[0x16, 3, 1, 2, 0, 1]);
                    }
                    // Garbage within TLS.
                    3 => {
                        let mut stream = secure(running.address, running).await;
                        let _ = stream.write_all(&[0; 512]).await;
                        let _ = stream.read_to_end(&mut Vec::new()).await;
                    }
                    // Half a request.
                    4 => {
                        let mut stream = secure(running.address, running).await;
                        let _ = stream.write_all(b"POST /api/v1/namespaces HTTP/1.1\r\nContent-Le").await;
                    }
                    // Headers without end.
                    5 => {
                        let mut stream = secure(running.address, running).await;
                        let _ = stream.write_all(huge.as_bytes()).await;
                        let _ = stream.read_to_end(&mut Vec::new()).await;
                    }
                    // An answer that nobody reads, and a reset.
                    6 => {
                        let mut stream = secure(running.address, running).await;
                        let asked = format!(
                            "GET /openapi/v2 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\r\n",
                            running.token
                        );
                        let _ = stream.write_all(asked.as_bytes()).await;
                        stream.get_ref().0.set_zero_linger().unwrap();
                    }
                    // A smuggled second request.
                    _ => {
                        let mut stream = secure(running.address, running).await;
                        let asked = b"POST /version HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n\
                              0\r\n\r\nGET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
                        let _ = stream.write_all(asked).await;
                        let mut answer = Vec::new();
                        let _ = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut answer)).await;
                        assert!(!String::from_utf8_lossy(&answer).contains("apiserver_request_total"));
                    }
                }
            }
        });
        futures::future::join_all(clients).await;
    }
    is_answering(&running).await;
    // The server notices the last of them a moment later.
    let gone = async {
        while descriptors() > before {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let settled = tokio::time::timeout(Duration::from_secs(20), gone).await;
    assert!(settled.is_ok(), "{before} descriptors before, {} after", descriptors());
    running.stop.cancel();
}
