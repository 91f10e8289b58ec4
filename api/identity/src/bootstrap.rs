//! Bootstrap tokens: how a machine that knows nothing but a short text joins a cluster, and knows that it is the right
//! one.
//!
//! `id.secret`: the id names a Secret `bootstrap-token-ID` in `kube-system`, the secret proves that the bearer was told.
//! Kubernetes' secrets have 16 characters (83 bits); ours have 26 (130 bits). Both are accepted.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::{digest, hmac};
use serde_json::Value;

use crate::Subject;
use crate::random::{self, NoRandom, hex};

/// Where the Secrets of tokens lie.
pub const NAMESPACE: &str = "kube-system";
/// Start of their names; the token's id follows.
pub const SECRET_PREFIX: &str = "bootstrap-token-";
/// Their type.
pub const SECRET_TYPE: &str = "bootstrap.kubernetes.io/token";
/// Start of a bearer's user name; the token's id follows.
pub const USER_PREFIX: &str = "system:bootstrap:";
/// The group of all bearers; extra groups start with it and a colon.
pub const GROUP: &str = "system:bootstrappers";
/// Annotation of a Secret whose token is used up: the node that joined with it.
pub const ANNOTATION_USED_BY: &str = "berth.dev/bootstrap-token-used-by";
/// Extra key of a bearer whose token is used up by a node: nothing else may join with it.
pub const EXTRA_USED_BY: &str = "authentication.berth.dev/bootstrap-token-used-by";

const ID_CHARS: usize = 6;
/// What Kubernetes' tokens have.
const SECRET_CHARS_MIN: usize = 16;
/// 26 characters of five bits: 130 bits.
const SECRET_CHARS: usize = 26;
const SECRET_CHARS_MAX: usize = 64;
const EXTRA_GROUPS_MAX: usize = 50;

/// A token in two halves. The secret half shows nowhere.
#[derive(Clone, PartialEq, Eq)]
pub struct BootstrapToken {
    pub id: String,
    secret: String,
}

impl std::fmt::Debug for BootstrapToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "BootstrapToken({}.…)", self.id)
    }
}

impl BootstrapToken {
    /// Reads `id.secret`; `None` when it is not of that form.
    pub fn parse(text: &str) -> Option<Self> {
        let (id, secret) = text.split_once('.')?;
        let plain = |t: &str| t.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        let fits = id.len() == ID_CHARS && (SECRET_CHARS_MIN..=SECRET_CHARS_MAX).contains(&secret.len());
        (fits && plain(id) && plain(secret)).then(|| Self { id: id.to_owned(), secret: secret.to_owned() })
    }

    /// A new token.
    ///
    /// # Errors
    /// When the system has no random numbers.
    pub fn generate() -> Result<Self, NoRandom> {
        Ok(Self { id: random::base32(ID_CHARS)?, secret: random::base32(SECRET_CHARS)? })
    }

    /// The whole token: for the one who is told, and for nobody else.
    pub fn reveal(&self) -> String {
        format!("{}.{}", self.id, self.secret)
    }

    /// The secret half: for the Secret that keeps it.
    pub fn reveal_secret(&self) -> &str {
        &self.secret
    }

    /// The name of the Secret that keeps it.
    pub fn secret_name(&self) -> String {
        format!("{SECRET_PREFIX}{}", self.id)
    }
}

/// Why a token that has a Secret is refused. For the log; the bearer learns only that it is not valid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("the secret is deleted and awaits removal")]
    Deleted,
    #[error("the secret has invalid type, expected {SECRET_TYPE}")]
    Type,
    #[error("the secret has invalid value for key {0}")]
    Value(&'static str),
    #[error("the token has expired")]
    Expired,
    #[error("the secret is not marked {0}=true")]
    Usage(&'static str),
}

/// What a token may be for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usage {
    /// To be somebody at the API.
    Authentication,
    /// To sign what the cluster tells about itself.
    Signing,
}

impl Usage {
    fn key(self) -> &'static str {
        match self {
            Self::Authentication => "usage-bootstrap-authentication",
            Self::Signing => "usage-bootstrap-signing",
        }
    }
}

