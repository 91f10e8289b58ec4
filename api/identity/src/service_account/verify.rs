//! Believing a token: its signature, its issuer, its times and its audience. Whether the account still is the one it
//! was made for is for the caller to look up.

use serde_json::Value;

use super::{Bound, BoundKind, Issuer, KeySet, LEEWAY_SECONDS, groups, username};
use crate::Subject;
use crate::jws::{self, Compact, JwsError};

/// Why a token is not believed; the texts are upstream's where it has one, and hold nothing of the token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Not a token of this issuer: another authenticator may know it.
    #[error("the token is of another issuer")]
    NotOurs,
    #[error("invalid bearer token")]
    Signature(#[source] JwsError),
    #[error("service account token has expired")]
    Expired,
    #[error("service account token is not valid yet")]
    NotYet,
    #[error("token audiences {found} is invalid for the target audiences {wanted}")]
    Audience { found: String, wanted: String },
    #[error("service account token claims could not be validated: {0}")]
    Claims(&'static str),
}

/// What a token says that is believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    pub namespace: String,
    pub name: String,
    pub uid: String,
    /// Objects that must still be there, with these uids.
    pub bound: Vec<Bound>,
    /// Those of the token that were asked for.
    pub audiences: Vec<String>,
    pub jti: String,
    /// Seconds since 1970.
    pub expires_at: i64,
}

impl Verified {
    /// The account as a user.
    pub fn subject(&self) -> Subject {
        let mut subject = Subject {
            name: username(&self.namespace, &self.name),
            uid: self.uid.clone(),
            groups: groups(&self.namespace),
            ..Subject::default()
        };
        for bound in &self.bound {
            let prefix = match bound.kind {
                // A secret is named in the object's own annotations; upstream says nothing of it here either.
                BoundKind::Secret => continue,
                BoundKind::Task => "authentication.berth.dev/task",
                BoundKind::Node => "authentication.kubernetes.io/node",
            };
            subject.extra.insert(format!("{prefix}-name"), vec![bound.name.clone()]);
            subject.extra.insert(format!("{prefix}-uid"), vec![bound.uid.clone()]);
        }
        if self.jti.is_empty() { subject } else { subject.with_credential("JTI", &self.jti) }
    }
}

impl Issuer {
    /// Checks a token for `wanted` audiences (empty: those of the API) at `now` (seconds since 1970).
    ///
    /// # Errors
    /// [`TokenError::NotOurs`] when another authenticator should look at it, else why it is refused.
    pub fn verify(&self, keys: &KeySet, token: &str, wanted: &[String], now: i64) -> Result<Verified, TokenError> {
        let compact = Compact::parse(token).map_err(|_| TokenError::NotOurs)?;
        let unverified = compact.unverified_claims().ok_or(TokenError::NotOurs)?;
        if unverified["iss"].as_str() != Some(self.url.as_str()) {
            return Err(TokenError::NotOurs);
        }
        let payload = compact.verify(keys.verifying()).map_err(TokenError::Signature)?;
        let claims: Value = serde_json::from_slice(payload).map_err(|_| TokenError::Claims("they are not JSON"))?;
        check_times(&claims, now)?;
        let audiences = self.common_audiences(&claims, wanted)?;
        identity(&claims, audiences)
    }

    fn common_audiences(&self, claims: &Value, wanted: &[String]) -> Result<Vec<String>, TokenError> {
        let wanted = if wanted.is_empty() { &self.audiences } else { wanted };
        let found = jws::audiences(claims);
        let common: Vec<String> = found.iter().filter(|a| wanted.contains(a)).cloned().collect();
        if common.is_empty() {
            return Err(TokenError::Audience { found: go_list(&found), wanted: go_list(wanted) });
        }
        Ok(common)
    }
}

