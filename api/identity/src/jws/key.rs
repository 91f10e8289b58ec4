//! Keys that sign and keys that verify, and the names by which tokens refer to them.
//!
//! ring makes no RSA keys, so a key made here is P-256 (ES256); an RSA key that an operator brings signs RS256.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::digest::{SHA256, digest};
use ring::rand::SystemRandom;
use ring::signature::{self as rs, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;

use super::Algorithm;
use crate::der;

/// Why a key cannot be used. Never holds a part of the key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error("no private key in PEM form was found")]
    NoPem,
    #[error("the key is not RSA (2048 to 4096 bits), P-256, P-384 or Ed25519 in PKCS#8 form: {0}")]
    Unusable(String),
    #[error("SEC1 keys are not read: convert it with `openssl pkcs8 -topk8 -nocrypt`")]
    Sec1,
    #[error("could not make or use a key: the system has no random numbers")]
    Random,
}

/// A public key, and what it may be used for.
#[derive(Clone, PartialEq, Eq)]
pub struct VerifyingKey {
    /// By what tokens name it.
    pub kid: Option<String>,
    /// The only algorithm it is for; without one, any that its kind can do.
    pub algorithm: Option<Algorithm>,
    pub(super) material: Material,
}

/// The numbers of a public key.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Material {
    Rsa { n: Vec<u8>, e: Vec<u8> },
    P256(Vec<u8>),
    P384(Vec<u8>),
    Ed25519(Vec<u8>),
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifyingKey({})", self.kid.as_deref().unwrap_or("-"))
    }
}

impl VerifyingKey {
    fn of(material: Material, algorithm: Option<Algorithm>) -> Self {
        let kid = URL_SAFE_NO_PAD.encode(digest(&SHA256, &material.subject_public_key_info()));
        Self { kid: Some(kid), algorithm, material }
    }

    /// Reads a public key in PEM form (`PUBLIC KEY`), named by its hash.
    ///
    /// # Errors
    /// When there is none, or it is of a kind that is not understood.
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        use rustls::pki_types::SubjectPublicKeyInfoDer;
        use x509_parser::prelude::FromDer;
        use x509_parser::public_key::PublicKey;
        let spki = SubjectPublicKeyInfoDer::from_pem_slice(pem.as_bytes()).map_err(|_| KeyError::NoPem)?;
        let unusable = |reason: &str| KeyError::Unusable(reason.to_owned());
        let (_, spki) = x509_parser::x509::SubjectPublicKeyInfo::from_der(&spki).map_err(|_| unusable("broken DER"))?;
        match spki.parsed() {
            Ok(PublicKey::RSA(rsa)) => {
                let n = strip(rsa.modulus).to_vec();
                Ok(Self::of(Material::Rsa { n, e: strip(rsa.exponent).to_vec() }, Some(Algorithm::Rs256)))
            }
            Ok(PublicKey::EC(point)) => match point.data().len() {
                65 => Ok(Self::of(Material::P256(point.data().to_vec()), Some(Algorithm::Es256))),
                97 => Ok(Self::of(Material::P384(point.data().to_vec()), Some(Algorithm::Es384))),
                _ => Err(unusable("an unknown curve")),
            },
            _ => Err(unusable("an unknown kind")),
        }
    }

    /// Whether this key made `signature` over `message` with `algorithm`.
    pub(super) fn verifies(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        if self.algorithm.is_some_and(|only| only != algorithm) {
            return false;
        }
        let plain = |with: &'static dyn rs::VerificationAlgorithm, key: &[u8]| {
            rs::UnparsedPublicKey::new(with, key).verify(message, signature).is_ok()
        };
        match (&self.material, algorithm) {
            (Material::Rsa { n, e }, _) => algorithm
                .rsa()
                .is_some_and(|with| rs::RsaPublicKeyComponents { n, e }.verify(with, message, signature).is_ok()),
            (Material::P256(point), Algorithm::Es256) => plain(&rs::ECDSA_P256_SHA256_FIXED, point),
            (Material::P384(point), Algorithm::Es384) => plain(&rs::ECDSA_P384_SHA384_FIXED, point),
            (Material::Ed25519(key), Algorithm::EdDsa) => plain(&rs::ED25519, key),
            _ => false,
        }
    }
}

impl Material {
    /// The key as certificates hold it: what its name is the hash of, as upstream.
    fn subject_public_key_info(&self) -> Vec<u8> {
        const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1];
        const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];
        const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
        const P384: &[u8] = &[0x2b, 0x81, 4, 0, 0x22];
        const ED25519: &[u8] = &[0x2b, 0x65, 0x70];
        let oid = |bytes: &[u8]| der::tlv(der::OID, bytes);
        let (kind, key) = match self {
            Self::Rsa { n, e } => {
                let key = der::constructed(der::SEQUENCE, &[&der::unsigned(n), &der::unsigned(e)]);
                ([oid(RSA), der::tlv(der::NULL, &[])].concat(), key)
            }
            Self::P256(point) => ([oid(EC), oid(P256)].concat(), point.clone()),
            Self::P384(point) => ([oid(EC), oid(P384)].concat(), point.clone()),
            Self::Ed25519(key) => (oid(ED25519), key.clone()),
        };
        der::constructed(der::SEQUENCE, &[&der::tlv(der::SEQUENCE, &kind), &der::bits(&key)])
    }
}

