//! One provider: where its keys are, and the keys of now.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use serde_json::Value;
use tokio::sync::Mutex;

use super::claims::Rules;
use super::config::Jwt;
use super::{OidcError, fetch};
use crate::Subject;
use crate::jws::{self, Compact, JwsError, VerifyingKey};

/// A provider is asked for its keys at most this often, whatever tokens are shown to us.
pub const REFRESH_INTERVAL: Duration = Duration::from_secs(10);
/// Keys are asked for anew after this time, so that a key that a provider takes back goes.
const KEYS_AGE_MAX: Duration = Duration::from_secs(60 * 60);

/// A provider, with its rules and its keys.
pub struct Provider {
    config: Jwt,
    rules: Rules,
    tls: Arc<rustls::ClientConfig>,
    keys: ArcSwapOption<Keys>,
    /// When it was last asked. Held while asking: others wait instead of asking, too.
    asked: Mutex<Option<Instant>>,
}

struct Keys {
    all: Vec<VerifyingKey>,
    fetched: Instant,
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Provider({})", self.config.issuer.url)
    }
}

impl Provider {
    /// A provider of a configuration that was validated. Nobody is asked before the first token.
    pub(super) fn new(config: Jwt) -> Result<Self, String> {
        let pem = config.issuer.certificate_authority.as_deref().filter(|pem| !pem.is_empty());
        let tls = crate::trust::client(pem).map_err(|error| format!("issuer.certificateAuthority: {error}"))?;
        let rules = Rules::compile(&config)?;
        Ok(Self { config, rules, tls, keys: ArcSwapOption::empty(), asked: Mutex::new(None) })
    }

    /// The `iss` of its tokens.
    pub fn issuer(&self) -> &str {
        &self.config.issuer.url
    }

    /// The user of a token that says it is of this provider.
    pub(super) async fn authenticate(&self, token: &Compact<'_>, now: i64) -> Result<Subject, OidcError> {
        let claims = self.verified(token).await?;
        self.check(&claims, now)?;
        self.rules.subject(&claims).map_err(OidcError::Claims)
    }

    /// The claims, once the signature is known to be the provider's.
    async fn verified(&self, token: &Compact<'_>) -> Result<Value, OidcError> {
        let failed = |error: JwsError| OidcError::Verify(error.to_string());
        let stale = |keys: &Arc<Keys>| keys.fetched.elapsed() > KEYS_AGE_MAX;
        let mut keys = self.keys.load_full();
        if keys.as_ref().is_none_or(stale) {
            // Old keys are better than none while a provider is away.
            keys = self.refresh(keys.as_ref()).await.or(keys);
        }
        let mut keys = keys.ok_or(OidcError::NotInitialized)?;
        let mut payload = token.verify(&keys.all);
        if payload == Err(JwsError::UnknownKey)
            && let Some(newer) = self.refresh(Some(&keys)).await
        {
            keys = newer;
            payload = token.verify(&keys.all);
        }
        serde_json::from_slice(payload.map_err(failed)?)
            .map_err(|_| OidcError::Verify("the claims are not JSON".to_owned()))
    }

    /// Keys newer than `than`; `None` when it is too early to ask again, or the provider does not answer.
    async fn refresh(&self, than: Option<&Arc<Keys>>) -> Option<Arc<Keys>> {
        let mut asked = self.asked.lock().await;
        let present = self.keys.load_full();
        let newer = match (&present, than) {
            (Some(present), Some(than)) => !Arc::ptr_eq(present, than),
            (Some(_), None) => true,
            (None, _) => false,
        };
        if newer {
            // Somebody else asked while we waited.
            return present;
        }
        if asked.is_some_and(|at| at.elapsed() < REFRESH_INTERVAL) {
            return None;
        }
        *asked = Some(Instant::now());
        match self.fetch().await {
            Ok(all) => {
                let keys = Arc::new(Keys { all, fetched: Instant::now() });
                self.keys.store(Some(Arc::clone(&keys)));
                Some(keys)
            }
            Err(reason) => {
                tracing::warn!(issuer = self.issuer(), reason, "could not get the keys of an OpenID provider");
                None
            }
        }
    }

    async fn fetch(&self) -> Result<Vec<VerifyingKey>, String> {
        let own = format!("{}/.well-known/openid-configuration", self.issuer().trim_end_matches('/'));
        let url = self.config.issuer.discovery_url.as_deref().filter(|url| !url.is_empty()).unwrap_or(&own);
        let text = fetch::get(url, &self.tls).await.map_err(|e| e.to_string())?;
        let document: Value = serde_json::from_slice(&text).map_err(|e| format!("{url}: it is not JSON: {e}"))?;
        if document["issuer"].as_str() != Some(self.issuer()) {
            return Err(format!(
                "{url}: issuer did not match: expected {:?}, got {}",
                self.issuer(),
                document["issuer"]
            ));
        }
        let keys = document["jwks_uri"].as_str().ok_or_else(|| format!("{url}: it has no jwks_uri"))?;
        let set = fetch::get(keys, &self.tls).await.map_err(|e| e.to_string())?;
        jws::parse_set(&set).map_err(|e| format!("{keys}: {e}"))
    }

    /// Times and audience. No leeway, as upstream's library.
    fn check(&self, claims: &Value, now: i64) -> Result<(), OidcError> {
        let failed = |text: String| Err(OidcError::Verify(text));
        let date = |name: &str| jws::numeric_date(&claims[name]);
        if claims["iss"].as_str() != Some(self.issuer()) {
            return failed("oidc: id token issued by a different provider".to_owned());
        }
        match date("exp") {
            Some(expires) if now < expires => {}
            Some(_) => return failed("oidc: token is expired".to_owned()),
            None => return failed("oidc: the token has no expiry".to_owned()),
        }
        // Upstream's library gives five minutes to a clock that is behind the provider's.
        if date("nbf").is_some_and(|from| from > now + 300) {
            return failed("oidc: current time is before the nbf (not before) time".to_owned());
        }
        let (wanted, found) = (&self.config.issuer.audiences, jws::audiences(claims));
        if !found.iter().any(|audience| wanted.contains(audience)) {
            return failed(format!("oidc: expected audience in {wanted:?} got {found:?}"));
        }
        Ok(())
    }
}
