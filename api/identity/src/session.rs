//! Tokens of people who logged in: a password, a directory or a provider was asked once, and the answer is good for
//! some hours.
//!
//! Signed with the keys of the service accounts' tokens, for an audience of their own, so that neither passes for the
//! other. A session ends early when the key goes, or when the user's uid or generation is no longer the one it holds.

use serde_json::{Value, json};

use crate::Subject;
use crate::jws::{self, Compact, KeyError};
use crate::random::{self, NoRandom};
use crate::service_account::{KeySet, LEEWAY_SECONDS};

/// The issuer of sessions: no URL, so no service account issuer can be configured to be it.
pub const ISSUER: &str = "berth:session";
/// The audience of sessions.
pub const AUDIENCE: &str = "berth:api";
/// How long a session lasts where nothing else is said: a working day, in seconds.
pub const LIFE_SECONDS: i64 = 12 * 60 * 60;
/// Most groups in a session: a token must fit into a header.
pub const GROUPS_MAX: usize = 500;

/// How somebody logged in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    Password,
    Ldap,
    Oidc,
}

impl Method {
    fn as_str(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::Ldap => "ldap",
            Self::Oidc => "oidc",
        }
    }
}

/// A session that is believed. The caller compares `generation` with the user's present one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    pub subject: Subject,
    pub method: Method,
    /// The user's generation at login; 0 where the method has none.
    pub generation: u64,
    /// Seconds since 1970.
    pub expires_at: i64,
    pub jti: String,
}

/// Why a session is not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// Not a session: another authenticator may know the token.
    #[error("the token is no session")]
    NotOurs,
    #[error("the session's signature does not verify: log in again")]
    Signature,
    #[error("the session has expired: log in again")]
    Expired,
    #[error("the session's claims are broken: log in again")]
    Claims,
}

/// A session could not be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BeginError {
    #[error("could not sign a session: {0}")]
    Key(#[from] KeyError),
    #[error("could not sign a session: {0}")]
    Random(#[from] NoRandom),
    #[error("the user is in more than {GROUPS_MAX} groups: narrow the groups that the provider tells")]
    TooManyGroups,
}

/// Signs a session for somebody who proved who they are; returns the token and when it ends.
///
/// # Errors
/// When the system has no random numbers, or the user is in too many groups.
pub fn begin(
    keys: &KeySet,
    subject: &Subject,
    method: Method,
    generation: u64,
    life_seconds: i64,
    now: i64,
) -> Result<(String, i64), BeginError> {
    if subject.groups.len() > GROUPS_MAX {
        return Err(BeginError::TooManyGroups);
    }
    let expires_at = now.saturating_add(life_seconds.max(1));
    let claims = json!({
        "iss": ISSUER, "aud": [AUDIENCE], "sub": subject.name, "uid": subject.uid, "groups": subject.groups,
        "extra": subject.extra, "method": method.as_str(), "generation": generation,
        "iat": now, "nbf": now, "exp": expires_at, "jti": random::uuid()?,
    });
    Ok((jws::sign(keys.signing(), &claims)?, expires_at))
}

/// Checks a session's token at `now` (seconds since 1970).
///
/// # Errors
/// [`SessionError::NotOurs`] when another authenticator should look at it, else why it is refused.
pub fn verify(keys: &KeySet, token: &str, now: i64) -> Result<Session, SessionError> {
    let compact = Compact::parse(token).map_err(|_| SessionError::NotOurs)?;
    let unverified = compact.unverified_claims().ok_or(SessionError::NotOurs)?;
    if unverified["iss"] != ISSUER {
        return Err(SessionError::NotOurs);
    }
    let payload = compact.verify(keys.verifying()).map_err(|_| SessionError::Signature)?;
    let claims: Value = serde_json::from_slice(payload).map_err(|_| SessionError::Claims)?;
    if !jws::audiences(&claims).iter().any(|a| a == AUDIENCE) {
        return Err(SessionError::Claims);
    }
    let expires_at = jws::numeric_date(&claims["exp"]).ok_or(SessionError::Claims)?;
    let from = jws::numeric_date(&claims["nbf"]).ok_or(SessionError::Claims)?;
    if now >= expires_at || from > now.saturating_add(LEEWAY_SECONDS) {
        return Err(SessionError::Expired);
    }
    let method = match claims["method"].as_str() {
        Some("password") => Method::Password,
        Some("ldap") => Method::Ldap,
        Some("oidc") => Method::Oidc,
        _ => return Err(SessionError::Claims),
    };
    let text = |name: &str| claims[name].as_str().map(str::to_owned).ok_or(SessionError::Claims);
    let name = text("sub")?;
    if name.is_empty() {
        return Err(SessionError::Claims);
    }
    let subject = Subject {
        name,
        uid: text("uid")?,
        groups: serde_json::from_value(claims["groups"].clone()).map_err(|_| SessionError::Claims)?,
        extra: serde_json::from_value(claims["extra"].clone()).map_err(|_| SessionError::Claims)?,
    };
    let jti = text("jti")?;
    let generation = claims["generation"].as_u64().ok_or(SessionError::Claims)?;
    Ok(Session { subject: subject.with_credential("JTI", &jti), method, generation, expires_at, jti })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service_account::Issuer;

    const NOW: i64 = 1_700_000_000;

    fn alice() -> Subject {
        Subject { name: "alice".into(), uid: "7".into(), groups: vec!["dev".into()], ..Subject::default() }
    }

    #[test]
    fn a_session_says_who_logged_in_until_it_ends() {
        let keys = KeySet::in_memory().unwrap();
        let (token, ends) = begin(&keys, &alice(), Method::Password, 3, LIFE_SECONDS, NOW).unwrap();
        assert_eq!(ends, NOW + LIFE_SECONDS);
        let session = verify(&keys, &token, NOW).unwrap();
        assert_eq!((session.subject.name.as_str(), session.generation, session.method), ("alice", 3, Method::Password));
        assert_eq!(verify(&keys, &token, ends), Err(SessionError::Expired));
        assert_eq!(verify(&keys, &token, NOW - 61), Err(SessionError::Expired));
        assert_eq!(verify(&KeySet::in_memory().unwrap(), &token, NOW), Err(SessionError::Signature));
    }

    #[test]
    fn sessions_and_service_account_tokens_do_not_pass_for_each_other() {
        let keys = KeySet::in_memory().unwrap();
        let issuer = Issuer::new("https://berth");
        let (token, _) = begin(&keys, &alice(), Method::Ldap, 0, LIFE_SECONDS, NOW).unwrap();
        assert!(issuer.verify(&keys, &token, &[], NOW).is_err());
        assert!(issuer.verify(&keys, &token, &[AUDIENCE.to_owned()], NOW).is_err());
        assert_eq!(verify(&keys, "abcdef.0123456789abcdef", NOW), Err(SessionError::NotOurs));
    }

    #[test]
    fn too_many_groups_do_not_fit() {
        let keys = KeySet::in_memory().unwrap();
        let crowd = Subject { groups: vec!["g".into(); GROUPS_MAX + 1], ..alice() };
        assert_eq!(begin(&keys, &crowd, Method::Oidc, 0, 60, NOW), Err(BeginError::TooManyGroups));
    }
}