/// Checks a token against the Secret of its id (an object with base64 `data`), at `now` (seconds since 1970).
///
/// # Errors
/// Why it is refused.
pub fn check(token: &BootstrapToken, secret: &Value, usage: Usage, now: i64) -> Result<Subject, Refused> {
    if secret["metadata"]["deletionTimestamp"].is_string() {
        return Err(Refused::Deleted);
    }
    if secret["type"] != SECRET_TYPE {
        return Err(Refused::Type);
    }
    let kept = data(secret, "token-secret").ok_or(Refused::Value("token-secret"))?;
    // By their hashes: how long it takes tells nothing about the secret.
    let hash = |text: &str| digest::digest(&digest::SHA256, text.as_bytes());
    if hash(&kept).as_ref() != hash(&token.secret).as_ref() {
        return Err(Refused::Value("token-secret"));
    }
    if data(secret, "token-id").as_deref() != Some(token.id.as_str()) {
        return Err(Refused::Value("token-id"));
    }
    if has_expired(secret, now) {
        return Err(Refused::Expired);
    }
    if data(secret, usage.key()).as_deref() != Some("true") {
        return Err(Refused::Usage(usage.key()));
    }
    let mut subject = Subject { name: format!("{USER_PREFIX}{}", token.id), ..Subject::default() };
    subject.groups = groups(secret)?;
    if let Some(node) = secret["metadata"]["annotations"][ANNOTATION_USED_BY].as_str() {
        subject.extra.insert(EXTRA_USED_BY.to_owned(), vec![node.to_owned()]);
    }
    Ok(subject)
}

/// Whether the Secret of a token says that its time is over. A time that cannot be read is over, as upstream.
pub fn has_expired(secret: &Value, now: i64) -> bool {
    let Some(text) = data(secret, "expiration").filter(|text| !text.is_empty()) else { return false };
    text.parse::<jiff::Timestamp>().map_or(true, |at| at.as_second() <= now)
}

fn groups(secret: &Value) -> Result<Vec<String>, Refused> {
    const KEY: &str = "auth-extra-groups";
    let extra = data(secret, KEY).unwrap_or_default();
    let mut groups: Vec<String> = Vec::new();
    for group in extra.split(',').filter(|group| !group.is_empty()) {
        let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b':' || b == b'-';
        let rest = group.strip_prefix(GROUP).and_then(|g| g.strip_prefix(':')).ok_or(Refused::Value(KEY))?;
        let ends = rest.bytes().next_back().is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        if rest.len() > 256 || !ends || !rest.bytes().all(inner) || groups.len() >= EXTRA_GROUPS_MAX {
            return Err(Refused::Value(KEY));
        }
        groups.push(group.to_owned());
    }
    groups.push(GROUP.to_owned());
    groups.sort();
    groups.dedup();
    Ok(groups)
}

/// A value of a Secret's data.
fn data(secret: &Value, key: &str) -> Option<String> {
    let bytes = STANDARD.decode(secret["data"][key].as_str()?).ok()?;
    String::from_utf8(bytes).ok()
}

/// The name of an authority by its key: `sha256:` and the hash of the SubjectPublicKeyInfo, as kubeadm prints it.
/// `None` when it is no certificate.
pub fn ca_hash(certificate_der: &[u8]) -> Option<String> {
    let (_, certificate) = x509_parser::parse_x509_certificate(certificate_der).ok()?;
    Some(format!("sha256:{}", hex(digest::digest(&digest::SHA256, certificate.public_key().raw).as_ref())))
}

/// Whether a certificate is the one that one of `hashes` names.
pub fn ca_hash_matches(certificate_der: &[u8], hashes: &[String]) -> bool {
    ca_hash(certificate_der).is_some_and(|found| hashes.iter().any(|hash| hash.eq_ignore_ascii_case(&found)))
}

/// Signs what a cluster tells about itself (`cluster-info`) with a token: a JWS without its payload, as kubeadm reads
/// it under `jws-kubeconfig-ID`.
pub fn sign_detached(content: &str, token: &BootstrapToken) -> String {
    let header = URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"HS256","kid":"{}"}}"#, token.id));
    let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, token.secret.as_bytes()), &signed(&header, content));
    format!("{header}..{}", URL_SAFE_NO_PAD.encode(signature))
}

/// Whether `jws` is the signature of `content` by this token.
pub fn verify_detached(content: &str, jws: &str, token: &BootstrapToken) -> bool {
    let Some((header, signature)) = jws.split_once("..") else { return false };
    let told = URL_SAFE_NO_PAD.decode(header).ok().and_then(|h| serde_json::from_slice::<Value>(&h).ok());
    if !told.is_some_and(|h| h["alg"] == "HS256" && h["kid"] == token.id.as_str() && h["crit"].is_null()) {
        return false;
    }
    let Ok(signature) = URL_SAFE_NO_PAD.decode(signature) else { return false };
    let key = hmac::Key::new(hmac::HMAC_SHA256, token.secret.as_bytes());
    hmac::verify(&key, &signed(header, content), &signature).is_ok()
}

