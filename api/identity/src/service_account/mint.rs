//! Making a token: what it claims, for whom, and for how long.

use serde_json::{Map, Value, json};

use super::{Issuer, KeySet, username};
use crate::jws::{self, KeyError};
use crate::random::{self, NoRandom};

/// Shortest life of a token that can be asked for: ten minutes, as upstream.
pub const EXPIRATION_MIN_SECONDS: i64 = 10 * 60;

/// A kind of object that a token can be bound to: when the object goes, the token is worth nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BoundKind {
    Secret,
    Task,
    Node,
}

impl BoundKind {
    /// The kind that an object reference names; `None` for one that no token can be bound to (a Pod, among others:
    /// there are none here).
    pub fn parse(api_version: &str, kind: &str) -> Option<Self> {
        match (api_version, kind) {
            ("v1" | "", "Secret") => Some(Self::Secret),
            ("berth.dev/v1", "Task") => Some(Self::Task),
            ("berth.dev/v1" | "v1" | "", "Node") => Some(Self::Node),
            _ => None,
        }
    }

    /// Its member in the private claims.
    pub fn claim(self) -> &'static str {
        match self {
            Self::Secret => "secret",
            Self::Task => "task",
            Self::Node => "node",
        }
    }
}

/// An object that a token is bound to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound {
    pub kind: BoundKind,
    pub name: String,
    pub uid: String,
}

/// What a token is asked for.
#[derive(Clone, Debug)]
pub struct Grant<'a> {
    pub namespace: &'a str,
    pub name: &'a str,
    pub uid: &'a str,
    /// Empty: those of the API.
    pub audiences: &'a [String],
    /// Validated before: at least [`EXPIRATION_MIN_SECONDS`].
    pub expiration_seconds: i64,
    pub bound: Option<&'a Bound>,
    /// The node that a bound task runs on.
    pub node: Option<(&'a str, &'a str)>,
}

/// A token, and what of the wish came true.
#[derive(Clone, PartialEq, Eq)]
pub struct Minted {
    pub token: String,
    /// Seconds since 1970.
    pub expires_at: i64,
    pub audiences: Vec<String>,
    pub jti: String,
    /// What to tell the client when the life was shortened.
    pub warning: Option<String>,
}

impl std::fmt::Debug for Minted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Minted({})", self.jti)
    }
}

/// A token could not be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MintError {
    #[error("failed to generate token: {0}")]
    Key(#[from] KeyError),
    #[error("failed to generate token: {0}")]
    Random(#[from] NoRandom),
}

impl Issuer {
    /// Makes a token.
    ///
    /// # Errors
    /// When the system has no random numbers.
    pub fn mint(&self, keys: &KeySet, grant: &Grant<'_>, now: i64) -> Result<Minted, MintError> {
        let asked = grant.expiration_seconds;
        let longest = self.expiration_max_seconds.clamp(EXPIRATION_MIN_SECONDS, Self::EXPIRATION_MAX_SECONDS);
        let life = asked.clamp(EXPIRATION_MIN_SECONDS, longest);
        let warning =
            (asked > life).then(|| format!("requested expiration of {asked} seconds shortened to {life} seconds"));
        let audiences = if grant.audiences.is_empty() { self.audiences.clone() } else { grant.audiences.to_vec() };
        let jti = random::uuid()?;
        let mut private = Map::new();
        private.insert("namespace".to_owned(), json!(grant.namespace));
        if let Some((name, uid)) = grant.node {
            private.insert("node".to_owned(), json!({"name": name, "uid": uid}));
        }
        if let Some(bound) = grant.bound {
            private.insert(bound.kind.claim().to_owned(), json!({"name": bound.name, "uid": bound.uid}));
        }
        private.insert("serviceaccount".to_owned(), json!({"name": grant.name, "uid": grant.uid}));
        let expires_at = now.saturating_add(life);
        let claims = json!({
            "aud": audiences,
            "exp": expires_at,
            "iat": now,
            "iss": self.url,
            "jti": jti,
            "kubernetes.io": Value::Object(private),
            "nbf": now,
            "sub": username(grant.namespace, grant.name),
        });
        let token = jws::sign(keys.signing(), &claims)?;
        Ok(Minted { token, expires_at, audiences, jti, warning })
    }
}
