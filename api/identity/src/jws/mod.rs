//! JSON web signatures in their compact form: parsed strictly, verified with a key that says which algorithm it is for.
//!
//! What is refused, each because somebody was bitten: `none`, an algorithm that the key is not for, `crit`, padding,
//! line breaks and stray bits in base64, headers and tokens without bound.

mod algorithm;
mod jwk;
mod key;

pub use algorithm::Algorithm;
pub use jwk::{JWKS_KEYS_MAX, JwkError, parse_set, print, print_set};
pub(crate) use key::pem;
pub use key::{KeyError, SigningKey, VerifyingKey};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::Value;

/// Longest token that is looked at. Ours have about 1 KiB; providers with many groups reach some ten KiB.
pub const TOKEN_BYTES_MAX: usize = 64 * 1024;

/// Longest header of a token, decoded: an algorithm, a key's id and a type.
const HEADER_BYTES_MAX: usize = 4 * 1024;

/// Why a token is not believed. Never holds a part of the token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JwsError {
    #[error("the token is longer than {TOKEN_BYTES_MAX} bytes")]
    TooLong,
    #[error("the token is not a compact JWS: {0}")]
    Malformed(&'static str),
    #[error("the token's signature algorithm is not supported")]
    Algorithm,
    #[error("the token has critical header parameters, which are not supported")]
    Critical,
    #[error("no key has the token's key id")]
    UnknownKey,
    #[error("failed to verify signature")]
    Signature,
}

/// The part of a header that matters here.
#[derive(Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    kid: Option<String>,
    #[serde(default)]
    crit: Option<serde::de::IgnoredAny>,
    // RFC 7797: a payload that is not encoded.
    #[serde(default)]
    b64: Option<serde::de::IgnoredAny>,
}

/// A token taken apart, not yet believed.
pub struct Compact<'a> {
    pub algorithm: Algorithm,
    pub kid: Option<String>,
    signed: &'a str,
    payload: Vec<u8>,
    signature: Vec<u8>,
}

impl std::fmt::Debug for Compact<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Compact").field("algorithm", &self.algorithm).field("kid", &self.kid).finish_non_exhaustive()
    }
}

impl<'a> Compact<'a> {
    /// Takes a token apart.
    ///
    /// # Errors
    /// When it is not in compact form, too long, or asks for what is not supported.
    pub fn parse(token: &'a str) -> Result<Self, JwsError> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(JwsError::TooLong);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(JwsError::Malformed("it has no three parts"))?;
        let (header, payload) = signed.split_once('.').ok_or(JwsError::Malformed("it has no three parts"))?;
        if payload.contains('.') {
            return Err(JwsError::Malformed("it has no three parts"));
        }
        let header = decode(header, "its header is not base64url")?;
        if header.len() > HEADER_BYTES_MAX {
            return Err(JwsError::Malformed("its header is too long"));
        }
        let header: Header =
            serde_json::from_slice(&header).map_err(|_| JwsError::Malformed("its header is not a JSON object"))?;
        if header.crit.is_some() || header.b64.is_some() {
            return Err(JwsError::Critical);
        }
        Ok(Self {
            algorithm: Algorithm::parse(&header.alg).ok_or(JwsError::Algorithm)?,
            kid: header.kid,
            signed,
            payload: decode(payload, "its payload is not base64url")?,
            signature: decode(signature, "its signature is not base64url")?,
        })
    }

    /// The claims, before anything is known to be true: to find out whose token it may be.
    pub fn unverified_claims(&self) -> Option<Value> {
        serde_json::from_slice(&self.payload).ok()
    }

    /// The payload, when one of `keys` made the signature. A key's id in the token must be that of the key.
    ///
    /// # Errors
    /// When no key has the id, or none made the signature.
    pub fn verify(&self, keys: &[VerifyingKey]) -> Result<&[u8], JwsError> {
        let named = |key: &&VerifyingKey| match (&self.kid, &key.kid) {
            (Some(asked), Some(has)) => asked == has,
            // A provider with one key may leave its name out; without a name every key is tried.
            _ => true,
        };
        let mut candidates = keys.iter().filter(named).peekable();
        if candidates.peek().is_none() {
            return Err(JwsError::UnknownKey);
        }
        let good = |key: &VerifyingKey| key.verifies(self.algorithm, self.signed.as_bytes(), &self.signature);
        if candidates.take(JWKS_KEYS_MAX).any(good) { Ok(&self.payload) } else { Err(JwsError::Signature) }
    }
}

fn decode(text: &str, reason: &'static str) -> Result<Vec<u8>, JwsError> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| JwsError::Malformed(reason))
}