fn check_times(claims: &Value, now: i64) -> Result<(), TokenError> {
    let date = |name: &str| jws::numeric_date(&claims[name]);
    let expires = date("exp").ok_or(TokenError::Claims("they have no expiry"))?;
    if now.saturating_sub(LEEWAY_SECONDS) >= expires {
        return Err(TokenError::Expired);
    }
    let soon = now.saturating_add(LEEWAY_SECONDS);
    if date("nbf").is_some_and(|from| from > soon) || date("iat").is_some_and(|made| made > soon) {
        return Err(TokenError::NotYet);
    }
    Ok(())
}

fn identity(claims: &Value, audiences: Vec<String>) -> Result<Verified, TokenError> {
    let private = &claims["kubernetes.io"];
    let text = |value: &Value| value.as_str().filter(|t| !t.is_empty()).map(str::to_owned);
    let missing = TokenError::Claims("they do not name the account");
    let namespace = text(&private["namespace"]).ok_or_else(|| missing.clone())?;
    let name = text(&private["serviceaccount"]["name"]).ok_or_else(|| missing.clone())?;
    let uid = text(&private["serviceaccount"]["uid"]).ok_or(missing)?;
    if claims["sub"].as_str() != Some(username(&namespace, &name).as_str()) {
        return Err(TokenError::Claims("subject and account differ"));
    }
    let mut bound = Vec::new();
    for kind in [BoundKind::Secret, BoundKind::Task, BoundKind::Node] {
        let reference = &private[kind.claim()];
        if reference.is_null() {
            continue;
        }
        let half = || TokenError::Claims("they name a bound object by half");
        let (name, uid) = (text(&reference["name"]), text(&reference["uid"]));
        bound.push(Bound { kind, name: name.ok_or_else(half)?, uid: uid.ok_or_else(half)? });
    }
    if !private["pod"].is_null() {
        // Nothing here could tell whether that pod still runs.
        return Err(TokenError::Claims("they are bound to a pod"));
    }
    let jti = claims["jti"].as_str().unwrap_or_default().to_owned();
    let expires_at = jws::numeric_date(&claims["exp"]).unwrap_or_default();
    Ok(Verified { namespace, name, uid, bound, audiences, jti, expires_at })
}

/// A list of strings as Go prints it with `%q`.
fn go_list(texts: &[String]) -> String {
    let quoted: Vec<String> = texts.iter().map(|t| format!("{t:?}")).collect();
    format!("[{}]", quoted.join(" "))
}

#[cfg(test)]
mod tests {
    use super::super::Grant;
    use super::*;
    use serde_json::json;

    const NOW: i64 = 1_700_000_000;

    fn grant<'a>() -> Grant<'a> {
        Grant {
            namespace: "default",
            name: "bot",
            uid: "u1",
            audiences: &[],
            expiration_seconds: 3600,
            bound: None,
            node: None,
        }
    }

    #[test]
    fn a_token_claims_what_upstreams_do() {
        let (issuer, keys) = (Issuer::new("https://berth"), KeySet::in_memory().unwrap());
        let bound = Bound { kind: BoundKind::Secret, name: "s".into(), uid: "u2".into() };
        let minted = issuer.mint(&keys, &Grant { bound: Some(&bound), ..grant() }, NOW).unwrap();
        let mut claims = Compact::parse(&minted.token).unwrap().unverified_claims().unwrap();
        assert_eq!(claims["jti"].take(), json!(minted.jti));
        assert_eq!(
            claims,
            json!({"aud": ["https://berth"], "exp": NOW + 3600, "iat": NOW, "nbf": NOW, "iss": "https://berth", "jti": null,
                "sub": "system:serviceaccount:default:bot",
                "kubernetes.io": {"namespace": "default", "serviceaccount": {"name": "bot", "uid": "u1"},
                    "secret": {"name": "s", "uid": "u2"}}})
        );
        let verified = issuer.verify(&keys, &minted.token, &[], NOW).unwrap();
        assert_eq!((verified.uid.as_str(), &verified.bound[..]), ("u1", &[bound][..]));
        let subject = verified.subject();
        assert_eq!(subject.name, "system:serviceaccount:default:bot");
        assert_eq!(subject.groups, ["system:serviceaccounts", "system:serviceaccounts:default"]);
        assert_eq!(subject.extra[crate::EXTRA_CREDENTIAL_ID], [format!("JTI={}", minted.jti)]);
    }

