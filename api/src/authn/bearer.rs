//! Bearer tokens of every kind: who they say somebody is, and whether that still holds.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use berth_identity::service_account::{TokenError, Verified};
use berth_identity::session::{self, Method, Session, SessionError};
use berth_identity::{Subject, bootstrap, oidc::OidcError};
use http::{HeaderMap, HeaderValue, header};

use super::state::now;
use super::{UserInfo, accounts};
use crate::inner::Inner;

/// Somebody who is believed, and the audiences that the token is for.
#[derive(Debug)]
pub(super) struct Believed {
    pub user: UserInfo,
    pub audiences: Vec<String>,
}

/// Why nobody is. For the log and for reviews; a client learns only that its token is not valid.
#[derive(Debug, Default)]
pub(super) struct Refusal(Vec<String>);

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const INVALID: &str = "invalid bearer token";
        if self.0.is_empty() {
            return f.write_str(INVALID);
        }
        write!(f, "[{INVALID}, {}]", self.0.join(", "))
    }
}

/// What a signature proved. What can change since is asked each time.
#[derive(Clone, Debug)]
pub(super) enum Proof {
    Account(Verified),
    Session(Session),
    Provider(Subject),
}

impl Proof {
    /// Whether the token's own time is over.
    fn has_expired(&self, now: i64) -> bool {
        match self {
            Self::Account(account) => account.expires_at + berth_identity::service_account::LEEWAY_SECONDS <= now,
            Self::Session(session) => session.expires_at <= now,
            // Not known here; no longer than the cache keeps it.
            Self::Provider(_) => false,
        }
    }
}

/// The token of a request: the second word after `Bearer`, as upstream reads it. Another scheme is nothing said.
pub(super) fn token_of(headers: &HeaderMap) -> Option<&str> {
    let mut words = headers.get(http::header::AUTHORIZATION)?.to_str().ok()?.trim().splitn(3, ' ');
    let scheme = words.next()?;
    let token = words.next()?;
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

/// Start of a websocket's protocol that is no protocol but a token: browsers can set no other header.
const WEBSOCKET_TOKEN: &str = "base64url.bearer.authorization.k8s.io.";

/// Moves a token that came as a websocket's protocol to where tokens are; what is left are protocols only. Never passed
/// on, and never answered with.
pub(crate) fn take_websocket_token(headers: &mut HeaderMap) {
    const PROTOCOLS: http::HeaderName = header::SEC_WEBSOCKET_PROTOCOL;
    let given: Vec<String> = headers
        .get_all(PROTOCOLS)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(',').map(|protocol| protocol.trim().to_owned()))
        .collect();
    if !given.iter().any(|protocol| protocol.starts_with(WEBSOCKET_TOKEN)) {
        return;
    }
    let (tokens, others): (Vec<_>, Vec<_>) = given.into_iter().partition(|p| p.starts_with(WEBSOCKET_TOKEN));
    headers.remove(PROTOCOLS);
    if let Ok(value) = HeaderValue::from_str(&others.join(", "))
        && !others.is_empty()
    {
        headers.insert(PROTOCOLS, value);
    }
    if headers.contains_key(header::AUTHORIZATION) {
        return;
    }
    // As upstream: one token, and a protocol beside it to answer with. Anything else proves nothing.
    let decoded = match &tokens[..] {
        [one] if !others.is_empty() => URL_SAFE_NO_PAD.decode(&one[WEBSOCKET_TOKEN.len()..]).ok(),
        _ => None,
    };
    let token = decoded.and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_else(|| "-".to_owned());
    let mut value =
        HeaderValue::from_str(&format!("Bearer {token}")).unwrap_or_else(|_| HeaderValue::from_static("Bearer -"));
    value.set_sensitive(true);
    headers.insert(header::AUTHORIZATION, value);
}

