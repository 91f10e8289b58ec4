//! An authority signs a certificate for a request.
//!
//! Written out here, byte for byte: subject, key and names of the request go over as they are, with every value of a
//! subject that has several organizations.

use std::fmt;

use ring::digest::{SHA256, digest};
use ring::rand::SystemRandom;
use ring::signature as rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::Request;
use crate::der;
use crate::jws::pem;
use crate::random;

/// How long a certificate lives where nothing else is asked: a year.
pub const LIFE_SECONDS: i64 = 365 * 24 * 60 * 60;
/// Shortest life: twice the back-dating.
const LIFE_SECONDS_MIN: i64 = 600;
/// Certificates begin in the past: clocks of machines differ.
const BACKDATE_SECONDS: i64 = 300;
/// Lives shorter than this are not shortened by the back-dating.
const SHORT_SECONDS: i64 = 8 * 60 * 60;

/// How long a certificate lives that asks for `expiration_seconds`, where the longest life is `longest`.
pub fn life(expiration_seconds: Option<i64>, longest: i64) -> i64 {
    expiration_seconds.map_or(longest, |asked| if asked > longest { longest } else { asked.max(LIFE_SECONDS_MIN) })
}

/// Why an authority cannot be used, or cannot sign.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthorityError {
    #[error("the authority's certificate cannot be read")]
    Certificate,
    #[error("the authority's key cannot be used: it must be P-256, P-384 or RSA in PKCS#8 form")]
    Key,
    #[error("the authority's key is not that of its certificate")]
    Mismatch,
    #[error("the authority's certificate has expired")]
    Expired,
    #[error("could not sign: the system has no random numbers")]
    Random,
    #[error("the usage {0:?} cannot be put into a certificate")]
    Usage(String),
    #[error("the certificate is not of this authority")]
    NotIssued,
}

enum Pair {
    P256(rs::EcdsaKeyPair),
    P384(rs::EcdsaKeyPair),
    Rsa(Box<rs::RsaKeyPair>),
}

/// A certificate with its private key, which signs others.
pub struct Authority {
    pem: String,
    pair: Pair,
    /// DER of its subject.
    name: Vec<u8>,
    /// Its key's identifier.
    key_id: Vec<u8>,
    not_after: i64,
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Authority({})", random::hex(&self.key_id))
    }
}

impl Authority {
    /// Reads certificate and key.
    ///
    /// # Errors
    /// When one cannot be read, or they do not belong together.
    pub fn open(certificate_pem: &str, key_pem: &str) -> Result<Self, AuthorityError> {
        let der =
            CertificateDer::from_pem_slice(certificate_pem.as_bytes()).map_err(|_| AuthorityError::Certificate)?;
        let (_, certificate) = x509_parser::parse_x509_certificate(&der).map_err(|_| AuthorityError::Certificate)?;
        let pair = read_key(key_pem)?;
        let public = &certificate.public_key().subject_public_key.data;
        let own = match &pair {
            Pair::P256(pair) | Pair::P384(pair) => rs::KeyPair::public_key(pair).as_ref(),
            Pair::Rsa(pair) => rs::KeyPair::public_key(&**pair).as_ref(),
        };
        if own != &public[..] {
            return Err(AuthorityError::Mismatch);
        }
        // What the certificate calls its key; else the hash, in the short form of RFC 7093.
        let told = certificate.iter_extensions().find_map(|extension| match extension.parsed_extension() {
            x509_parser::extensions::ParsedExtension::SubjectKeyIdentifier(id) => Some(id.0.to_vec()),
            _ => None,
        });
        let key_id = told.unwrap_or_else(|| digest(&SHA256, public).as_ref()[..20].to_vec());
        Ok(Self {
            pem: certificate_pem.to_owned(),
            name: certificate.subject().as_raw().to_vec(),
            not_after: certificate.validity().not_after.timestamp(),
            key_id,
            pair,
        })
    }

    /// Its own certificate.
    pub fn certificate_pem(&self) -> &str {
        &self.pem
    }

