//! A PKCS#10 request, taken apart, its signature checked.

use std::net::IpAddr;

use rustls::pki_types::CertificateSigningRequestDer;
use rustls::pki_types::pem::PemObject;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::FromDer;

/// Longest request that is looked at: with an RSA key and some names it has about 2 KiB.
const REQUEST_BYTES_MAX: usize = 64 * 1024;

/// Why a request cannot be read; upstream's words where it has them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CsrError {
    #[error("PEM block type must be CERTIFICATE REQUEST")]
    NotPem,
    #[error("the request is longer than {REQUEST_BYTES_MAX} bytes")]
    TooLong,
    #[error("the request is not a PKCS#10 certification request")]
    Malformed,
    #[error("the request's signature does not verify with its own key")]
    Signature,
    #[error("the request's key is too weak: RSA needs 2048 bits or more")]
    WeakKey,
}

/// Names beside the subject.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    pub dns: Vec<String>,
    pub emails: Vec<String>,
    pub ips: Vec<IpAddr>,
    pub uris: Vec<String>,
    /// Names of kinds that nobody grants.
    pub others: usize,
}

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub common_name: String,
    pub organizations: Vec<String>,
    pub names: Names,
    /// DER of the subject, the key and the alternative names: they go into the certificate as they are.
    pub(super) subject: Vec<u8>,
    pub(super) public_key: Vec<u8>,
    pub(super) alternative_names: Option<Vec<u8>>,
}

/// The DER of a request in PEM form.
pub(super) fn der_of(pem: &str) -> Result<Vec<u8>, CsrError> {
    if pem.len() > REQUEST_BYTES_MAX {
        return Err(CsrError::TooLong);
    }
    // The first block decides, as upstream: another one before the request is not passed over.
    let first = pem.find("-----BEGIN ").map(|at| &pem[at..]).ok_or(CsrError::NotPem)?;
    if !first.starts_with("-----BEGIN CERTIFICATE REQUEST-----") {
        return Err(CsrError::NotPem);
    }
    let der = CertificateSigningRequestDer::from_pem_slice(first.as_bytes()).map_err(|_| CsrError::NotPem)?;
    Ok(der.to_vec())
}

impl Request {
    /// Reads a request in PEM form.
    ///
    /// # Errors
    /// When it is none, its signature is wrong, or its key is too weak.
    pub fn parse(pem: &str) -> Result<Self, CsrError> {
        let der = der_of(pem)?;
        let (rest, csr) = X509CertificationRequest::from_der(&der).map_err(|_| CsrError::Malformed)?;
        if !rest.is_empty() {
            return Err(CsrError::Malformed);
        }
        let info = &csr.certification_request_info;
        let key = info.subject_pki.parsed().map_err(|_| CsrError::Malformed)?;
        if let x509_parser::public_key::PublicKey::RSA(rsa) = key
            && rsa.key_size() < 2048
        {
            return Err(CsrError::WeakKey);
        }
        csr.verify_signature().map_err(|_| CsrError::Signature)?;
        let texts = |name: &x509_parser::der_parser::oid::Oid<'_>| {
            let found = info.subject.iter_by_oid(name).map(|value| value.as_str().map(str::to_owned));
            found.collect::<Result<Vec<String>, _>>().map_err(|_| CsrError::Malformed)
        };
        let (names, alternative_names) = names_of(&csr)?;
        Ok(Self {
            // The last one counts, as in Go.
            common_name: texts(&x509_parser::oid_registry::OID_X509_COMMON_NAME)?.pop().unwrap_or_default(),
            organizations: texts(&x509_parser::oid_registry::OID_X509_ORGANIZATION_NAME)?,
            names,
            subject: info.subject.as_raw().to_vec(),
            public_key: info.subject_pki.raw.to_vec(),
            alternative_names,
        })
    }
}

/// The alternative names, read and as they are.
fn names_of(csr: &X509CertificationRequest<'_>) -> Result<(Names, Option<Vec<u8>>), CsrError> {
    let mut names = Names::default();
    let mut raw: Option<Vec<u8>> = None;
    for attribute in csr.certification_request_info.iter_attributes() {
        let x509_parser::cri_attributes::ParsedCriAttribute::ExtensionRequest(request) = attribute.parsed_attribute()
        else {
            continue;
        };
        for extension in &request.extensions {
            let ParsedExtension::SubjectAlternativeName(found) = extension.parsed_extension() else { continue };
            if raw.replace(extension.value.to_vec()).is_some() {
                return Err(CsrError::Malformed);
            }
            for name in &found.general_names {
                add(&mut names, name)?;
            }
        }
    }
    Ok((names, raw))
}

fn add(names: &mut Names, name: &GeneralName<'_>) -> Result<(), CsrError> {
    match name {
        GeneralName::DNSName(name) => names.dns.push((*name).to_owned()),
        GeneralName::RFC822Name(name) => names.emails.push((*name).to_owned()),
        GeneralName::URI(name) => names.uris.push((*name).to_owned()),
        GeneralName::IPAddress(bytes) => {
            let four = <[u8; 4]>::try_from(*bytes).map(IpAddr::from);
            let address = four.or_else(|_| <[u8; 16]>::try_from(*bytes).map(IpAddr::from));
            names.ips.push(address.map_err(|_| CsrError::Malformed)?);
        }
        _ => names.others += 1,
    }
    Ok(())
}
