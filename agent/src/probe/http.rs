//! A probe that asks for a page. Certificates are not checked: the question is whether the server answers.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::TokioIo;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use tokio::io::{AsyncRead, AsyncWrite};

use super::target::HttpRequest;
use super::tcp;

/// How much of the answer is read before the connection is dropped.
const BODY_BYTES_MAX: usize = 10 << 10;

/// Sends the request; an answer from 200 to 399 is a success.
pub(super) async fn knock(request: &HttpRequest, address: &str) -> Result<(), String> {
    let stream = tcp::connect(request.host.as_deref(), request.port, address).await?;
    if !request.https {
        return get(request, stream).await;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| e.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate))
        .with_no_client_auth();
    let name = ServerName::try_from(request.host.clone().unwrap_or_else(|| "localhost".to_owned()))
        .map_err(|e| e.to_string())?;
    let stream =
        tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await.map_err(|e| e.to_string())?;
    get(request, stream).await
}

async fn get(
    request: &HttpRequest,
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
) -> Result<(), String> {
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|e| e.to_string())?;
    let connection = tokio::spawn(connection);
    // The connection ends with this try, also when the time is over and this future is dropped.
    let _guard = AbortOnDrop(connection.abort_handle());
    let mut builder = hyper::Request::get(&request.path).header("user-agent", "berth-probe").header("accept", "*/*");
    for (name, value) in &request.headers {
        builder = builder.header(name, value);
    }
    if !request.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        builder =
            builder.header("host", format!("{}:{}", request.host.as_deref().unwrap_or("localhost"), request.port));
    }
    let outgoing = builder.body(Empty::<Bytes>::new()).map_err(|e| e.to_string())?;
    let response = sender.send_request(outgoing).await.map_err(|e| e.to_string())?;
    let status = response.status();
    // Reading a little lets servers that log a broken pipe finish their answer.
    let mut body = response.into_body();
    let mut read = 0;
    while let Some(Ok(frame)) = body.frame().await {
        read += frame.data_ref().map_or(0, Bytes::len);
        if read > BODY_BYTES_MAX {
            break;
        }
    }
    if (200..400).contains(&status.as_u16()) { Ok(()) } else { Err(format!("GET {} answered {status}", request.path)) }
}

struct AbortOnDrop(tokio::task::AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

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
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        rustls::crypto::ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}
