//! Whom a TLS client of ours trusts: the authorities of a PEM bundle, or those of the machine.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

/// A bundle of authorities cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct TrustError(String);

/// TLS settings of a client that trusts the authorities in `pem`, or the machine's when there is none.
///
/// # Errors
/// When the bundle holds no certificate, or one that is broken.
pub(crate) fn client(pem: Option<&str>) -> Result<Arc<ClientConfig>, TrustError> {
    let mut roots = RootCertStore::empty();
    match pem {
        Some(pem) => {
            for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
                let certificate = certificate.map_err(|e| TrustError(format!("data is not valid PEM: {e}")))?;
                roots.add(certificate).map_err(|e| TrustError(format!("a certificate cannot be used: {e}")))?;
            }
            if roots.is_empty() {
                return Err(TrustError("data does not contain any valid RSA or ECDSA certificates".to_owned()));
            }
        }
        None => {
            // What the machine trusts; a broken file among them must not stop the others.
            let found = rustls_native_certs::load_native_certs();
            roots.add_parsable_certificates(found.certs);
        }
    }
    // Named here, so that it does not matter what the process has installed.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| TrustError(e.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}