/// Signs `claims` with `key`: `header.payload.signature`, the header naming algorithm and key.
///
/// # Errors
/// When the system has no random numbers.
pub fn sign(key: &SigningKey, claims: &Value) -> Result<String, KeyError> {
    // Built by hand: upstream's header has these two members in this order.
    let kid = Value::String(key.kid().to_owned());
    let header = format!(r#"{{"alg":"{}","kid":{kid}}}"#, key.algorithm().as_str());
    let mut token = URL_SAFE_NO_PAD.encode(header);
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(claims.to_string(), &mut token);
    let signature = key.sign(token.as_bytes())?;
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut token);
    Ok(token)
}

/// A date of a claim, in seconds since 1970; a fraction is cut off.
pub(crate) fn numeric_date(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_f64().filter(|f| f.is_finite()).map(|f| f.floor() as i64))
}

/// The audiences of a token: one string, or a list of them.
pub(crate) fn audiences(claims: &Value) -> Vec<String> {
    match &claims["aud"] {
        Value::String(one) => vec![one.clone()],
        Value::Array(many) => many.iter().filter_map(|a| a.as_str().map(str::to_owned)).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn claims() -> Value {
        json!({"sub": "alice", "exp": 4_000_000_000u64})
    }

    fn check(token: &str, keys: &[VerifyingKey]) -> Result<Vec<u8>, JwsError> {
        Compact::parse(token)?.verify(keys).map(<[u8]>::to_vec)
    }

    #[test]
    fn what_is_signed_is_believed_and_by_nobody_else() {
        let (key, other) = (SigningKey::generate().unwrap(), SigningKey::generate().unwrap());
        let token = sign(&key, &claims()).unwrap();
        assert_eq!(check(&token, &[key.public().clone()]).unwrap(), claims().to_string().into_bytes());
        assert_eq!(check(&token, &[other.public().clone()]), Err(JwsError::UnknownKey));
        let mut same_name = other.public().clone();
        same_name.kid = Some(key.kid().to_owned());
        assert_eq!(check(&token, &[same_name]), Err(JwsError::Signature));
        assert_eq!(check(&token, &[]), Err(JwsError::UnknownKey));
    }

    #[test]
    fn headers_that_ask_for_trouble_are_refused() {
        let key = SigningKey::generate().unwrap();
        let keys = [key.public().clone()];
        let forge = |header: &str| {
            let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode("{}"));
            let signature = URL_SAFE_NO_PAD.encode(key.sign(signed.as_bytes()).unwrap());
            check(&format!("{signed}.{signature}"), &keys)
        };
        assert!(forge(r#"{"alg":"ES256"}"#).is_ok());
        assert_eq!(forge(r#"{"alg":"none"}"#), Err(JwsError::Algorithm));
        assert_eq!(forge(r#"{"alg":"HS256"}"#), Err(JwsError::Algorithm));
        assert_eq!(forge(r#"{"alg":"RS256"}"#), Err(JwsError::Signature));
        assert_eq!(forge(r#"{"alg":"ES384"}"#), Err(JwsError::Signature));
        assert_eq!(forge(r#"{"alg":"ES256","crit":["exp"]}"#), Err(JwsError::Critical));
        assert_eq!(forge(r#"{"alg":"ES256","b64":false}"#), Err(JwsError::Critical));
        assert!(matches!(forge(r#"{"alg":"ES256","alg":"ES256"}"#), Err(JwsError::Malformed(_))));
        assert!(matches!(forge(r#"{"kid":"x"}"#), Err(JwsError::Malformed(_))));
        assert!(matches!(forge("[]"), Err(JwsError::Malformed(_))));
        assert_eq!(forge(&format!(r#"{{"alg":"{}"}}"#, "x".repeat(100))), Err(JwsError::Algorithm));
        let long = format!(r#"{{"alg":"ES256","kid":"{}"}}"#, "x".repeat(HEADER_BYTES_MAX));
        assert!(matches!(forge(&long), Err(JwsError::Malformed(_))));
    }

    #[test]
    fn tokens_that_are_no_tokens_are_refused() {
        let key = SigningKey::generate().unwrap();
        let good = sign(&key, &claims()).unwrap();
        for bad in
            ["", ".", "..", "...", "a.b", &format!("{good}="), &format!("{good}."), &format!(" {good}"), "\u{e9}.a.b"]
        {
            assert!(check(bad, &[key.public().clone()]).is_err(), "{bad}");
        }
        assert_eq!(check(&"a".repeat(TOKEN_BYTES_MAX + 1), &[]), Err(JwsError::TooLong));
    }

    proptest! {
        #[test]
        fn a_token_with_any_byte_changed_is_refused(at in any::<prop::sample::Index>(), to in 0u8..128) {
            let key = SigningKey::generate().unwrap();
            let mut token = sign(&key, &claims()).unwrap().into_bytes();
            let at = at.index(token.len());
            prop_assume!(token[at] != to);
            token[at] = to;
            let token = String::from_utf8(token).unwrap();
            prop_assert!(check(&token, &[key.public().clone()]).is_err());
        }
    }
}
