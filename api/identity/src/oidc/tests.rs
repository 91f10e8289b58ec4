//! Tokens of a provider that runs here, over TLS, and can be told to misbehave.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::*;
use crate::jws::{SigningKey, print_set, sign};

const NOW: i64 = 1_700_000_000;

/// A provider; what it answers can be changed while it runs.
struct Issuer {
    url: String,
    ca_pem: String,
    keys: Arc<Mutex<Vec<SigningKey>>>,
    answer: Arc<Mutex<Option<(u16, String)>>>,
    asked: Arc<AtomicUsize>,
}

impl Issuer {
    async fn start() -> Self {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let (pem, key) = (made.cert.pem(), made.signing_key.serialize_der());
        let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![CertificateDer::from(made.cert.der().to_vec())],
                PrivateKeyDer::try_from(key).unwrap(),
            )
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
        let issuer = Self {
            url: url.clone(),
            ca_pem: pem,
            keys: Arc::new(Mutex::new(vec![SigningKey::generate().unwrap()])),
            answer: Arc::default(),
            asked: Arc::default(),
        };
        let (keys, answer, asked) = (Arc::clone(&issuer.keys), Arc::clone(&issuer.answer), Arc::clone(&issuer.asked));
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let (acceptor, url) = (acceptor.clone(), url.clone());
                let (keys, answer, asked) = (Arc::clone(&keys), Arc::clone(&answer), Arc::clone(&asked));
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(tcp).await else { return };
                    let service = hyper::service::service_fn(move |request: Request<hyper::body::Incoming>| {
                        asked.fetch_add(1, Ordering::SeqCst);
                        let public: Vec<_> = keys.lock().iter().map(|key| key.public().clone()).collect();
                        let (status, text) = match (answer.lock().clone(), request.uri().path()) {
                            (Some(told), _) => told,
                            (None, "/keys") => (200, print_set(&public).to_string()),
                            (None, _) => (200, json!({"issuer": url, "jwks_uri": format!("{url}/keys")}).to_string()),
                        };
                        let mut response = Response::new(Full::new(Bytes::from(text)));
                        *response.status_mut() = status.try_into().unwrap();
                        async move { Ok::<_, Infallible>(response) }
                    });
                    let http = hyper::server::conn::http1::Builder::new();
                    let _ = http.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        issuer
    }

    fn flags(&self) -> Flags {
        Flags {
            issuer_url: self.url.clone(),
            client_id: "berth".to_owned(),
            groups_claim: "groups".to_owned(),
            groups_prefix: "oidc:".to_owned(),
            ca_pem: Some(self.ca_pem.clone()),
            ..Flags::default()
        }
    }

    fn providers(&self) -> Providers {
        Providers::new(&self.flags().configuration(), &[]).unwrap()
    }

    fn token(&self, change: &[(&str, Value)]) -> String {
        let mut claims = json!({"iss": self.url, "aud": "berth", "sub": "jane", "exp": NOW + 60, "groups": ["dev"]});
        for (claim, value) in change {
            claims[*claim] = value.clone();
        }
        sign(self.keys.lock().last().unwrap(), &claims).unwrap()
    }
}

#[tokio::test]
async fn a_providers_token_says_who_somebody_is() {
    let issuer = Issuer::start().await;
    let providers = issuer.providers();
    let subject = providers.authenticate(&issuer.token(&[]), NOW).await.unwrap();
    assert_eq!(subject.name, format!("{}#jane", issuer.url));
    assert_eq!(subject.groups, ["oidc:dev"]);
    let subject = providers.authenticate(&issuer.token(&[("groups", json!("ops"))]), NOW).await.unwrap();
    assert_eq!(subject.groups, ["oidc:ops"]);
    assert_eq!(issuer.asked.load(Ordering::SeqCst), 2, "document and keys, once each");
}

