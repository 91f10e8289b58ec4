//! A person's side of a provider: the authorization code flow with PKCE, for a program without secrets (RFC 8252).
//!
//! [`Client::begin`] gives an address for a browser; the provider sends the browser back to `redirect_uri` with a code,
//! and [`Begun::finish`] exchanges it for an ID token. Whether the token is believed is for the API server to say.

use std::fmt::Write as _;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use serde_json::Value;

use super::fetch::{self, FetchError};
use crate::jws::Compact;
use crate::random;

/// Why nobody could be logged in.
#[derive(Debug, thiserror::Error)]
pub enum LoginFlowError {
    #[error("could not ask the provider")]
    Fetch(#[from] FetchError),
    #[error("the provider's authority: {0}")]
    Trust(String),
    #[error("{0}: it is no usable discovery document")]
    Discovery(String),
    #[error("the answer does not belong to this login")]
    State,
    #[error("the provider refused: {0}")]
    Refused(String),
    #[error("the provider gave no ID token for this login")]
    NoToken,
    #[error("the system has no random numbers")]
    Random,
}

/// A program that is known to a provider.
#[derive(Clone, Default)]
pub struct Client {
    pub issuer_url: String,
    pub client_id: String,
    /// Programs on people's machines have none; some providers want one all the same.
    pub client_secret: Option<String>,
    /// Beside `openid`.
    pub scopes: Vec<String>,
    /// The provider's authorities in PEM form; none: those of the machine.
    pub ca_pem: Option<String>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Client({} at {})", self.client_id, self.issuer_url)
    }
}

/// A login on its way.
pub struct Begun {
    /// For a browser.
    pub url: String,
    client: Client,
    tls: Arc<rustls::ClientConfig>,
    token_endpoint: String,
    redirect_uri: String,
    state: String,
    nonce: String,
    verifier: String,
}

impl std::fmt::Debug for Begun {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Begun({:?})", self.client)
    }
}

impl Client {
    /// Asks the provider where things are, and begins.
    ///
    /// # Errors
    /// When the provider cannot be asked, or says nothing of use.
    pub async fn begin(self, redirect_uri: &str) -> Result<Begun, LoginFlowError> {
        let tls = crate::trust::client(self.ca_pem.as_deref()).map_err(|e| LoginFlowError::Trust(e.to_string()))?;
        let discovery = format!("{}/.well-known/openid-configuration", self.issuer_url.trim_end_matches('/'));
        let document = fetch::get(&discovery, &tls).await?;
        let document: Value = serde_json::from_slice(&document).unwrap_or_default();
        let told = |field: &str| document[field].as_str().filter(|url| url.starts_with("https://")).map(str::to_owned);
        let (Some(authorize), Some(token_endpoint)) = (told("authorization_endpoint"), told("token_endpoint")) else {
            return Err(LoginFlowError::Discovery(discovery));
        };
        if document["issuer"].as_str() != Some(self.issuer_url.as_str()) {
            return Err(LoginFlowError::Discovery(discovery));
        }
        let secret = || random::bytes::<32>().map(|b| URL_SAFE_NO_PAD.encode(b)).map_err(|_| LoginFlowError::Random);
        let (state, nonce, verifier) = (secret()?, secret()?, secret()?);
        let challenge = URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes()));
        let mut scope = "openid".to_owned();
        for more in self.scopes.iter().filter(|more| *more != "openid") {
            scope.push(' ');
            scope.push_str(more);
        }
        let query = form(&[
            ("response_type", "code"),
            ("client_id", &self.client_id),
            ("redirect_uri", redirect_uri),
            ("scope", &scope),
            ("state", &state),
            ("nonce", &nonce),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ]);
        let url = format!("{authorize}{}{query}", if authorize.contains('?') { '&' } else { '?' });
        let redirect_uri = redirect_uri.to_owned();
        Ok(Begun { url, client: self, tls, token_endpoint, redirect_uri, state, nonce, verifier })
    }
}

