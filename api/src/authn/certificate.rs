//! What a client certificate proves, and what a front proxy with one may say.

use std::collections::BTreeMap;

use http::HeaderMap;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use sha2::{Digest, Sha256};
use std::fmt::Write;

use super::config::RequestHeaders;
use super::impersonate::unescape_key;
use super::{Identity, UserInfo};

/// Extra key that names the certificate.
const CREDENTIAL_ID: &str = berth_identity::EXTRA_CREDENTIAL_ID;

/// What a connection proved by its certificate. A request extension.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    /// The user that the certificate is; `None` for a front proxy's that is no user's.
    pub user: Option<UserInfo>,
    /// It is a front proxy: what it says of others is believed.
    is_proxy: bool,
}

/// The identity in a verified client certificate: CN is the user, each O a group.
pub fn user_of_certificate(der: &[u8]) -> Option<UserInfo> {
    let (_, certificate) = x509_parser::parse_x509_certificate(der).ok()?;
    let subject = certificate.subject();
    // The last one counts, as in Go.
    let name = subject.iter_common_name().last()?.as_str().ok()?.to_owned();
    if name.is_empty() {
        return None;
    }
    let groups: Vec<&str> = subject.iter_organization().filter_map(|o| o.as_str().ok()).collect();
    let mut id = String::from("X509SHA256=");
    for byte in Sha256::digest(der) {
        let _ = write!(id, "{byte:02x}");
    }
    let extra = BTreeMap::from([(CREDENTIAL_ID.to_owned(), vec![id])]);
    Some(UserInfo { extra, ..UserInfo::new(name, &groups) })
}

/// The authority of front proxies, and the headers that they use.
#[derive(Debug)]
pub(super) struct FrontProxy {
    headers: RequestHeaders,
    authorities: Vec<CertificateDer<'static>>,
}

impl FrontProxy {
    pub(super) fn new(headers: &RequestHeaders) -> Result<Self, String> {
        let read = CertificateDer::pem_slice_iter(headers.ca_pem.as_bytes()).collect::<Result<Vec<_>, _>>();
        let authorities = read.map_err(|error| format!("the front proxies' authority: {error}"))?;
        if authorities.is_empty() {
            return Err("the front proxies' authority: no certificate was found".to_owned());
        }
        Ok(Self { headers: headers.clone(), authorities })
    }

    /// Whether one of the authorities signed this certificate. TLS has checked its times and its key.
    fn signed(&self, der: &[u8]) -> bool {
        let Ok((_, certificate)) = x509_parser::parse_x509_certificate(der) else { return false };
        self.authorities.iter().any(|authority| {
            x509_parser::parse_x509_certificate(authority).is_ok_and(|(_, authority)| {
                certificate.issuer().as_raw() == authority.subject().as_raw()
                    && certificate.verify_signature(Some(authority.public_key())).is_ok()
            })
        })
    }

    fn allows(&self, name: &str) -> bool {
        let allowed = &self.headers.allowed_names;
        allowed.is_empty() || allowed.iter().any(|other| other == name)
    }
}

impl Identity {
    /// What a connection's certificate proves.
    pub(crate) fn peer(&self, der: &[u8]) -> Option<Peer> {
        let user = user_of_certificate(der);
        let Some(proxy) = &self.front_proxy else { return Some(Peer { user: Some(user?), is_proxy: false }) };
        if !proxy.signed(der) {
            return Some(Peer { user: Some(user?), is_proxy: false });
        }
        // The front proxies' authority names no users, unless it is the clients' authority, too.
        let is_proxy = user.as_ref().is_some_and(|user| proxy.allows(&user.name));
        Some(Peer { user: user.filter(|_| proxy.headers.signs_users), is_proxy })
    }

    /// The user that a front proxy vouches for in a request.
    pub(super) fn vouched_for(&self, peer: &Peer, headers: &HeaderMap) -> Option<UserInfo> {
        let proxy = self.front_proxy.as_ref().filter(|_| peer.is_proxy)?;
        let first = |names: &[String]| {
            let mut found = names.iter().filter_map(|name| headers.get(name.as_str())?.to_str().ok());
            found.find(|text| !text.is_empty()).map(str::to_owned)
        };
        let mut user = UserInfo { name: first(&proxy.headers.username)?, ..UserInfo::default() };
        user.uid = first(&proxy.headers.uid).unwrap_or_default();
        for name in &proxy.headers.group {
            let values = headers.get_all(name.as_str()).iter().filter_map(|value| value.to_str().ok());
            user.groups.extend(values.map(str::to_owned));
        }
        for (name, value) in headers {
            let prefixes = proxy.headers.extra_prefix.iter().map(|prefix| prefix.to_ascii_lowercase());
            let key = prefixes.filter_map(|prefix| name.as_str().strip_prefix(&prefix).map(unescape_key)).next();
            if let (Some(key), Ok(value)) = (key, value.to_str()) {
                user.extra.entry(key).or_default().push(value.to_owned());
            }
        }
        Some(user.authenticated())
    }
}
