//! The cluster's own certificate authority, and the certificates that it gives out.
//!
//! Everything is made on first start and kept in one private directory. A certificate is made anew when it is
//! close to its end, names something else, or comes from another authority; clients notice nothing.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PublicKeyData, SanType,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};

const DAY: Duration = Duration::from_secs(24 * 3600);
/// How long the authority lives: longer than machines do.
const CA_LIFE: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
/// How long a certificate lives.
const LIFE: Duration = Duration::from_secs(365 * 24 * 3600);
/// A certificate with less time than this is made anew.
const RENEW_BELOW: Duration = Duration::from_secs(120 * 24 * 3600);

/// Why certificates cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    #[error("could not read or write {path}", path = path.display())]
    File { path: PathBuf, source: std::io::Error },
    #[error("could not make a certificate for {what}")]
    Make { what: String, source: rcgen::Error },
    #[error("{path} is not a usable certificate or key: move it away to have a new one made", path = path.display())]
    Broken { path: PathBuf },
    #[error("the certificates cannot be used for TLS: {0}")]
    Tls(String),
}

/// A certificate and its key, as PEM.
#[derive(Clone)]
pub struct Identity {
    pub certificate_pem: String,
    pub key_pem: String,
}

impl std::fmt::Debug for Identity {
    // The key is a secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Identity(..)")
    }
}

/// What a certificate is for.
#[derive(Clone, Debug, Default)]
pub struct Request<'a> {
    /// The user.
    pub common_name: &'a str,
    /// The user's groups.
    pub organizations: &'a [&'a str],
    /// DNS names and IP addresses that a server is reached by; none for a client.
    pub names: &'a [String],
    /// May prove who a client is.
    pub client: bool,
}

/// How this server proves to the servers behind it that it may speak for users.
#[derive(Clone, Debug)]
pub struct FrontProxy {
    /// An authority of its own: who is trusted as a proxy is no user, and no user's certificate makes a proxy.
    pub ca_pem: String,
    /// The certificate that is shown; its common name is [`FRONT_PROXY_NAME`].
    pub identity: Identity,
}

/// The common name that servers behind this one demand of it.
pub const FRONT_PROXY_NAME: &str = "front-proxy-client";

/// The certificate authority, in its directory.
pub struct Pki {
    dir: PathBuf,
    ca_pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl std::fmt::Debug for Pki {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pki").field("dir", &self.dir).finish_non_exhaustive()
    }
}

impl Pki {
    /// Opens the authority in `dir` (`ca.crt`, `ca.key`); makes it on first use.
    ///
    /// # Errors
    /// When the files cannot be read, written or used.
    pub fn open(dir: &Path) -> Result<Self, PkiError> {
        let (crt, key) = (dir.join("ca.crt"), dir.join("ca.key"));
        if !crt.exists() {
            let (certificate, private) = make_ca()?;
            // The key first: a crash between the two leaves no certificate without its key.
            write(&key, private.as_bytes())?;
            write(&crt, certificate.as_bytes())?;
        }
        let ca_pem = read(&crt)?;
        let private = KeyPair::from_pem(&read(&key)?).map_err(|_| PkiError::Broken { path: key })?;
        let issuer = Issuer::from_ca_cert_pem(&ca_pem, private).map_err(|_| PkiError::Broken { path: crt })?;
        Ok(Self { dir: dir.to_owned(), ca_pem, issuer })
    }

    /// The authority's certificate, for those who shall trust it.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// The API server's own certificate. `names`: what it is reached by, besides this machine's loopback.
    ///
    /// # Errors
    /// When it cannot be made or kept.
    pub fn api_server(&self, names: &[String]) -> Result<Identity, PkiError> {
        let mut all: Vec<String> = ["localhost", "berth", "kubernetes", "kubernetes.default.svc", "127.0.0.1", "::1"]
            .map(str::to_owned)
            .to_vec();
        all.extend(names.iter().cloned());
        all.sort();
        all.dedup();
        let request = Request { common_name: "berth-apiserver", names: &all, ..Request::default() };
        self.identity("apiserver", &request)
    }

