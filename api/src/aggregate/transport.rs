//! Connections to the servers behind this one: whom they trust, what we show, and which are kept for the next request.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body::Body as _;
use http_body_util::{BodyExt, Empty};
use hyper::Response;
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use parking_lot::Mutex;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};

use super::table::{Remote, Trust};
use crate::http::RequestBody;
use crate::inner::Inner;
use crate::pki::FrontProxy;
use crate::webhook::{self, Endpoint, Pool, ServiceTasks};

/// How long a server may take to accept a connection, whatever is asked of it.
const DIAL_TIMEOUT: Duration = Duration::from_secs(10);
/// Ways of trusting that are kept: one for each APIService, usually. Making one anew costs a millisecond.
const TRUSTS_MAX: usize = 64;

pub(super) type Sender = SendRequest<RequestBody>;

/// The way to the servers behind this one.
#[derive(Default)]
pub(super) struct Transport {
    front_proxy: Option<FrontProxy>,
    tls: Mutex<HashMap<Trust, Result<Arc<ClientConfig>, String>>>,
    pool: Pool<RequestBody>,
    /// Which of a service's addresses is next.
    turn: AtomicUsize,
}

impl std::fmt::Debug for Transport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Transport({:?})", self.pool)
    }
}

/// An answer with the connection that brings it.
pub(super) struct Sent {
    pub(super) response: Response<Incoming>,
    pub(super) sender: Sender,
}

/// Where a request goes.
pub(super) struct Place {
    pub(super) endpoint: Endpoint,
    addresses: Vec<SocketAddr>,
}

/// Why there is no place to send a request to.
pub(super) enum Nowhere {
    /// What the APIService says cannot be used.
    Unusable(String),
    /// Nobody answers for the service.
    Unresolved(String),
}

impl Transport {
    pub(super) fn new(front_proxy: Option<FrontProxy>) -> Self {
        Self { front_proxy, ..Self::default() }
    }

    /// Finds where a remote's requests go.
    pub(super) async fn place(&self, server: &Inner, remote: &Remote) -> Result<Place, Nowhere> {
        let tls = self.tls(&remote.trust).map_err(Nowhere::Unusable)?;
        let endpoint = Endpoint::of_service(&remote.namespace, &remote.service, remote.port, &remote.path(), tls)
            .map_err(Nowhere::Unusable)?;
        let rows = server.registry.snapshot();
        let found = webhook::addresses(&ServiceTasks(&rows), &endpoint).await;
        let mut addresses = found.map_err(Nowhere::Unresolved)?;
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % addresses.len().max(1);
        addresses.rotate_left(turn);
        Ok(Place { endpoint, addresses })
    }

    /// Sends a request, on a connection that waits for one if `reuse` and there is one.
    ///
    /// # Errors
    /// Why there is no answer, in the words of Go's client.
    pub(super) async fn send(
        &self,
        place: &Place,
        mut request: Request<RequestBody>,
        reuse: bool,
    ) -> Result<Sent, String> {
        // The server may have closed a kept connection just now. What has not been sent, or may be sent twice, is then
        // sent on a new one.
        let again = (request.body().is_end_stream() && request.method().is_safe()).then(|| copy(&request));
        if reuse && let Some(mut sender) = self.pool.take(&place.endpoint) {
            match sender.try_send_request(request).await {
                Ok(response) => return Ok(Sent { response, sender }),
                Err(mut error) => match error.take_message().or(again) {
                    Some(unsent) => request = unsent,
                    None => return Err(webhook::chain(&error.into_error())),
                },
            }
        }
        let opened = tokio::time::timeout(DIAL_TIMEOUT, webhook::open(&place.endpoint, &place.addresses)).await;
        let mut sender = opened.map_err(|_| "dial tcp: i/o timeout".to_owned())??;
        let response = sender.send_request(request).await.map_err(|error| webhook::chain(&error))?;
        Ok(Sent { response, sender })
    }

    /// Keeps a connection whose answer has been read to its end.
    pub(super) fn put_back(&self, endpoint: &Endpoint, sender: Sender) {
        self.pool.put_back(endpoint, sender);
    }

    fn tls(&self, trust: &Trust) -> Result<Arc<ClientConfig>, String> {
        let mut kept = self.tls.lock();
        if let Some(found) = kept.get(trust) {
            return found.clone();
        }
        if kept.len() >= TRUSTS_MAX {
            kept.clear();
        }
        let made = config(trust, self.front_proxy.as_ref());
        kept.insert(trust.clone(), made.clone());
        made
    }
}

/// A request without a body, once more.
fn copy(request: &Request<RequestBody>) -> Request<RequestBody> {
    let mut copy = Request::new(empty());
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    copy
}

/// No body.
pub(super) fn empty() -> RequestBody {
    Empty::<Bytes>::new().map_err(|never| match never {}).boxed_unsync()
}

fn config(trust: &Trust, front_proxy: Option<&FrontProxy>) -> Result<Arc<ClientConfig>, String> {
    let Some(front_proxy) = front_proxy else {
        return Err("this server has no certificate to show to the servers behind it".to_owned());
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = match trust {
        Trust::Authority(bundle) => webhook::verifier(bundle)?,
        Trust::Anybody => Arc::new(Anybody(Arc::clone(&provider))),
    };
    let (chain, key) = front_proxy.identity.parts().map_err(|error| error.to_string())?;
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_client_auth_cert(chain, key)
        .map_err(|error| error.to_string())?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// `insecureSkipTLSVerify`: whoever answers is believed, if they have the key of what they show.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
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
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