fn signed(header: &str, content: &str) -> Vec<u8> {
    format!("{header}.{}", URL_SAFE_NO_PAD.encode(content)).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const NOW: i64 = 1_700_000_000;

    fn token() -> BootstrapToken {
        BootstrapToken::parse("abcdef.0123456789abcdef").unwrap()
    }

    fn secret(change: &[(&str, &str)]) -> Value {
        let mut secret = json!({"type": SECRET_TYPE, "metadata": {"name": "bootstrap-token-abcdef"}, "data": {}});
        let base = [
            ("token-id", "abcdef"),
            ("token-secret", "0123456789abcdef"),
            ("usage-bootstrap-authentication", "true"),
            ("auth-extra-groups", "system:bootstrappers:berth:agents"),
        ];
        for (key, value) in base.iter().chain(change) {
            secret["data"][*key] = json!(STANDARD.encode(value));
        }
        secret
    }

    #[test]
    fn tokens_have_a_form() {
        assert_eq!(token().secret_name(), "bootstrap-token-abcdef");
        for bad in [
            "abcdef",
            "abcdef.",
            "abcde.0123456789abcdef",
            "abcdef.0123456789abcde",
            "ABCDEF.0123456789abcdef",
            "abcdef.0123456789abcdeF",
            "abcdef.0123456789abcdef.x",
            &format!("abcdef.{}", "a".repeat(65)),
        ] {
            assert!(BootstrapToken::parse(bad).is_none(), "{bad}");
        }
        let made = BootstrapToken::generate().unwrap();
        assert_eq!(BootstrapToken::parse(&made.reveal()), Some(made.clone()));
        assert!(!format!("{made:?}").contains(made.reveal_secret()));
    }

    #[test]
    fn a_token_is_checked_against_its_secret() {
        let ask = |secret: &Value| check(&token(), secret, Usage::Authentication, NOW);
        let subject = ask(&secret(&[])).unwrap();
        assert_eq!(subject.name, "system:bootstrap:abcdef");
        assert_eq!(subject.groups, ["system:bootstrappers", "system:bootstrappers:berth:agents"]);
        assert_eq!(ask(&secret(&[("token-secret", "0123456789abcdeg")])), Err(Refused::Value("token-secret")));
        assert_eq!(ask(&secret(&[("token-id", "other1")])), Err(Refused::Value("token-id")));
        assert_eq!(
            ask(&secret(&[("usage-bootstrap-authentication", "no")])).unwrap_err(),
            Refused::Usage("usage-bootstrap-authentication")
        );
        assert_eq!(ask(&secret(&[("auth-extra-groups", "system:masters")])), Err(Refused::Value("auth-extra-groups")));
        assert_eq!(ask(&secret(&[("expiration", "2020-01-01T00:00:00Z")])), Err(Refused::Expired));
        assert_eq!(ask(&secret(&[("expiration", "soon")])), Err(Refused::Expired));
        assert!(ask(&secret(&[("expiration", "2100-01-01T00:00:00Z")])).is_ok());
        let mut gone = secret(&[]);
        gone["metadata"]["deletionTimestamp"] = json!("2020-01-01T00:00:00Z");
        assert_eq!(ask(&gone), Err(Refused::Deleted));
        assert_eq!(check(&token(), &secret(&[]), Usage::Signing, NOW), Err(Refused::Usage("usage-bootstrap-signing")));
        let mut used = secret(&[]);
        used["metadata"]["annotations"][ANNOTATION_USED_BY] = json!("n1");
        assert_eq!(ask(&used).unwrap().extra[EXTRA_USED_BY], ["n1"]);
        let mut other = secret(&[]);
        other["type"] = json!("Opaque");
        assert_eq!(ask(&other), Err(Refused::Type));
    }

    #[test]
    fn what_a_cluster_tells_is_signed() {
        let jws = sign_detached("kubeconfig", &token());
        assert!(verify_detached("kubeconfig", &jws, &token()));
        assert!(!verify_detached("kubeconfig ", &jws, &token()));
        assert!(!verify_detached("kubeconfig", &jws, &BootstrapToken::parse("abcdef.0123456789abcdee").unwrap()));
        assert!(!verify_detached("kubeconfig", &jws.replace("..", "."), &token()));
    }

    #[test]
    fn an_authority_is_known_by_its_keys_hash() {
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = rcgen::CertificateParams::default().self_signed(&key).unwrap();
        let hash = ca_hash(certificate.der()).unwrap();
        assert_eq!(hash.len(), "sha256:".len() + 64);
        assert!(ca_hash_matches(certificate.der(), &[hash.to_uppercase().replace("SHA256", "sha256")]));
        assert!(!ca_hash_matches(certificate.der(), &[]));
        assert_eq!(ca_hash(b"no certificate"), None);
    }
}