    /// What the API server shows to agents: `system:apiserver`.
    ///
    /// # Errors
    /// When it cannot be made or kept.
    pub fn api_server_client(&self) -> Result<Identity, PkiError> {
        self.identity(
            "apiserver-client",
            &Request { common_name: "system:apiserver", client: true, ..Request::default() },
        )
    }

    /// What the API server shows to servers that serve a part of the API behind it, from an authority of its own
    /// (in the directory `front-proxy`).
    ///
    /// # Errors
    /// When it cannot be made or kept.
    pub fn front_proxy(&self) -> Result<FrontProxy, PkiError> {
        let own = Self::open(&self.dir.join("front-proxy"))?;
        let identity = own.client("client", FRONT_PROXY_NAME, &[])?;
        Ok(FrontProxy { ca_pem: own.ca_pem, identity })
    }

    /// A client's certificate: CN is the user, each O a group. Kept as `{file}.crt` and `{file}.key`.
    ///
    /// # Errors
    /// When it cannot be made or kept.
    pub fn client(&self, file: &str, user: &str, groups: &[&str]) -> Result<Identity, PkiError> {
        self.identity(file, &Request { common_name: user, organizations: groups, client: true, names: &[] })
    }

    /// An agent's certificate: client `system:node:NAME` and server under `names` at once.
    ///
    /// # Errors
    /// When it cannot be made or kept.
    pub fn node(&self, name: &str, names: &[String]) -> Result<Identity, PkiError> {
        let user = format!("{}{name}", crate::authn::NODE_USER_PREFIX);
        let groups = [crate::authn::GROUP_NODES];
        let file = format!("node-{}", name.replace(['/', '\0'], "_"));
        self.identity(&file, &Request { common_name: &user, organizations: &groups, names, client: true })
    }

    /// The kept certificate, or a new one when there is none that fits.
    ///
    /// # Errors
    /// When it cannot be made or kept.
    pub fn identity(&self, file: &str, request: &Request<'_>) -> Result<Identity, PkiError> {
        let (crt, key) = (self.dir.join(format!("{file}.crt")), self.dir.join(format!("{file}.key")));
        if let (Ok(certificate_pem), Ok(key_pem)) = (std::fs::read_to_string(&crt), std::fs::read_to_string(&key))
            && self.fits(&certificate_pem, &key_pem, request)
        {
            return Ok(Identity { certificate_pem, key_pem });
        }
        let identity = self.make(request)?;
        write(&key, identity.key_pem.as_bytes())?;
        write(&crt, identity.certificate_pem.as_bytes())?;
        Ok(identity)
    }

