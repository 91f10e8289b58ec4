//! A small closed-loop HTTP/1.1 client over TLS: so many connections, one request at a time on each.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Where to send what.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) address: String,
    pub(crate) token: String,
}

/// How it went.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) per_second: f64,
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
    pub(crate) bytes_per_second: f64,
}

/// Accepts any certificate: the measured servers are our own, on this machine.
#[derive(Debug)]
struct AnyCertificate;

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        rustls::crypto::ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

/// One connection.
pub(crate) struct Connection {
    sender: http1::SendRequest<Full<Bytes>>,
    target: Target,
}

impl Connection {
    /// Connects with TLS.
    pub(crate) async fn open(target: &Target) -> anyhow::Result<Self> {
        let config = rustls::ClientConfig::builder()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyCertificate))
            .with_no_client_auth();
        let stream = TcpStream::connect(&target.address).await.context(target.address.clone())?;
        stream.set_nodelay(true)?;
        let stream = TlsConnector::from(Arc::new(config)).connect(ServerName::try_from("localhost")?, stream).await?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Self { sender, target: target.clone() })
    }

    /// Sends one request and reads the whole answer.
    pub(crate) async fn send(&mut self, method: &str, path: &str, kind: &str, body: Bytes) -> anyhow::Result<Bytes> {
        self.send_as(Some(kind), method, path, body).await
    }

    /// The same; without a kind of body also without a token, as nobody.
    pub(crate) async fn send_as(
        &mut self,
        kind: Option<&str>,
        method: &str,
        path: &str,
        body: Bytes,
    ) -> anyhow::Result<Bytes> {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "localhost")
            .header("accept", "application/json");
        if let Some(kind) = kind {
            request =
                request.header("authorization", format!("Bearer {}", self.target.token)).header("content-type", kind);
        }
        let request = request.body(Full::new(body))?;
        self.sender.ready().await?;
        let answer = self.sender.send_request(request).await?;
        let status = answer.status();
        let body = answer.into_body().collect().await?.to_bytes();
        if !status.is_success() {
            bail!("{method} {path}: {status}: {}", String::from_utf8_lossy(&body));
        }
        Ok(body)
    }
}

/// Runs `clients` connections for so long; `request` makes the n-th request of the whole run.
pub(crate) async fn run<F>(target: &Target, clients: usize, time: Duration, request: F) -> anyhow::Result<Outcome>
where
    F: Fn(u64) -> (&'static str, String, Bytes) + Send + Sync + 'static,
{
    let request = Arc::new(request);
    let next = Arc::new(AtomicU64::new(0));
    let mut connections = Vec::with_capacity(clients);
    for _ in 0..clients {
        connections.push(Connection::open(target).await?);
    }
    let start = Instant::now();
    let tasks: Vec<_> = connections
        .into_iter()
        .map(|mut connection| {
            let (request, next) = (Arc::clone(&request), Arc::clone(&next));
            tokio::spawn(async move {
                let mut samples = Vec::new();
                let mut bytes = 0;
                while start.elapsed() < time {
                    let (method, path, body) = request(next.fetch_add(1, Ordering::Relaxed));
                    let sent = Instant::now();
                    // The only patches that are measured are applies.
                    let kind = if method == "PATCH" { "application/apply-patch+yaml" } else { "application/json" };
                    bytes += connection.send(method, &path, kind, body).await?.len();
                    samples.push(sent.elapsed());
                }
                anyhow::Ok((samples, bytes))
            })
        })
        .collect();
    let mut samples = vec![];
    let mut bytes = 0;
    for task in tasks {
        let (some, more) = task.await??;
        samples.extend(some);
        bytes += more;
    }
    let seconds = start.elapsed().as_secs_f64();
    let per_second = samples.len() as f64 / seconds;
    Ok(Outcome {
        per_second,
        p50: super::report::percentile(&mut samples, 50),
        p99: super::report::percentile(&mut samples, 99),
        bytes_per_second: bytes as f64 / seconds,
    })
}