    /// A certificate for a request, good for `life` seconds from `now`, but no longer than the authority itself.
    ///
    /// # Errors
    /// When a usage has no place in a certificate, the authority is too old, or there are no random numbers.
    pub fn sign(&self, request: &Request, usages: &[String], life: i64, now: i64) -> Result<String, AuthorityError> {
        let until = if life < SHORT_SECONDS { now + life } else { now + life - BACKDATE_SECONDS };
        let until = until.min(self.not_after);
        if until <= now {
            return Err(AuthorityError::Expired);
        }
        let mut serial = random::bytes::<16>().map_err(|_| AuthorityError::Random)?;
        serial[0] = (serial[0] & 0x7f) | 0x40;
        let validity = [time(now - BACKDATE_SECONDS), time(until)].concat();
        let certificate = der::constructed(
            der::SEQUENCE,
            &[
                // Version 3.
                &der::tlv(0xa0, &der::integer(der::INTEGER, 2)),
                &der::unsigned(&serial),
                &self.algorithm(),
                &self.name,
                &der::tlv(der::SEQUENCE, &validity),
                &request.subject,
                &request.public_key,
                &der::tlv(0xa3, &der::tlv(der::SEQUENCE, &self.extensions(request, usages)?)),
            ],
        );
        let signature = self.signature(&certificate)?;
        let whole = der::constructed(der::SEQUENCE, &[&certificate, &self.algorithm(), &der::bits(&signature)]);
        Ok(pem("CERTIFICATE", &whole))
    }

    /// Whether a certificate (PEM) was signed by this authority; its times are not looked at.
    ///
    /// # Errors
    /// When it was not.
    pub fn check_issued(&self, certificate_pem: &str) -> Result<(), AuthorityError> {
        let read =
            |text: &str| CertificateDer::from_pem_slice(text.as_bytes()).map_err(|_| AuthorityError::Certificate);
        let (own, der) = (read(&self.pem)?, read(certificate_pem)?);
        let (_, own) = x509_parser::parse_x509_certificate(&own).map_err(|_| AuthorityError::Certificate)?;
        let (_, certificate) = x509_parser::parse_x509_certificate(&der).map_err(|_| AuthorityError::Certificate)?;
        certificate.verify_signature(Some(own.public_key())).map_err(|_| AuthorityError::NotIssued)
    }

    fn extensions(&self, request: &Request, usages: &[String]) -> Result<Vec<u8>, AuthorityError> {
        let (key_usage, extended) = split_usages(usages)?;
        let mut all = Vec::new();
        if key_usage != [0, 0] {
            all.extend(extension(&[0x55, 0x1d, 15], true, &bit_flags(key_usage)));
        }
        if !extended.is_empty() {
            all.extend(extension(&[0x55, 0x1d, 37], false, &der::tlv(der::SEQUENCE, &extended)));
        }
        // No authority: an empty sequence is "CA: false".
        all.extend(extension(&[0x55, 0x1d, 19], true, &der::tlv(der::SEQUENCE, &[])));
        let issuer_key = der::tlv(der::SEQUENCE, &der::tlv(0x80, &self.key_id));
        all.extend(extension(&[0x55, 0x1d, 35], false, &issuer_key));
        if let Some(names) = &request.alternative_names {
            // Critical when there is no subject to go by (RFC 5280, 4.2.1.6).
            let critical = request.subject == der::tlv(der::SEQUENCE, &[]);
            all.extend(extension(&[0x55, 0x1d, 17], critical, names));
        }
        Ok(all)
    }

    fn algorithm(&self) -> Vec<u8> {
        const ECDSA_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
        const ECDSA_SHA384: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 3];
        const RSA_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 11];
        match &self.pair {
            Pair::P256(_) => der::tlv(der::SEQUENCE, &der::tlv(der::OID, ECDSA_SHA256)),
            Pair::P384(_) => der::tlv(der::SEQUENCE, &der::tlv(der::OID, ECDSA_SHA384)),
            Pair::Rsa(_) => {
                der::constructed(der::SEQUENCE, &[&der::tlv(der::OID, RSA_SHA256), &der::tlv(der::NULL, &[])])
            }
        }
    }

    fn signature(&self, message: &[u8]) -> Result<Vec<u8>, AuthorityError> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::P256(pair) | Pair::P384(pair) => {
                pair.sign(&random, message).map(|s| s.as_ref().to_vec()).map_err(|_| AuthorityError::Random)
            }
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(&rs::RSA_PKCS1_SHA256, &random, message, &mut signature)
                    .map_err(|_| AuthorityError::Random)?;
                Ok(signature)
            }
        }
    }
}

