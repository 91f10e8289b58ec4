//! The asker's side: a key, a request for a certificate of it, and what of the answer has to be known.

use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, PublicKeyData, SanType};
use ring::digest::{SHA256, digest};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use x509_parser::extensions::GeneralName;

use crate::random::hex;

/// A certificate is replaced at a point of its life between these two, in thousandths: early enough for many tries,
/// and not by all nodes at once. Kubelet's share.
const RENEW_FROM: i64 = 700;
const RENEW_TO: i64 = 900;

/// A key or a request cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MakeError {
    #[error("could not make a key")]
    NewKey,
    #[error("the key cannot be read")]
    Key,
    #[error("{0:?} cannot stand in a certificate")]
    Name(String),
    #[error("could not sign the request")]
    Sign,
}

/// A new private key (P-256) in PEM form.
///
/// # Errors
/// When the system has no random numbers.
pub fn new_key() -> Result<String, MakeError> {
    Ok(KeyPair::generate().map_err(|_| MakeError::NewKey)?.serialize_pem())
}

/// A PKCS#10 request in PEM form: common name, organizations, and DNS names or addresses.
///
/// # Errors
/// When the key cannot be read, or a name cannot be one.
pub fn make(key_pem: &str, common_name: &str, organizations: &[&str], names: &[String]) -> Result<String, MakeError> {
    let key = KeyPair::from_pem(key_pem).map_err(|_| MakeError::Key)?;
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    for organization in organizations {
        params.distinguished_name.push(DnType::OrganizationName, *organization);
    }
    params.distinguished_name.push(DnType::CommonName, common_name);
    for name in names {
        params.subject_alt_names.push(match name.parse() {
            Ok(address) => SanType::IpAddress(address),
            Err(_) => SanType::DnsName(name.as_str().try_into().map_err(|_| MakeError::Name(name.clone()))?),
        });
    }
    let request = params.serialize_request(&key).map_err(|_| MakeError::Sign)?;
    request.pem().map_err(|_| MakeError::Sign)
}

/// A name for the request of a key and nothing else: who asks again after a crash finds its first request. `None`
/// when the key cannot be read.
pub fn request_name(key_pem: &str, what: &str) -> Option<String> {
    let key = KeyPair::from_pem(key_pem).ok()?;
    let hash = digest(&SHA256, &[&key.subject_public_key_info(), what.as_bytes()].concat());
    Some(format!("node-csr-{}", hex(&hash.as_ref()[..20])))
}

/// What its owner looks at in a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issued {
    pub common_name: String,
    /// DNS names and addresses, as text.
    pub names: Vec<String>,
    /// Seconds since 1970.
    pub not_before: i64,
    /// Seconds since 1970.
    pub not_after: i64,
    public_key: Vec<u8>,
    /// Of all of it: as good as a die, and the same after a restart.
    hash: u16,
}

impl Issued {
    /// Reads the first certificate of a PEM text.
    pub fn parse(pem: &str) -> Option<Self> {
        let der = CertificateDer::from_pem_slice(pem.as_bytes()).ok()?;
        let (_, certificate) = x509_parser::parse_x509_certificate(&der).ok()?;
        let names = match certificate.subject_alternative_name() {
            Ok(Some(found)) => found.value.general_names.iter().filter_map(name_text).collect(),
            _ => Vec::new(),
        };
        let hash = digest(&SHA256, &der);
        Some(Self {
            common_name: certificate.subject().iter_common_name().last()?.as_str().ok()?.to_owned(),
            names,
            not_before: certificate.validity().not_before.timestamp(),
            not_after: certificate.validity().not_after.timestamp(),
            public_key: certificate.public_key().raw.to_vec(),
            hash: u16::from_be_bytes([hash.as_ref()[0], hash.as_ref()[1]]),
        })
    }

    /// Whether it is the certificate of this key.
    pub fn is_of_key(&self, key_pem: &str) -> bool {
        KeyPair::from_pem(key_pem).is_ok_and(|key| key.subject_public_key_info() == self.public_key)
    }

    /// Whether its time is now.
    pub fn is_valid_at(&self, now: i64) -> bool {
        self.not_before <= now && now < self.not_after
    }

    /// When it is to be replaced: a point between 70 and 90 % of its life, another one for each certificate.
    pub fn renew_at(&self) -> i64 {
        let share = RENEW_FROM + i64::from(self.hash) % (RENEW_TO - RENEW_FROM + 1);
        let life = self.not_after.saturating_sub(self.not_before);
        self.not_before.saturating_add((i128::from(life) * i128::from(share) / 1000) as i64)
    }
}

fn name_text(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => {
            let four = <[u8; 4]>::try_from(*bytes).map(std::net::IpAddr::from);
            four.or_else(|_| <[u8; 16]>::try_from(*bytes).map(std::net::IpAddr::from)).ok().map(|ip| ip.to_string())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::csr::{NODES, Request};

    #[test]
    fn a_request_that_is_made_can_be_read() {
        let key = new_key().unwrap();
        let names = ["n1".to_owned(), "10.0.0.7".to_owned()];
        let request = Request::parse(&make(&key, "system:node:n1", &[NODES], &names).unwrap()).unwrap();
        assert_eq!((request.common_name.as_str(), request.organizations.len()), ("system:node:n1", 1));
        assert_eq!((request.names.dns.len(), request.names.ips.len()), (1, 1));
        assert_eq!(make(&key, "n", &[], &["ä".to_owned()]), Err(MakeError::Name("ä".to_owned())));
        assert_eq!(make("no key", "n", &[], &[]), Err(MakeError::Key));
    }

    #[test]
    fn a_key_names_its_request_for_good() {
        let (one, two) = (new_key().unwrap(), new_key().unwrap());
        assert_eq!(request_name(&one, "client"), request_name(&one, "client"));
        assert_ne!(request_name(&one, "client"), request_name(&two, "client"));
        assert_ne!(request_name(&one, "client"), request_name(&one, "serving"));
    }

    #[test]
    fn certificates_are_renewed_late_in_their_lives_and_not_together() {
        let issued = |hash| Issued {
            common_name: String::new(),
            names: vec![],
            not_before: 1000,
            not_after: 2000,
            public_key: vec![],
            hash,
        };
        assert_eq!((issued(0).renew_at(), issued(200).renew_at()), (1700, 1900));
        assert!((0..=u16::MAX).all(|hash| (1700..=1900).contains(&issued(hash).renew_at())));
        assert!(issued(0).is_valid_at(1999) && !issued(0).is_valid_at(2000) && !issued(0).is_valid_at(999));
    }
}
