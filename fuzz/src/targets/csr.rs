//! Certificates, keys and requests for certificates, in DER and PEM.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use berth_identity::csr::{Authority, Request, check_signer};
use berth_identity::jws::{SigningKey, VerifyingKey};

use crate::input;

pub(crate) fn run(bytes: &[u8]) {
    let pem =
        |label: &str, der: &[u8]| format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der));
    // A seed may be PEM, for people to read, or DER.
    let der = input::text(bytes).and_then(from_pem).unwrap_or_else(|| bytes.to_vec());
    for text in [pem("CERTIFICATE REQUEST", &der), String::from_utf8_lossy(bytes).into_owned()] {
        let Ok(request) = Request::parse(&text) else { continue };
        assert_eq!(Request::parse(&text).as_ref(), Ok(&request), "one request asks for one thing");
        for signer in ["kubernetes.io/kube-apiserver-client", "kubernetes.io/kubelet-serving", "x.io/y"] {
            let _ = check_signer(signer, &request, &["client auth".to_owned(), "digital signature".to_owned()]);
        }
    }
    let _ = VerifyingKey::from_pem(&pem("PUBLIC KEY", &der));
    let _ = SigningKey::from_pem(&pem("PRIVATE KEY", &der));
    let _ = Authority::open(&pem("CERTIFICATE", &der), &pem("PRIVATE KEY", &der));
}

fn from_pem(text: &str) -> Option<Vec<u8>> {
    let body: String = text.lines().filter(|line| !line.starts_with("-----")).collect();
    text.starts_with("-----BEGIN").then(|| STANDARD.decode(body).ok()).flatten()
}