fn read_key(pem: &str) -> Result<Pair, AuthorityError> {
    let random = SystemRandom::new();
    match PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| AuthorityError::Key)? {
        PrivateKeyDer::Pkcs1(key) => rs::RsaKeyPair::from_der(key.secret_pkcs1_der())
            .map(|pair| Pair::Rsa(Box::new(pair)))
            .map_err(|_| AuthorityError::Key),
        PrivateKeyDer::Pkcs8(key) => {
            let key = key.secret_pkcs8_der();
            if let Ok(pair) = rs::EcdsaKeyPair::from_pkcs8(&rs::ECDSA_P256_SHA256_ASN1_SIGNING, key, &random) {
                return Ok(Pair::P256(pair));
            }
            if let Ok(pair) = rs::EcdsaKeyPair::from_pkcs8(&rs::ECDSA_P384_SHA384_ASN1_SIGNING, key, &random) {
                return Ok(Pair::P384(pair));
            }
            rs::RsaKeyPair::from_pkcs8(key).map(|pair| Pair::Rsa(Box::new(pair))).map_err(|_| AuthorityError::Key)
        }
        _ => Err(AuthorityError::Key),
    }
}

fn extension(oid: &[u8], critical: bool, value: &[u8]) -> Vec<u8> {
    let mut content = der::tlv(der::OID, oid);
    if critical {
        content.extend(der::tlv(der::BOOLEAN, &[0xff]));
    }
    content.extend(der::tlv(der::OCTET_STRING, value));
    der::tlv(der::SEQUENCE, &content)
}

/// A point in time as certificates hold it: two digits of the year up to 2049 (RFC 5280, 4.1.2.5).
fn time(seconds: i64) -> Vec<u8> {
    let at = jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::MAX);
    let at = at.to_zoned(jiff::tz::TimeZone::UTC);
    if (1950..2050).contains(&at.year()) {
        return der::tlv(der::UTC_TIME, at.strftime("%y%m%d%H%M%SZ").to_string().as_bytes());
    }
    der::tlv(der::GENERALIZED_TIME, at.strftime("%Y%m%d%H%M%SZ").to_string().as_bytes())
}

/// Bits counted from the left, without trailing zeros.
fn bit_flags(flags: [u8; 2]) -> Vec<u8> {
    let whole = u16::from_be_bytes(flags);
    let unused = (whole.trailing_zeros() % 8) as u8;
    let content: &[u8] = if flags[1] == 0 { &flags[..1] } else { &flags };
    der::tlv(der::BIT_STRING, &[&[unused], content].concat())
}

/// Key usage bits, and the extended usages' object identifiers.
fn split_usages(usages: &[String]) -> Result<([u8; 2], Vec<u8>), AuthorityError> {
    const PKIX: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3];
    let mut bits = 0u16;
    let mut extended = Vec::new();
    let mut add = |last: u8| extended.extend(der::tlv(der::OID, &[PKIX, &[last]].concat()));
    for usage in usages {
        match usage.as_str() {
            "digital signature" | "signing" => bits |= 0x8000,
            "content commitment" => bits |= 0x4000,
            "key encipherment" => bits |= 0x2000,
            "data encipherment" => bits |= 0x1000,
            "key agreement" => bits |= 0x0800,
            "encipher only" => bits |= 0x0100,
            "decipher only" => bits |= 0x0080,
            "server auth" => add(1),
            "client auth" => add(2),
            "code signing" => add(3),
            "email protection" | "s/mime" => add(4),
            "ipsec end system" => add(5),
            "ipsec tunnel" => add(6),
            "ipsec user" => add(7),
            "timestamping" => add(8),
            "ocsp signing" => add(9),
            // "cert sign" and "crl sign" would make an authority; the rest is of the last century.
            other => return Err(AuthorityError::Usage(other.to_owned())),
        }
    }
    Ok((bits.to_be_bytes(), extended))
}
