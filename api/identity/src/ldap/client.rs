//! One connection to a directory: TLS first, then one question at a time.

use std::sync::Arc;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::filter::{Filter, FilterError};
use super::message::{self, BIND_RESPONSE, EXTENDED_RESPONSE, Entry, SEARCH_DONE, SEARCH_ENTRY, SEARCH_REFERENCE};
use crate::der;

pub(super) use super::message::Scope;

/// Longest message that a server may send.
const MESSAGE_BYTES_MAX: usize = 1024 * 1024;
/// Most entries of one search that are taken.
const ENTRIES_MAX: usize = 1000;

const SUCCESS: i64 = 0;
const NO_SUCH_OBJECT: i64 = 32;
const INVALID_DN: i64 = 34;
const INAPPROPRIATE_AUTHENTICATION: i64 = 48;
const INVALID_CREDENTIALS: i64 = 49;
const UNWILLING: i64 = 53;

/// What went wrong on the way. Names the place, never what was sent.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("the address {0:?} is not host or host:port")]
    Address(String),
    #[error("no connection to {address}")]
    Connect { address: String, source: std::io::Error },
    #[error("the connection broke")]
    Io(#[from] std::io::Error),
    #[error("the server sent what is no LDAP message, or one that is too long")]
    Malformed,
    #[error("the server refused StartTLS (result code {0})")]
    StartTls(i64),
    #[error("the server answered with result code {0}")]
    Refused(i64),
    #[error("the search filter cannot be used: {0}")]
    Filter(#[from] FilterError),
}

impl From<der::Malformed> for ClientError {
    fn from(_: der::Malformed) -> Self {
        Self::Malformed
    }
}

/// A connection.
pub(super) struct Client {
    stream: TlsStream<TcpStream>,
    buffer: Vec<u8>,
    last_id: i64,
}

impl Client {
    /// Connects; all that follows is encrypted.
    pub(super) async fn connect(
        url: &str,
        start_tls: bool,
        tls: &Arc<rustls::ClientConfig>,
    ) -> Result<Self, ClientError> {
        let (scheme, rest) = url.split_once("://").unwrap_or(("ldaps", url));
        let place = rest.trim_end_matches('/');
        let bad = || ClientError::Address(place.to_owned());
        let authority: http::uri::Authority = place.parse().map_err(|_| bad())?;
        let port = authority.port_u16().unwrap_or(if scheme == "ldap" { 389 } else { 636 });
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(host.to_owned()).map_err(|_| bad())?;
        let mut tcp = TcpStream::connect((host, port))
            .await
            .map_err(|source| ClientError::Connect { address: format!("{host}:{port}"), source })?;
        if start_tls {
            tcp.write_all(&message::start_tls(1)).await?;
            let mut buffer = Vec::new();
            let (_, tag, code) = next(&mut tcp, &mut buffer, message::result_code).await?;
            // What was sent in the clear after the answer could be anybody's: it must not pass for encrypted.
            if tag != EXTENDED_RESPONSE || !buffer.is_empty() {
                return Err(ClientError::Malformed);
            }
            if code != SUCCESS {
                return Err(ClientError::StartTls(code));
            }
        }
        let stream = TlsConnector::from(Arc::clone(tls)).connect(name, tcp).await?;
        Ok(Self { stream, buffer: Vec::new(), last_id: 1 })
    }

    fn id(&mut self) -> i64 {
        self.last_id += 1;
        self.last_id
    }

    /// Binds as `dn`; whether the password is right.
    pub(super) async fn bind(&mut self, dn: &str, password: &str) -> Result<bool, ClientError> {
        let id = self.id();
        self.stream.write_all(&message::bind(id, dn, password)).await?;
        let (answered, tag, code) = next(&mut self.stream, &mut self.buffer, message::result_code).await?;
        if answered != id || tag != BIND_RESPONSE {
            return Err(ClientError::Malformed);
        }
        match code {
            SUCCESS => Ok(true),
            NO_SUCH_OBJECT | INVALID_DN | INAPPROPRIATE_AUTHENTICATION | INVALID_CREDENTIALS | UNWILLING => Ok(false),
            other => Err(ClientError::Refused(other)),
        }
    }

    /// Searches; a base that is not there has no entries.
    pub(super) async fn search(
        &mut self,
        base: &str,
        scope: Scope,
        filter: &str,
        attributes: &[&str],
    ) -> Result<Vec<Entry>, ClientError> {
        let filter = Filter::parse(filter)?;
        let id = self.id();
        let request = message::search(id, base, scope, ENTRIES_MAX as i64, &filter, attributes);
        self.stream.write_all(&request).await?;
        let mut entries = Vec::new();
        loop {
            let (answered, tag, operation) =
                next(&mut self.stream, &mut self.buffer, |operation| Ok(operation.to_vec())).await?;
            if answered != id {
                return Err(ClientError::Malformed);
            }
            match tag {
                SEARCH_ENTRY if entries.len() < ENTRIES_MAX => entries.push(message::entry(&operation)?),
                SEARCH_ENTRY => return Err(ClientError::Malformed),
                // Other servers are not asked: a password is for this one.
                SEARCH_REFERENCE => {}
                SEARCH_DONE => {
                    return match message::result_code(&operation)? {
                        SUCCESS | NO_SUCH_OBJECT => Ok(entries),
                        other => Err(ClientError::Refused(other)),
                    };
                }
                _ => return Err(ClientError::Malformed),
            }
        }
    }

    /// Says good-bye; it does not matter whether it is heard.
    pub(super) async fn unbind(mut self) {
        let id = self.id();
        let _ = self.stream.write_all(&message::unbind(id)).await;
        let _ = self.stream.shutdown().await;
    }
}

/// Reads one message; the rest of what came stays in the buffer.
async fn next<T>(
    stream: &mut (impl AsyncReadExt + Unpin),
    buffer: &mut Vec<u8>,
    take: impl Fn(&[u8]) -> Result<T, der::Malformed>,
) -> Result<(i64, u8, T), ClientError> {
    loop {
        if let Some((tag, content, rest)) = der::split(buffer)? {
            if tag != der::SEQUENCE {
                return Err(ClientError::Malformed);
            }
            let (id, kind, operation) = message::read(content)?;
            let taken = take(operation)?;
            let used = buffer.len() - rest.len();
            buffer.drain(..used);
            return Ok((id, kind, taken));
        }
        if buffer.len() > MESSAGE_BYTES_MAX {
            return Err(ClientError::Malformed);
        }
        let mut chunk = [0u8; 8192];
        let read = stream.read(&mut chunk).await?;
        if read == 0 {
            return Err(ClientError::Io(std::io::ErrorKind::UnexpectedEof.into()));
        }
        buffer.extend_from_slice(&chunk[..read]);
    }
}
