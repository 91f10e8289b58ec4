//! TLS of the agent's own server: its certificate, and who may come in.

use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

/// Name in the API server's client certificate: it asks for logs and exec after it has checked the user.
const API_SERVER: &str = "system:apiserver";
/// Group whose members may do everything.
const MASTERS: &str = "system:masters";

/// Why the TLS settings are not usable.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A PEM text has not what it should have.
    #[error("could not read {what} from PEM")]
    Pem { what: &'static str, source: rustls::pki_types::pem::Error },
    /// rustls refuses them.
    #[error("the certificate, key or CA cannot be used")]
    Rustls(#[from] rustls::Error),
    /// The CA makes no verifier.
    #[error("the client CA cannot be used")]
    Verifier(#[from] rustls::server::VerifierBuilderError),
}

/// A server that asks for client certificates of the CA. Callers without one reach the health paths only.
///
/// # Errors
/// When one of the three is not usable.
pub fn server_config(cert_pem: &[u8], key_pem: &[u8], ca_pem: &[u8]) -> Result<Arc<ServerConfig>, TlsError> {
    let certificates = |pem, what| {
        CertificateDer::pem_slice_iter(pem)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|source| TlsError::Pem { what, source })
    };
    let key =
        PrivateKeyDer::from_pem_slice(key_pem).map_err(|source| TlsError::Pem { what: "the private key", source })?;
    let mut roots = RootCertStore::empty();
    for ca in certificates(ca_pem, "the client CA")? {
        roots.add(ca)?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .allow_unauthenticated()
        .build()?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(verifier)
        .with_single_cert(certificates(cert_pem, "the certificate")?, key)?;
    // Websockets upgrade an HTTP/1.1 connection.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// Whether a caller with this (verified) certificate may read logs and run commands here.
pub(super) fn may_enter(certificate: Option<&CertificateDer<'_>>) -> bool {
    let Some(certificate) = certificate else { return false };
    let Ok((_, parsed)) = x509_parser::parse_x509_certificate(certificate) else { return false };
    let subject = parsed.subject();
    let is = |value: &x509_parser::x509::AttributeTypeAndValue<'_>, wanted: &str| value.as_str() == Ok(wanted);
    subject.iter_common_name().any(|cn| is(cn, API_SERVER)) || subject.iter_organization().any(|o| is(o, MASTERS))
}