    #[test]
    fn times_are_kept_to_the_minute() {
        let (issuer, keys) = (Issuer::new("https://berth"), KeySet::in_memory().unwrap());
        let token = issuer.mint(&keys, &grant(), NOW).unwrap().token;
        let at = |now| issuer.verify(&keys, &token, &[], now).map(|_| ());
        assert_eq!(at(NOW - 60), Ok(()));
        assert_eq!(at(NOW - 61), Err(TokenError::NotYet));
        assert_eq!(at(NOW + 3600 + 59), Ok(()));
        assert_eq!(at(NOW + 3600 + 60), Err(TokenError::Expired));
    }

    #[test]
    fn audiences_must_meet() {
        let (issuer, keys) = (Issuer::new("https://berth"), KeySet::in_memory().unwrap());
        let asked = ["vault".to_owned(), "other".to_owned()];
        let token = issuer.mint(&keys, &Grant { audiences: &asked, ..grant() }, NOW).unwrap().token;
        assert_eq!(issuer.verify(&keys, &token, &["vault".into()], NOW).unwrap().audiences, ["vault"]);
        let error = issuer.verify(&keys, &token, &[], NOW).unwrap_err();
        let said = r#"token audiences ["vault" "other"] is invalid for the target audiences ["https://berth"]"#;
        assert_eq!(error.to_string(), said);
    }

    #[test]
    fn a_longer_life_than_allowed_is_shortened() {
        let (issuer, keys) = (Issuer::new("https://berth"), KeySet::in_memory().unwrap());
        let minted = issuer.mint(&keys, &Grant { expiration_seconds: 1 << 32, ..grant() }, NOW).unwrap();
        assert_eq!(minted.expires_at, NOW + Issuer::EXPIRATION_MAX_DEFAULT_SECONDS);
        let said = "requested expiration of 4294967296 seconds shortened to 86400 seconds";
        assert_eq!(minted.warning.as_deref(), Some(said));
    }

    #[test]
    fn tokens_of_others_and_broken_claims_are_told_apart() {
        let (issuer, keys) = (Issuer::new("https://berth"), KeySet::in_memory().unwrap());
        let other = Issuer::new("https://other").mint(&keys, &grant(), NOW).unwrap().token;
        assert_eq!(issuer.verify(&keys, &other, &[], NOW), Err(TokenError::NotOurs));
        assert_eq!(issuer.verify(&keys, "opaque", &[], NOW), Err(TokenError::NotOurs));
        let forged = issuer.mint(&KeySet::in_memory().unwrap(), &grant(), NOW).unwrap().token;
        assert!(matches!(issuer.verify(&keys, &forged, &[], NOW), Err(TokenError::Signature(_))));
        let base = json!({"iss": "https://berth", "aud": "https://berth", "exp": NOW + 9, "sub": "system:serviceaccount:a:b",
            "kubernetes.io": {"namespace": "a", "serviceaccount": {"name": "b", "uid": "u"}}});
        let with = |path: &str, value: Value| {
            let mut claims = base.clone();
            *claims.pointer_mut(path).unwrap() = value;
            issuer.verify(&keys, &jws::sign(keys.signing(), &claims).unwrap(), &[], NOW)
        };
        assert!(with("/sub", json!("system:serviceaccount:a:b")).is_ok());
        assert!(matches!(with("/sub", json!("system:serviceaccount:a:c")), Err(TokenError::Claims(_))));
        assert!(matches!(with("/exp", Value::Null), Err(TokenError::Claims(_))));
        assert!(matches!(with("/kubernetes.io/serviceaccount", json!({"name": "b"})), Err(TokenError::Claims(_))));
        let pod =
            json!({"namespace": "a", "serviceaccount": {"name": "b", "uid": "u"}, "pod": {"name": "p", "uid": "v"}});
        assert!(matches!(with("/kubernetes.io", pod), Err(TokenError::Claims(_))));
    }
}
