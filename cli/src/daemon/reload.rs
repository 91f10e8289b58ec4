//! A certificate that is replaced while it is in use: new handshakes show the new one, open connections go on.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::client::{ResolvesClientCert, Resumption};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, ServerConfig, SignatureScheme};

use crate::failure::{Failure, Outcome};

/// The certificate of now, with its key.
pub(crate) struct Reloading(ArcSwap<CertifiedKey>);

impl fmt::Debug for Reloading {
    // The key is a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reloading(..)")
    }
}

impl Reloading {
    /// Starts with this one.
    ///
    /// # Errors
    /// When one of the two cannot be read, or they do not belong together.
    pub(crate) fn new(certificate_pem: &str, key_pem: &str) -> Outcome<Arc<Self>> {
        Ok(Arc::new(Self(ArcSwap::from_pointee(read(certificate_pem, key_pem)?))))
    }

    /// Shows this one from now on.
    ///
    /// # Errors
    /// As [`Self::new`]; the old one stays.
    pub(crate) fn replace(&self, certificate_pem: &str, key_pem: &str) -> Outcome<()> {
        self.0.store(Arc::new(read(certificate_pem, key_pem)?));
        Ok(())
    }

    /// A server that shows it.
    pub(crate) fn server(self: &Arc<Self>, config: Arc<ServerConfig>) -> Arc<ServerConfig> {
        let mut config = Arc::unwrap_or_clone(config);
        config.cert_resolver = Arc::clone(self) as Arc<dyn ResolvesServerCert>;
        Arc::new(config)
    }

    /// A client that shows it.
    pub(crate) fn client(self: &Arc<Self>, config: &mut ClientConfig) {
        config.client_auth_cert_resolver = Arc::clone(self) as Arc<dyn ResolvesClientCert>;
        // A resumed session would speak with the certificate of its first handshake.
        config.resumption = Resumption::disabled();
    }
}

impl ResolvesServerCert for Reloading {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

impl ResolvesClientCert for Reloading {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

fn read(certificate_pem: &str, key_pem: &str) -> Outcome<CertifiedKey> {
    let unusable = |error: &dyn fmt::Display| Failure::new(format!("the certificate cannot be used: {error}"));
    let chain = CertificateDer::pem_slice_iter(certificate_pem.as_bytes()).collect::<Result<Vec<_>, _>>();
    let chain = chain.map_err(|e| unusable(&e))?;
    let key = PrivateKeyDer::from_pem_slice(key_pem.as_bytes()).map_err(|_| unusable(&"its key cannot be read"))?;
    CertifiedKey::from_der(chain, key, &rustls::crypto::ring::default_provider()).map_err(|e| unusable(&e))
}

#[cfg(test)]
mod tests {
    use berth_api::pki::Pki;

    use super::*;

    #[test]
    fn a_certificate_is_replaced_and_a_broken_one_is_not_taken() {
        let dir = std::env::temp_dir().join(format!("berth-reload-{}", std::process::id()));
        let pki = Pki::open(&dir).unwrap();
        let (one, two) = (pki.client("a", "a", &[]).unwrap(), pki.client("b", "b", &[]).unwrap());
        std::fs::remove_dir_all(&dir).unwrap();
        let kept = Reloading::new(&one.certificate_pem, &one.key_pem).unwrap();
        let first = kept.0.load_full();
        assert!(kept.replace(&one.certificate_pem, &two.key_pem).is_err());
        assert_eq!(kept.0.load().cert, first.cert);
        kept.replace(&two.certificate_pem, &two.key_pem).unwrap();
        assert_ne!(kept.0.load().cert, first.cert);
    }
}
