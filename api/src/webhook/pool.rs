//! Connections that wait for their next request. Opening one costs two round trips and a signature.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::net::TcpStream;

use super::endpoint::{Dial, Endpoint};
use super::error::handshake;

/// Idle connections to one endpoint: as many as requests that usually are under way to it at once.
const IDLE_PER_ENDPOINT_MAX: usize = 16;
/// Idle connections altogether: descriptors are the API server's to serve clients with.
const IDLE_MAX: usize = 256;
/// Servers close idle connections, often after a minute or two: a connection that is older is not tried.
const IDLE_TIMEOUT: Duration = Duration::from_secs(50);

type Sender<B> = SendRequest<B>;

/// Which connections may serve an endpoint: the same place, trusted in the same way.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    dial: Dial,
    /// Where the TLS settings lie: equal settings that were made twice are not shared, which costs a connection only.
    tls: usize,
}

impl Key {
    fn of(endpoint: &Endpoint) -> Self {
        Self { dial: endpoint.dial.clone(), tls: Arc::as_ptr(&endpoint.tls) as usize }
    }
}

struct Idle<B> {
    sender: Sender<B>,
    since: Instant,
    /// Keeps the settings where they are while a key names their place.
    _tls: Arc<rustls::ClientConfig>,
}

pub(crate) struct Pool<B = Full<Bytes>> {
    idle: Mutex<HashMap<Key, Vec<Idle<B>>>>,
}

impl<B> Default for Pool<B> {
    fn default() -> Self {
        Self { idle: Mutex::default() }
    }
}

impl<B> std::fmt::Debug for Pool<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Pool({} endpoints)", self.idle.lock().len())
    }
}

/// An answer with the connection that brings it.
pub(super) struct Sent {
    pub response: Response<Incoming>,
    pub sender: Sender<Full<Bytes>>,
}

impl Pool {
    /// Sends on an idle connection if there is one. A server may have closed that one just now: then a new one is
    /// opened, once.
    pub(super) async fn send(
        &self,
        endpoint: &Endpoint,
        addresses: &[SocketAddr],
        request: Request<Full<Bytes>>,
    ) -> Result<Sent, String> {
        // The body is shared bytes and the head small: a copy is cheap.
        if let Some(mut sender) = self.take(endpoint) {
            match sender.send_request(request.clone()).await {
                Ok(response) => return Ok(Sent { response, sender }),
                Err(error) if error.is_canceled() || error.is_closed() || error.is_incomplete_message() => {}
                Err(error) => return Err(chain(&error)),
            }
        }
        let mut sender = open(endpoint, addresses).await?;
        let response = sender.send_request(request).await.map_err(|error| chain(&error))?;
        Ok(Sent { response, sender })
    }
}

impl<B> Pool<B> {
    /// Keeps a connection whose answer has been read to its end.
    pub(crate) fn put_back(&self, endpoint: &Endpoint, sender: Sender<B>) {
        if sender.is_closed() {
            return;
        }
        let mut idle = self.idle.lock();
        if idle.values().map(Vec::len).sum::<usize>() >= IDLE_MAX {
            // What is stale goes first; if nothing is, this one does.
            idle.retain(|_, connections| {
                connections.retain(|c| c.since.elapsed() < IDLE_TIMEOUT && !c.sender.is_closed());
                !connections.is_empty()
            });
            if idle.values().map(Vec::len).sum::<usize>() >= IDLE_MAX {
                return;
            }
        }
        let connections = idle.entry(Key::of(endpoint)).or_default();
        if connections.len() < IDLE_PER_ENDPOINT_MAX {
            connections.push(Idle { sender, since: Instant::now(), _tls: Arc::clone(&endpoint.tls) });
        }
    }

    /// A connection that is free, if there is one.
    pub(crate) fn take(&self, endpoint: &Endpoint) -> Option<Sender<B>> {
        let mut idle = self.idle.lock();
        let key = Key::of(endpoint);
        let connections = idle.get_mut(&key)?;
        let mut found = None;
        while let Some(connection) = connections.pop() {
            if connection.since.elapsed() < IDLE_TIMEOUT && connection.sender.is_ready() {
                found = Some(connection.sender);
                break;
            }
        }
        if connections.is_empty() {
            idle.remove(&key);
        }
        found
    }
}

/// Opens a connection to the first address that takes it.
///
/// # Errors
/// Why the last address does not, in the words of Go's client.
pub(crate) async fn open<B>(endpoint: &Endpoint, addresses: &[SocketAddr]) -> Result<Sender<B>, String>
where
    B: http_body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let mut last = String::new();
    for address in addresses {
        let stream = match TcpStream::connect(address).await {
            Ok(stream) => stream,
            Err(error) => {
                last = format!("dial tcp {address}: connect: {}", words(&error));
                continue;
            }
        };
        // A request is one write that must not wait for the next.
        let _ = stream.set_nodelay(true);
        let connector = tokio_rustls::TlsConnector::from(Arc::clone(&endpoint.tls));
        let stream = match connector.connect(endpoint.server_name.clone(), stream).await {
            Ok(stream) => stream,
            Err(error) => {
                last = handshake(&error);
                continue;
            }
        };
        let (sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|error| chain(&error))?;
        tokio::spawn(async move {
            if let Err(error) = connection.with_upgrades().await {
                tracing::debug!(%error, "a connection to a server that extends this one ended early");
            }
        });
        return Ok(sender);
    }
    Err(last)
}

/// The system's word for it, without the number.
fn words(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        std::io::ErrorKind::NetworkUnreachable => "network is unreachable".to_owned(),
        std::io::ErrorKind::HostUnreachable => "no route to host".to_owned(),
        _ => error.to_string(),
    }
}

/// What went wrong, with its causes.
pub(crate) fn chain(error: &hyper::Error) -> String {
    if error.is_incomplete_message() {
        return "EOF".to_owned();
    }
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