    fn make(&self, request: &Request<'_>) -> Result<Identity, PkiError> {
        let failed = |source| PkiError::Make { what: request.common_name.to_owned(), source };
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, request.common_name);
        for organization in request.organizations {
            params.distinguished_name.push(DnType::OrganizationName, *organization);
        }
        for name in request.names {
            params.subject_alt_names.push(match name.parse::<IpAddr>() {
                Ok(address) => SanType::IpAddress(address),
                Err(_) => SanType::DnsName(name.as_str().try_into().map_err(failed)?),
            });
        }
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        if request.client {
            params.extended_key_usages.push(ExtendedKeyUsagePurpose::ClientAuth);
        }
        if !request.names.is_empty() {
            params.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth);
        }
        valid_for(&mut params, LIFE);
        let key = KeyPair::generate().map_err(failed)?;
        let certificate = params.signed_by(&key, &self.issuer).map_err(failed)?;
        Ok(Identity { certificate_pem: certificate.pem(), key_pem: key.serialize_pem() })
    }

    /// Whether a kept certificate is ours, has time left, and says what is asked.
    fn fits(&self, certificate_pem: &str, key_pem: &str, request: &Request<'_>) -> bool {
        let (Ok(der), Ok(ca_der)) = (
            CertificateDer::from_pem_slice(certificate_pem.as_bytes()),
            CertificateDer::from_pem_slice(self.ca_pem.as_bytes()),
        ) else {
            return false;
        };
        let (Ok((_, certificate)), Ok((_, ca))) =
            (x509_parser::parse_x509_certificate(&der), x509_parser::parse_x509_certificate(&ca_der))
        else {
            return false;
        };
        let Ok(key) = KeyPair::from_pem(key_pem) else { return false };
        let now = now().as_secs() as i64;
        let left = certificate.validity().not_after.timestamp() - now;
        let texts = |kind: &x509_parser::der_parser::oid::Oid<'_>| -> Vec<String> {
            let found = certificate.subject().iter_by_oid(kind);
            found.filter_map(|a| a.as_str().ok().map(str::to_owned)).collect()
        };
        let names: Vec<String> = match certificate.subject_alternative_name() {
            Ok(Some(extension)) => extension.value.general_names.iter().filter_map(name_text).collect(),
            _ => Vec::new(),
        };
        left > RENEW_BELOW.as_secs() as i64
            && certificate.issuer().as_raw() == ca.subject().as_raw()
            && certificate.public_key().raw == key.subject_public_key_info().as_slice()
            && texts(&x509_parser::oid_registry::OID_X509_COMMON_NAME) == [request.common_name]
            && texts(&x509_parser::oid_registry::OID_X509_ORGANIZATION_NAME) == request.organizations
            && request.names.iter().all(|name| names.contains(name))
    }

    /// TLS for a server that shows `identity` and reads (but does not demand) certificates of clients.
    ///
    /// # Errors
    /// When the identity cannot be used.
    pub fn server_config(&self, identity: &Identity) -> Result<Arc<ServerConfig>, PkiError> {
        self.server_config_trusting(identity, "")
    }

    /// The same, where clients of other authorities (a PEM bundle) get through the handshake, too: front proxies.
    /// What they are worth is for the server's [`RequestHeaders`](crate::RequestHeaders) to say.
    ///
    /// # Errors
    /// When the identity or the bundle cannot be used.
    pub fn server_config_trusting(&self, identity: &Identity, others: &str) -> Result<Arc<ServerConfig>, PkiError> {
        let mut roots = self.roots()?;
        for authority in CertificateDer::pem_slice_iter(others.as_bytes()) {
            roots.add(authority.map_err(tls)?).map_err(tls)?;
        }
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider())
            .allow_unauthenticated()
            .build()
            .map_err(tls)?;
        let (chain, key) = identity.parts()?;
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(tls)?
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, key)
            .map_err(tls)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }

    /// TLS for a client that trusts this authority and shows `identity`.
    ///
    /// # Errors
    /// When the identity cannot be used.
    pub fn client_config(&self, identity: &Identity) -> Result<Arc<ClientConfig>, PkiError> {
        let (chain, key) = identity.parts()?;
        let config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(tls)?
            .with_root_certificates(self.roots()?)
            .with_client_auth_cert(chain, key)
            .map_err(tls)?;
        Ok(Arc::new(config))
    }

    fn roots(&self) -> Result<RootCertStore, PkiError> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.ca_pem.as_bytes()).map_err(tls)?).map_err(tls)?;
        Ok(roots)
    }
}

impl Identity {
    /// The chain and the key, as TLS wants them.
    pub(crate) fn parts(&self) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), PkiError> {
        let chain = CertificateDer::pem_slice_iter(self.certificate_pem.as_bytes());
        let chain = chain.collect::<Result<Vec<_>, _>>().map_err(tls)?;
        Ok((chain, PrivateKeyDer::from_pem_slice(self.key_pem.as_bytes()).map_err(tls)?))
    }
}

