//! Whatever is handed in, nothing panics, and nothing made of noise is believed.

// In tests a failed unwrap is a failed test.
#![allow(clippy::unwrap_used)]

use berth_identity::bootstrap::{BootstrapToken, ca_hash, verify_detached};
use berth_identity::csr::{Authority, Request, is_signer_name};
use berth_identity::jws::{Compact, SigningKey, VerifyingKey, parse_set};
use berth_identity::oidc::{AuthenticationConfiguration, Providers};
use berth_identity::service_account::{Issuer, KeySet, split_username};
use berth_identity::{ldap, session};
use proptest::prelude::*;

const NOW: i64 = 1_700_000_000;

fn pem(label: &str, der: &[u8]) -> String {
    use base64::Engine;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")
}

/// A request for a certificate, in DER.
fn request() -> Vec<u8> {
    let mut params = rcgen::CertificateParams::default();
    params.subject_alt_names = vec![rcgen::SanType::DnsName("n1".try_into().unwrap())];
    params.serialize_request(&rcgen::KeyPair::generate().unwrap()).unwrap().der().to_vec()
}

proptest! {
    #[test]
    fn noise_is_no_token(text in "\\PC{0,200}|[A-Za-z0-9_.-]{0,300}") {
        let keys = KeySet::in_memory().unwrap();
        prop_assert!(Issuer::new("https://berth").verify(&keys, &text, &[], NOW).is_err());
        prop_assert!(session::verify(&keys, &text, NOW).is_err());
        if let Ok(compact) = Compact::parse(&text) {
            prop_assert!(compact.verify(keys.verifying()).is_err());
        }
        let _ = (BootstrapToken::parse(&text), split_username(&text), is_signer_name(&text));
        let token = BootstrapToken::generate().unwrap();
        prop_assert!(!verify_detached("content", &text, &token));
    }

    #[test]
    fn noise_is_no_key_no_request_and_no_certificate(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = parse_set(&bytes);
        let _ = ca_hash(&bytes);
        prop_assert!(VerifyingKey::from_pem(&pem("PUBLIC KEY", &bytes)).is_err());
        prop_assert!(SigningKey::from_pem(&pem("PRIVATE KEY", &bytes)).is_err());
        prop_assert!(Request::parse(&pem("CERTIFICATE REQUEST", &bytes)).is_err());
        prop_assert!(Authority::open(&pem("CERTIFICATE", &bytes), &pem("PRIVATE KEY", &bytes)).is_err());
    }

    #[test]
    fn a_request_with_any_byte_changed_asks_for_nothing_else(at in any::<prop::sample::Index>(), flip in 1u8..) {
        let mut der = request();
        let asked = Request::parse(&pem("CERTIFICATE REQUEST", &der)).unwrap();
        let at = at.index(der.len());
        der[at] ^= flip;
        // The bits of a tag around what is signed may differ unnoticed; what is asked for may not.
        if let Ok(changed) = Request::parse(&pem("CERTIFICATE REQUEST", &der)) {
            prop_assert_eq!(changed, asked);
        }
    }

    #[test]
    fn configurations_of_noise_are_refused(text in "\\PC{0,200}|[a-zA-Z: \\n{}\\[\\],'\"-]{0,200}") {
        prop_assert!(ldap::Config::parse(&text).is_err());
        if let Ok(config) = AuthenticationConfiguration::parse(&text) {
            let _ = Providers::new(&config, &[]);
        }
    }
}