impl Begun {
    /// The code in the query that the provider sent the browser back with.
    ///
    /// # Errors
    /// When the provider refused, or the query belongs to no login of ours.
    pub fn code(&self, query: &str) -> Result<String, LoginFlowError> {
        let value = |wanted: &str| {
            let found = query.split('&').filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == wanted);
            found.map(|(_, value)| decode(value))
        };
        if value("state").as_deref() != Some(&self.state) {
            return Err(LoginFlowError::State);
        }
        if let Some(error) = value("error") {
            let why = value("error_description").unwrap_or_default();
            return Err(LoginFlowError::Refused(format!("{error} {why}").trim_end().to_owned()));
        }
        value("code").filter(|code| !code.is_empty()).ok_or(LoginFlowError::State)
    }

    /// Exchanges the code for an ID token.
    ///
    /// # Errors
    /// When the provider does not answer, or gives none.
    pub async fn finish(self, code: &str) -> Result<String, LoginFlowError> {
        let mut fields = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &self.redirect_uri),
            ("client_id", &self.client.client_id),
            ("code_verifier", &self.verifier),
        ];
        if let Some(secret) = &self.client.client_secret {
            fields.push(("client_secret", secret));
        }
        let (status, answer) = fetch::post(&self.token_endpoint, &self.tls, form(&fields)).await?;
        let answer: Value = serde_json::from_slice(&answer).unwrap_or_default();
        if status != 200 {
            let text = |field: &str| answer[field].as_str().unwrap_or_default().to_owned();
            let why = format!("{status} {} {}", text("error"), text("error_description"));
            return Err(LoginFlowError::Refused(why.trim_end().to_owned()));
        }
        let token = answer["id_token"].as_str().ok_or(LoginFlowError::NoToken)?;
        // The token of another login would be somebody else's.
        let claims = Compact::parse(token).ok().and_then(|token| token.unverified_claims());
        let is_ours = claims.is_some_and(|claims| claims["nonce"].as_str() == Some(&self.nonce));
        if is_ours { Ok(token.to_owned()) } else { Err(LoginFlowError::NoToken) }
    }
}

/// `application/x-www-form-urlencoded`, with everything escaped that is not plain.
fn form(fields: &[(&str, &str)]) -> String {
    let mut text = String::new();
    for (key, value) in fields {
        if !text.is_empty() {
            text.push('&');
        }
        text.push_str(key);
        text.push('=');
        for byte in value.bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                text.push(char::from(byte));
            } else {
                let _ = write!(text, "%{byte:02X}");
            }
        }
    }
    text
}

/// The value of a field; what is broken stays as it is.
fn decode(value: &str) -> String {
    let (mut bytes, mut rest) = (Vec::with_capacity(value.len()), value.as_bytes());
    while let Some((&first, tail)) = rest.split_first() {
        rest = tail;
        let escaped = std::str::from_utf8(tail.get(..2).unwrap_or_default());
        match (first, escaped.ok().and_then(|hex| u8::from_str_radix(hex, 16).ok())) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            (b'+', _) => bytes.push(b' '),
            _ => bytes.push(first),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begun() -> Begun {
        Begun {
            url: String::new(),
            client: Client::default(),
            tls: crate::trust::client(None).unwrap(),
            token_endpoint: String::new(),
            redirect_uri: String::new(),
            state: "s t".to_owned(),
            nonce: String::new(),
            verifier: String::new(),
        }
    }

    #[test]
    fn forms_are_escaped_and_read_back() {
        assert_eq!(form(&[("a", "x y&z"), ("b", "ä")]), "a=x%20y%26z&b=%C3%A4");
        assert_eq!(decode("x%20y%26z+%C3%A4%zz%"), "x y&z ä%zz%");
    }

    #[test]
    fn only_the_answer_to_this_login_counts() {
        let begun = begun();
        assert_eq!(begun.code("code=a%2Fb&state=s%20t").unwrap(), "a/b");
        assert!(matches!(begun.code("code=a&state=other"), Err(LoginFlowError::State)));
        assert!(matches!(begun.code("code=a"), Err(LoginFlowError::State)));
        let refused = begun.code("state=s+t&error=access_denied&error_description=not+you").unwrap_err();
        assert_eq!(refused.to_string(), "the provider refused: access_denied not you");
    }
}