/// Named here, so that it does not matter what the process has installed.
fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn tls(error: impl std::fmt::Display) -> PkiError {
    PkiError::Tls(error.to_string())
}

fn make_ca() -> Result<(String, String), PkiError> {
    let failed = |source| PkiError::Make { what: "the certificate authority".to_owned(), source };
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    // Its own name each time: a certificate of another authority is told apart by it.
    let id = uuid::Uuid::new_v4().simple().to_string();
    params.distinguished_name.push(DnType::CommonName, format!("berth-ca-{}", &id[..12]));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
    valid_for(&mut params, CA_LIFE);
    let key = KeyPair::generate().map_err(failed)?;
    let certificate = params.self_signed(&key).map_err(failed)?;
    Ok((certificate.pem(), key.serialize_pem()))
}

fn valid_for(params: &mut CertificateParams, life: Duration) {
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    // A day back: clocks of machines differ.
    params.not_before = epoch + now().saturating_sub(DAY);
    params.not_after = epoch + (now() + life);
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

fn name_text(name: &x509_parser::extensions::GeneralName<'_>) -> Option<String> {
    match name {
        x509_parser::extensions::GeneralName::DNSName(name) => Some((*name).to_owned()),
        x509_parser::extensions::GeneralName::IPAddress(bytes) => match bytes.len() {
            4 => <[u8; 4]>::try_from(*bytes).ok().map(|b| IpAddr::from(b).to_string()),
            16 => <[u8; 16]>::try_from(*bytes).ok().map(|b| IpAddr::from(b).to_string()),
            _ => None,
        },
        _ => None,
    }
}

fn read(path: &Path) -> Result<String, PkiError> {
    std::fs::read_to_string(path).map_err(|source| PkiError::File { path: path.to_owned(), source })
}

fn write(path: &Path, content: &[u8]) -> Result<(), PkiError> {
    crate::files::write_private(path, content).map_err(|source| PkiError::File { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_kept_until_it_no_longer_fits() {
        let dir = tempfile::tempdir().unwrap();
        let first = Pki::open(dir.path()).unwrap().api_server(&["10.0.0.1".to_owned()]).unwrap();
        let pki = Pki::open(dir.path()).unwrap();
        let again = pki.api_server(&["10.0.0.1".to_owned()]).unwrap();
        assert_eq!(first.certificate_pem, again.certificate_pem);
        let other = pki.api_server(&["10.0.0.2".to_owned()]).unwrap();
        assert_ne!(first.certificate_pem, other.certificate_pem);
        pki.server_config(&other).unwrap();
    }

    #[test]
    fn another_authority_makes_new_certificates() {
        let dir = tempfile::tempdir().unwrap();
        let first = Pki::open(dir.path()).unwrap().client("admin", "admin", &["system:masters"]).unwrap();
        std::fs::remove_file(dir.path().join("ca.crt")).unwrap();
        let second = Pki::open(dir.path()).unwrap().client("admin", "admin", &["system:masters"]).unwrap();
        assert_ne!(first.certificate_pem, second.certificate_pem);
    }

    #[test]
    fn keys_are_private_files() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        Pki::open(dir.path()).unwrap().node("n1", &["127.0.0.1".to_owned()]).unwrap();
        for entry in std::fs::read_dir(dir.path()).unwrap() {
            let path = entry.unwrap().path();
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600, "{path:?}");
        }
    }

    #[test]
    fn a_client_certificate_names_its_user() {
        let dir = tempfile::tempdir().unwrap();
        let identity = Pki::open(dir.path()).unwrap().node("n1", &[]).unwrap();
        let der = CertificateDer::from_pem_slice(identity.certificate_pem.as_bytes()).unwrap();
        let user = crate::authn::user_of_certificate(&der).unwrap();
        let node = crate::authn::UserInfo::node("n1");
        assert_eq!((user.name, user.groups), (node.name, node.groups));
    }
}