/// A number without leading zeros, as JWK and ring want it.
fn strip(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|b| **b == 0).count();
    &bytes[zeros..]
}

/// A private key with its public half.
pub struct SigningKey {
    pair: Pair,
    public: VerifyingKey,
    algorithm: Algorithm,
}

enum Pair {
    Ecdsa(rs::EcdsaKeyPair),
    Rsa(Box<rs::RsaKeyPair>),
    Ed25519(rs::Ed25519KeyPair),
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({} {})", self.algorithm.as_str(), self.kid())
    }
}

impl SigningKey {
    /// A new P-256 key.
    ///
    /// # Errors
    /// When the system has no random numbers.
    pub fn generate() -> Result<Self, KeyError> {
        Self::from_pem(&Self::generate_pem()?)
    }

    /// A new P-256 key in PEM form (PKCS#8).
    ///
    /// # Errors
    /// When the system has no random numbers.
    pub fn generate_pem() -> Result<String, KeyError> {
        let der = rs::EcdsaKeyPair::generate_pkcs8(&rs::ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())
            .map_err(|_| KeyError::Random)?;
        Ok(pem("PRIVATE KEY", der.as_ref()))
    }

    /// Reads a private key: PKCS#8 of any kind that is understood, or PKCS#1 (RSA).
    ///
    /// # Errors
    /// When there is none, or it cannot be used.
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        let rejected = |reason: ring::error::KeyRejected| KeyError::Unusable(reason.to_string());
        match PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| KeyError::NoPem)? {
            PrivateKeyDer::Pkcs1(key) => {
                rs::RsaKeyPair::from_der(key.secret_pkcs1_der()).map(Self::rsa).map_err(rejected)
            }
            PrivateKeyDer::Pkcs8(key) => Self::from_pkcs8(key.secret_pkcs8_der()),
            _ => Err(KeyError::Sec1),
        }
    }

    fn from_pkcs8(key: &[u8]) -> Result<Self, KeyError> {
        let random = SystemRandom::new();
        if let Ok(pair) = rs::EcdsaKeyPair::from_pkcs8(&rs::ECDSA_P256_SHA256_FIXED_SIGNING, key, &random) {
            let material = Material::P256(pair.public_key().as_ref().to_vec());
            return Ok(Self::of(Pair::Ecdsa(pair), material, Algorithm::Es256));
        }
        if let Ok(pair) = rs::EcdsaKeyPair::from_pkcs8(&rs::ECDSA_P384_SHA384_FIXED_SIGNING, key, &random) {
            let material = Material::P384(pair.public_key().as_ref().to_vec());
            return Ok(Self::of(Pair::Ecdsa(pair), material, Algorithm::Es384));
        }
        if let Ok(pair) = rs::Ed25519KeyPair::from_pkcs8_maybe_unchecked(key) {
            let material = Material::Ed25519(pair.public_key().as_ref().to_vec());
            return Ok(Self::of(Pair::Ed25519(pair), material, Algorithm::EdDsa));
        }
        rs::RsaKeyPair::from_pkcs8(key).map(Self::rsa).map_err(|reason| KeyError::Unusable(reason.to_string()))
    }

    fn rsa(pair: rs::RsaKeyPair) -> Self {
        let public: rs::RsaPublicKeyComponents<Vec<u8>> = pair.public().into();
        let material = Material::Rsa { n: public.n, e: public.e };
        Self::of(Pair::Rsa(Box::new(pair)), material, Algorithm::Rs256)
    }

    fn of(pair: Pair, material: Material, algorithm: Algorithm) -> Self {
        Self { pair, public: VerifyingKey::of(material, Some(algorithm)), algorithm }
    }

    /// What signatures of this key say.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The public half.
    pub fn public(&self) -> &VerifyingKey {
        &self.public
    }

    /// The key's name: the hash of its public half.
    pub fn kid(&self) -> &str {
        self.public.kid.as_deref().unwrap_or_default()
    }

    /// Signs a message.
    ///
    /// # Errors
    /// When the system has no random numbers.
    pub(crate) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Ecdsa(pair) => pair.sign(&random, message).map(|s| s.as_ref().to_vec()).map_err(|_| KeyError::Random),
            Pair::Ed25519(pair) => Ok(pair.sign(message).as_ref().to_vec()),
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(&rs::RSA_PKCS1_SHA256, &random, message, &mut signature).map_err(|_| KeyError::Random)?;
                Ok(signature)
            }
        }
    }
}

/// PEM text of a value.
pub(crate) fn pem(label: &str, der: &[u8]) -> String {
    let base64 = STANDARD.encode(der);
    let mut text = format!("-----BEGIN {label}-----\n");
    for line in base64.as_bytes().chunks(64) {
        text.extend(line.iter().map(|b| char::from(*b)));
        text.push('\n');
    }
    text.push_str(&format!("-----END {label}-----\n"));
    text
}