/// Who a token is for `wanted` audiences (empty: this API's).
pub(super) async fn believe(server: &Inner, token: &str, wanted: &[String]) -> Result<Believed, Refusal> {
    let identity = &server.identity;
    let own = || common(&identity.issuer.audiences, wanted);
    if let Some(user) = identity.tokens.user(token) {
        return own().map(|audiences| Believed { user: user.clone(), audiences });
    }
    if let Some(token) = bootstrap::BootstrapToken::parse(token) {
        let subject = Box::pin(accounts::bootstrap(server, &token)).await?;
        return own().map(|audiences| Believed { user: subject.into(), audiences });
    }
    let is_usual = wanted.is_empty();
    let cached = if is_usual { identity.believed.get(token) } else { None };
    let proof = match cached {
        Some(proof) if !proof.has_expired(now()) => proof,
        _ => {
            // Seldom, and large: asking a provider must not make every request's future as large as that.
            let proof = Box::pin(prove(server, token, wanted)).await?;
            if is_usual {
                identity.believed.put(token, proof.clone());
            }
            proof
        }
    };
    match proof {
        Proof::Account(account) => {
            Box::pin(accounts::check(server, &account)).await.map_err(|reason| Refusal(vec![reason]))?;
            Ok(Believed { user: account.subject().into(), audiences: account.audiences })
        }
        Proof::Session(session) => {
            let Subject { name, uid, .. } = &session.subject;
            let users = identity.users.load();
            if session.method == Method::Password && !users.is_current(name, uid, session.generation) {
                return Err(Refusal(vec!["the user has changed since: log in again".to_owned()]));
            }
            own().map(|audiences| Believed { user: session.subject.into(), audiences })
        }
        Proof::Provider(subject) => own().map(|audiences| Believed { user: subject.into(), audiences }),
    }
}

/// The audiences of this API that are wanted.
fn common(own: &[String], wanted: &[String]) -> Result<Vec<String>, Refusal> {
    if wanted.is_empty() {
        return Ok(own.to_vec());
    }
    let common: Vec<String> = own.iter().filter(|audience| wanted.contains(audience)).cloned().collect();
    if common.is_empty() { Err(Refusal::default()) } else { Ok(common) }
}

/// What a signature proves, whoever made it.
async fn prove(server: &Inner, token: &str, wanted: &[String]) -> Result<Proof, Refusal> {
    let identity = &server.identity;
    let keys = identity.keys.load_full();
    let now = now();
    match identity.issuer.verify(&keys, token, wanted, now) {
        Ok(account) => return Ok(Proof::Account(account)),
        Err(TokenError::NotOurs) => {}
        Err(TokenError::Signature(_)) => return Err(Refusal::default()),
        Err(error) => return Err(Refusal(vec![error.to_string()])),
    }
    match session::verify(&keys, token, now) {
        Ok(session) => return Ok(Proof::Session(session)),
        Err(SessionError::NotOurs) => {}
        Err(error) => return Err(Refusal(vec![error.to_string()])),
    }
    match identity.oidc.providers().authenticate(token, now).await {
        Ok(subject) => Ok(Proof::Provider(subject)),
        Err(OidcError::NotOurs) => Err(Refusal::default()),
        Err(error) => Err(Refusal(vec![error.to_string()])),
    }
}

impl From<bootstrap::Refused> for Refusal {
    fn from(refused: bootstrap::Refused) -> Self {
        Self(vec![refused.to_string()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_the_word_after_bearer() {
        let of = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("authorization", text.parse().unwrap());
            token_of(&headers).map(str::to_owned)
        };
        assert_eq!(of("Bearer abc").as_deref(), Some("abc"));
        assert_eq!(of("bearer abc def").as_deref(), Some("abc"));
        assert_eq!(of("Bearer  abc"), None);
        assert_eq!(of("Bearer"), None);
        assert_eq!(of("Basic abc"), None);
        assert_eq!(token_of(&HeaderMap::new()), None);
    }

    #[test]
    fn a_browser_sends_its_token_as_a_protocol() {
        let of = |protocols: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("sec-websocket-protocol", protocols.parse().unwrap());
            take_websocket_token(&mut headers);
            let left = headers.get("sec-websocket-protocol").map(|v| v.to_str().unwrap().to_owned());
            (token_of(&headers).map(str::to_owned), left)
        };
        let token = format!("{WEBSOCKET_TOKEN}{}", URL_SAFE_NO_PAD.encode("abc"));
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(of(&format!("v4.channel.k8s.io, {token}")), (some("abc"), some("v4.channel.k8s.io")));
        assert_eq!(of("v4.channel.k8s.io"), (None, some("v4.channel.k8s.io")));
        assert_eq!(of(&token), (some("-"), None), "without a protocol to answer with it proves nothing");
        assert_eq!(of(&format!("a, {token}, {token}")), (some("-"), some("a")));
        assert_eq!(of(&format!("a, {WEBSOCKET_TOKEN}%%%")), (some("-"), some("a")));
    }

    #[test]
    fn a_refusal_reads_as_upstreams() {
        assert_eq!(Refusal::default().to_string(), "invalid bearer token");
        assert_eq!(Refusal(vec!["x".into()]).to_string(), "[invalid bearer token, x]");
    }
}
