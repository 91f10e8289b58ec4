//! Requests for certificates: what they ask for, which of them the known signers grant, and the certificate itself.

mod make;
mod request;
mod sign;
mod signers;

pub use make::{Issued, MakeError, make, new_key, request_name};
pub use request::{CsrError, Names, Request};
pub use sign::{Authority, AuthorityError, LIFE_SECONDS, life};
pub use signers::{KUBE_APISERVER_CLIENT, KUBELET_CLIENT, KUBELET_SERVING, USAGES, check_signer, is_signer_name};

/// Organization of nodes.
pub const NODES: &str = "system:nodes";
/// Start of a node's common name.
pub const NODE_PREFIX: &str = "system:node:";

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, DistinguishedName, DnType, IsCa, KeyPair, KeyUsagePurpose, SanType};

    const NOW: i64 = 1_700_000_000;

    fn csr(cn: &str, orgs: &[&str], sans: Vec<SanType>) -> String {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        for org in orgs {
            params.distinguished_name.push(DnType::OrganizationName, *org);
        }
        params.distinguished_name.push(DnType::CommonName, cn);
        params.subject_alt_names = sans;
        params.serialize_request(&KeyPair::generate().unwrap()).unwrap().pem().unwrap()
    }

    fn dns() -> Vec<SanType> {
        vec![SanType::DnsName("n1".try_into().unwrap()), SanType::IpAddress("127.0.0.1".parse().unwrap())]
    }

    fn node() -> Request {
        Request::parse(&csr("system:node:n1", &[NODES], vec![])).unwrap()
    }

    fn authority() -> Authority {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "berth-ca");
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.not_after = rcgen::date_time_ymd(2060, 1, 1);
        Authority::open(&params.self_signed(&key).unwrap().pem(), &key.serialize_pem()).unwrap()
    }

    #[test]
    fn a_request_says_what_it_asks_for() {
        let request = Request::parse(&csr("system:node:n1", &[NODES], dns())).unwrap();
        assert_eq!(request.common_name, "system:node:n1");
        assert_eq!(request.organizations, [NODES]);
        assert_eq!((request.names.dns, request.names.ips.len()), (vec!["n1".to_owned()], 1));
    }

    #[test]
    fn what_is_no_request_is_refused_with_upstreams_words() {
        let said = |text: &str| Request::parse(text).unwrap_err().to_string();
        assert_eq!(said(""), "PEM block type must be CERTIFICATE REQUEST");
        assert_eq!(said("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), said(""));
        let good = csr("a", &[], vec![]);
        let other = csr("b", &[], vec![]);
        // The body of one and the signature of the other.
        let der = |pem: &str| crate::csr::request::der_of(pem).unwrap();
        let (mut forged, other) = (der(&good), der(&other));
        let n = forged.len().min(other.len());
        forged.truncate(n - 8);
        forged.extend_from_slice(&other[n - 8..n]);
        assert!(Request::parse(&crate::jws::pem("CERTIFICATE REQUEST", &forged)).is_err());
        assert!(Request::parse(&good.replace("REQUEST-----\n", "REQUEST-----\nAAAA")).is_err());
    }

    #[test]
    fn signers_grant_only_what_they_are_for() {
        let usages = |list: &[&str]| list.iter().map(|u| (*u).to_owned()).collect::<Vec<_>>();
        let client = usages(&["digital signature", "client auth"]);
        let serving = usages(&["server auth", "digital signature"]);
        let say = |signer: &str, request: &Request, usages: &[String]| {
            check_signer(signer, request, usages).map_err(|e| e.to_string())
        };
        assert_eq!(say(KUBELET_CLIENT, &node(), &client), Ok(()));
        let stranger = Request::parse(&csr("mallory", &[NODES], vec![])).unwrap();
        assert_eq!(
            say(KUBELET_CLIENT, &stranger, &client).unwrap_err(),
            "subject common name does not begin with system:node:"
        );
        let masters = Request::parse(&csr("system:node:n1", &["system:masters"], vec![])).unwrap();
        assert_eq!(say(KUBELET_CLIENT, &masters, &client).unwrap_err(), "subject organization is not system:nodes");
        let named = Request::parse(&csr("system:node:n1", &[NODES], dns())).unwrap();
        assert_eq!(say(KUBELET_CLIENT, &named, &client).unwrap_err(), "DNS subjectAltNames are not allowed");
        assert_eq!(
            say(KUBELET_CLIENT, &node(), &serving).unwrap_err(),
            "usages did not match [client auth digital signature key encipherment]"
        );
        assert_eq!(say(KUBELET_SERVING, &named, &serving), Ok(()));
        assert_eq!(say(KUBELET_SERVING, &node(), &serving).unwrap_err(), "DNS or IP subjectAltName is required");
        assert_eq!(say(KUBE_APISERVER_CLIENT, &stranger, &client), Ok(()));
        assert_eq!(
            say(KUBE_APISERVER_CLIENT, &stranger, &serving).unwrap_err(),
            "invalid usage for client certificate: server auth"
        );
        assert_eq!(
            say(KUBE_APISERVER_CLIENT, &stranger, &usages(&["digital signature"])).unwrap_err(),
            "missing required usage for client certificate: client auth"
        );
        assert!(say("example.com/other", &node(), &client).is_err());
    }

    #[test]
    fn a_certificate_says_what_was_asked_and_no_more() {
        let ca = authority();
        let request = Request::parse(&csr("system:node:n1", &[NODES], dns())).unwrap();
        let usages = ["digital signature".to_owned(), "server auth".to_owned()];
        let pem = ca.sign(&request, &usages, 24 * 3600, NOW).unwrap();
        let (_, parsed) = x509_parser::pem::parse_x509_pem(pem.as_bytes()).unwrap();
        let certificate = parsed.parse_x509().unwrap();
        assert_eq!(certificate.subject().to_string(), "O=system:nodes, CN=system:node:n1");
        assert_eq!(certificate.public_key().raw, &request.public_key[..]);
        assert!(!certificate.is_ca());
        assert_eq!(certificate.validity().not_before.timestamp(), NOW - 300);
        assert_eq!(certificate.validity().not_after.timestamp(), NOW + 24 * 3600 - 300);
        let eku = certificate.extended_key_usage().unwrap().unwrap().value;
        assert!(eku.server_auth && !eku.client_auth);
        assert!(certificate.key_usage().unwrap().unwrap().value.digital_signature());
        let names = certificate.subject_alternative_name().unwrap().unwrap();
        assert_eq!(names.value.general_names.len(), 2);
        ca.check_issued(&pem).unwrap();
        assert!(authority().check_issued(&pem).is_err());
        let again = ca.sign(&request, &usages, 24 * 3600, NOW).unwrap();
        assert_ne!(again, pem, "serial numbers differ");
    }

    #[test]
    fn a_life_is_kept_within_bounds() {
        assert_eq!(life(None, LIFE_SECONDS), LIFE_SECONDS);
        assert_eq!(life(Some(1), LIFE_SECONDS), 600);
        assert_eq!(life(Some(3600), LIFE_SECONDS), 3600);
        assert_eq!(life(Some(i64::MAX), LIFE_SECONDS), LIFE_SECONDS);
    }

    #[test]
    fn an_authority_needs_its_own_key() {
        let (ca, key) = (authority(), KeyPair::generate().unwrap());
        assert!(Authority::open(ca.certificate_pem(), &key.serialize_pem()).is_err());
    }

    #[test]
    fn signers_have_domain_names() {
        assert!(is_signer_name(KUBELET_CLIENT));
        assert!(is_signer_name("example.com/a.b/c"));
        for bad in ["", "example.com", "/a", "example.com/", "Example.com/a", "example/a", "example.com/a b"] {
            assert!(!is_signer_name(bad), "{bad}");
        }
    }
}