#[tokio::test]
async fn a_token_that_does_not_fit_is_refused_and_says_why() {
    let issuer = Issuer::start().await;
    let providers = issuer.providers();
    let ask = |change: &[(&str, Value)]| {
        let token = issuer.token(change);
        let providers = &providers;
        async move { providers.authenticate(&token, NOW).await.unwrap_err().to_string() }
    };
    assert!(ask(&[("exp", json!(NOW))]).await.contains("expired"));
    assert!(ask(&[("exp", Value::Null)]).await.contains("no expiry"));
    assert!(ask(&[("nbf", json!(NOW + 301))]).await.contains("nbf"));
    assert!(ask(&[("aud", json!(["other"]))]).await.contains(r#"expected audience in ["berth"] got ["other"]"#));
    assert!(ask(&[("sub", json!(7))]).await.contains("parse username claims \"sub\""));
    assert!(ask(&[("groups", json!([1]))]).await.contains("parse groups claim"));
    assert_eq!(ask(&[("iss", json!("https://elsewhere"))]).await, OidcError::NotOurs.to_string());
    let mut forged = issuer.token(&[]);
    forged.replace_range(forged.len() - 8.., "AAAAAAAA");
    let error = providers.authenticate(&forged, NOW).await.unwrap_err();
    assert_eq!(error.to_string(), "oidc: verify token: failed to verify signature");
}

#[tokio::test]
async fn an_email_must_be_verified() {
    let issuer = Issuer::start().await;
    let flags = Flags { username_claim: "email".to_owned(), ..issuer.flags() };
    let providers = Providers::new(&flags.configuration(), &[]).unwrap();
    let email = ("email", json!("a@example.com"));
    let subject = providers.authenticate(&issuer.token(std::slice::from_ref(&email)), NOW).await.unwrap();
    assert_eq!(subject.name, "a@example.com", "no prefix before an address");
    let token = issuer.token(&[email.clone(), ("email_verified", json!(true))]);
    assert!(providers.authenticate(&token, NOW).await.is_ok());
    let token = issuer.token(&[email, ("email_verified", json!(false))]);
    assert_eq!(providers.authenticate(&token, NOW).await.unwrap_err().to_string(), "oidc: email not verified");
}

#[tokio::test]
async fn required_claims_are_required() {
    let issuer = Issuer::start().await;
    let required = [("tenant".to_owned(), "berth".to_owned())].into();
    let flags = Flags { required_claims: required, ..issuer.flags() };
    let providers = Providers::new(&flags.configuration(), &[]).unwrap();
    assert!(providers.authenticate(&issuer.token(&[("tenant", json!("berth"))]), NOW).await.is_ok());
    let said = providers.authenticate(&issuer.token(&[]), NOW).await.unwrap_err().to_string();
    assert_eq!(said, "oidc: required claim tenant not present in ID token");
    let said =
        providers.authenticate(&issuer.token(&[("tenant", json!("secret"))]), NOW).await.unwrap_err().to_string();
    assert!(!said.contains("secret"));
}

#[tokio::test]
async fn an_unknown_key_is_asked_for_but_not_again_and_again() {
    let issuer = Issuer::start().await;
    let providers = issuer.providers();
    providers.authenticate(&issuer.token(&[]), NOW).await.unwrap();
    issuer.keys.lock().push(SigningKey::generate().unwrap());
    let token = issuer.token(&[]);
    for _ in 0..20 {
        let error = providers.authenticate(&token, NOW).await.unwrap_err();
        assert_eq!(error, OidcError::Verify("no key has the token's key id".to_owned()));
    }
    assert_eq!(issuer.asked.load(Ordering::SeqCst), 2, "within the interval nobody is asked");
    let fresh = issuer.providers();
    assert!(fresh.authenticate(&token, NOW).await.is_ok());
}

#[tokio::test]
async fn a_provider_that_misbehaves_is_not_believed() {
    let issuer = Issuer::start().await;
    let other = json!({"issuer": "https://elsewhere", "jwks_uri": format!("{}/keys", issuer.url)}).to_string();
    let plain = json!({"issuer": issuer.url, "jwks_uri": "http://localhost/keys"}).to_string();
    for answer in
        [(302, String::new()), (200, "<html>".to_owned()), (200, "x".repeat(600 * 1024)), (200, other), (200, plain)]
    {
        *issuer.answer.lock() = Some(answer);
        let error = issuer.providers().authenticate(&issuer.token(&[]), NOW).await.unwrap_err();
        assert_eq!(error, OidcError::NotInitialized);
    }
    *issuer.answer.lock() = None;
    let mut flags = issuer.flags();
    flags.ca_pem = Some(Issuer::start().await.ca_pem);
    let stranger = Providers::new(&flags.configuration(), &[]).unwrap();
    assert_eq!(stranger.authenticate(&issuer.token(&[]), NOW).await, Err(OidcError::NotInitialized));
}

fn file(url: &str) -> String {
    format!(
        "apiVersion: apiserver.config.k8s.io/v1\nkind: AuthenticationConfiguration\njwt:\n- issuer:\n    url: {url}\n    \
         audiences: [a]\n  claimMappings:\n    username:\n      claim: sub\n      prefix: ''\n"
    )
}

#[test]
fn a_file_is_read_again_when_it_changes_and_kept_when_it_breaks() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("authn.yaml");
    std::fs::write(&path, file("https://one")).unwrap();
    let config = ConfigFile::open(&path, &[]).unwrap();
    assert!(!config.reload().unwrap());
    std::fs::write(&path, file("https://two")).unwrap();
    assert!(config.reload().unwrap());
    assert_eq!(config.providers().all[0].issuer(), "https://two");
    std::fs::write(&path, file("http://three")).unwrap();
    assert!(config.reload().is_err());
    assert_eq!(config.providers().all[0].issuer(), "https://two");
}

#[test]
fn a_configuration_says_all_that_is_wrong_with_it() {
    let problems = |text: &str| match AuthenticationConfiguration::parse(text) {
        Ok(config) => validate::configuration(&config, &["https://own".to_owned()]),
        Err(ConfigError::Invalid(problems)) => problems,
        Err(other) => panic!("{other}"),
    };
    assert!(problems(&file("https://one")).is_empty());
    assert_eq!(problems(&file("https://own")).len(), 1);
    assert_eq!(
        problems(&file("http://one")),
        [r#"jwt[0].issuer.url: Invalid value: "http://one": URL scheme must be https"#]
    );
    assert_eq!(problems(&file("https://u@one?a=b")).len(), 2);
    assert_eq!(problems("apiVersion: v1\nkind: Config\n").len(), 2);
    let no_prefix = file("https://one").replace("      prefix: ''\n", "");
    assert!(problems(&no_prefix)[0].starts_with("jwt[0].claimMappings.username.prefix: Required value"));
    assert_eq!(problems(&file("https://one").replace("audiences: [a]", "audiences: [a, b]")).len(), 1);
    assert!(problems(&format!("{}  color: red\n", file("https://one")))[0].contains("color"));
}

/// The subject of claims by the rules of one provider's configuration, from `claimMappings` on.
fn mapped(rules: &str, claims: &Value) -> Result<Subject, String> {
    let text = format!("issuer: {{url: https://one, audiences: [a]}}\n{rules}");
    let jwt: Jwt = serde_saphyr::from_str(&text).unwrap();
    claims::Rules::compile(&jwt)?.subject(claims)
}

#[test]
fn expressions_make_a_user_of_claims() {
    let rules = "claimMappings:\n  username: {expression: \"'oidc:' + claims.sub\"}\n  \
                 groups: {expression: \"claims.roles.map(r, 'role:' + r)\"}\n  uid: {expression: claims.oid}\n  \
                 extra:\n  - {key: example.com/tenant, valueExpression: claims.tenant}\n  \
                 - {key: example.com/none, valueExpression: \"''\"}\n\
                 claimValidationRules:\n- {expression: \"claims.hd == 'example.com'\", message: wrong domain}\n\
                 userValidationRules:\n- {expression: \"!user.username.startsWith('system:')\", message: reserved}\n";
    let claims = json!({"sub": "jane", "roles": ["a", "b"], "oid": "7", "tenant": ["t"], "hd": "example.com"});
    let subject = mapped(rules, &claims).unwrap();
    assert_eq!((subject.name.as_str(), subject.uid.as_str()), ("oidc:jane", "7"));
    assert_eq!(subject.groups, ["role:a", "role:b"]);
    assert_eq!(subject.extra, [("example.com/tenant".to_owned(), vec!["t".to_owned()])].into());
    let with = |claim: &str, value: Value| {
        let mut claims = claims.clone();
        claims[claim] = value;
        mapped(rules, &claims).unwrap_err()
    };
    assert_eq!(
        with("hd", json!("other.com")),
        "error evaluating claim validation expression: validation expression 'claims.hd == 'example.com'' failed: wrong domain"
    );
    assert!(with("roles", json!([1])).starts_with("error evaluating group claim expression"));
    assert!(with("oid", json!(7)).contains("uid claim expression must return a string"));
    let reserved = rules.replace("'oidc:' + claims.sub", "'system:' + claims.sub");
    assert!(mapped(&reserved, &claims).unwrap_err().ends_with("failed: reserved"));
    assert!(!mapped(rules, &json!({"sub": "secret"})).unwrap_err().contains("secret"));
}

#[test]
fn expressions_are_checked_when_they_are_read() {
    let said = |rules: &str| mapped(rules, &json!({})).unwrap_err();
    assert!(
        said("claimMappings:\n  username: {expression: claims.}\n")
            .starts_with("claimMappings.username.expression: Invalid value")
    );
    let text = said(
        "claimMappings:\n  username: {expression: claims.sub}\nuserValidationRules:\n- {expression: user.username}\n",
    );
    assert_eq!(
        text,
        "userValidationRules[0].expression: Invalid value: \"user.username\": must evaluate to bool but got string"
    );
    assert!(
        said("claimMappings:\n  username: {expression: claims.email}\n").contains("claims.email_verified must be used")
    );
    let verified = "claimMappings:\n  username: {expression: claims.email}\nclaimValidationRules:\n\
                    - {expression: claims.?email_verified.orValue(true) == true}\n";
    assert_eq!(mapped(verified, &json!({"email": "a@example.com"})).unwrap().name, "a@example.com");
    assert!(mapped(verified, &json!({"email": "a@example.com", "email_verified": false})).is_err());
}
