//! JSON web keys and sets of them: what we publish, and what providers publish.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::key::Material;
use super::{Algorithm, VerifyingKey};

/// Most keys of a set that are looked at: providers have two to five.
pub const JWKS_KEYS_MAX: usize = 100;

/// A set of keys cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JwkError {
    #[error("it is not a JSON web key set: {0}")]
    NotASet(String),
    #[error("it has more than {JWKS_KEYS_MAX} keys")]
    TooMany,
}

/// The keys of a set that verify signatures. Keys of a kind that is not understood are passed over, as RFC 7517 says.
///
/// # Errors
/// When it is no set, or one with too many keys.
pub fn parse_set(text: &[u8]) -> Result<Vec<VerifyingKey>, JwkError> {
    let set: Value = serde_json::from_slice(text).map_err(|e| JwkError::NotASet(e.to_string()))?;
    let keys = set["keys"].as_array().ok_or_else(|| JwkError::NotASet("`keys` is no list".to_owned()))?;
    if keys.len() > JWKS_KEYS_MAX {
        return Err(JwkError::TooMany);
    }
    Ok(keys.iter().filter_map(parse).collect())
}

/// One key, if it is one that verifies signatures.
fn parse(key: &Value) -> Option<VerifyingKey> {
    let text = |name: &str| key[name].as_str();
    let number = |name: &str| text(name).and_then(|t| URL_SAFE_NO_PAD.decode(t).ok());
    if text("use").is_some_and(|usage| usage != "sig") {
        return None;
    }
    let for_verifying = |ops: &Vec<Value>| ops.iter().any(|op| op == "verify");
    if key["key_ops"].as_array().is_some_and(|ops| !for_verifying(ops)) {
        return None;
    }
    let point = |length: usize| {
        let (x, y) = (number("x")?, number("y")?);
        (x.len() == length && y.len() == length).then(|| [&[4u8][..], &x, &y].concat())
    };
    let material = match (text("kty")?, text("crv")) {
        ("RSA", _) => {
            let trim = |bytes: Vec<u8>| bytes.into_iter().skip_while(|b| *b == 0).collect::<Vec<u8>>();
            Material::Rsa { n: trim(number("n")?), e: trim(number("e")?) }
        }
        ("EC", Some("P-256")) => Material::P256(point(32)?),
        ("EC", Some("P-384")) => Material::P384(point(48)?),
        ("OKP", Some("Ed25519")) => Material::Ed25519(number("x").filter(|x| x.len() == 32)?),
        _ => return None,
    };
    // An algorithm that is not known here is one that the key must not be used with here.
    let algorithm = match text("alg") {
        Some(name) => Some(Algorithm::parse(name)?),
        None => None,
    };
    Some(VerifyingKey { kid: text("kid").map(str::to_owned), algorithm, material })
}

/// A key as it is published.
pub fn print(key: &VerifyingKey) -> Value {
    let number = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let half = |point: &[u8], second: bool| {
        let middle = 1 + point.len() / 2;
        number(if second { &point[middle..] } else { &point[1..middle] })
    };
    let mut jwk = match &key.material {
        Material::Rsa { n, e } => json!({"kty": "RSA", "n": number(n), "e": number(e)}),
        Material::P256(p) => json!({"kty": "EC", "crv": "P-256", "x": half(p, false), "y": half(p, true)}),
        Material::P384(p) => json!({"kty": "EC", "crv": "P-384", "x": half(p, false), "y": half(p, true)}),
        Material::Ed25519(x) => json!({"kty": "OKP", "crv": "Ed25519", "x": number(x)}),
    };
    jwk["use"] = json!("sig");
    if let Some(kid) = &key.kid {
        jwk["kid"] = json!(kid);
    }
    if let Some(algorithm) = key.algorithm {
        jwk["alg"] = json!(algorithm.as_str());
    }
    jwk
}

/// A set of keys as it is published.
pub fn print_set(keys: &[VerifyingKey]) -> Value {
    json!({"keys": keys.iter().map(print).collect::<Vec<_>>()})
}

#[cfg(test)]
mod tests {
    use super::super::{Compact, SigningKey, sign};
    use super::*;

    #[test]
    fn a_printed_set_reads_back() {
        let keys = [SigningKey::generate().unwrap(), SigningKey::generate().unwrap()];
        let public: Vec<VerifyingKey> = keys.iter().map(|k| k.public().clone()).collect();
        let printed = print_set(&public).to_string();
        assert!(parse_set(printed.as_bytes()).unwrap() == public);
        let token = sign(&keys[1], &json!({})).unwrap();
        Compact::parse(&token).unwrap().verify(&parse_set(printed.as_bytes()).unwrap()).unwrap();
    }

    #[test]
    fn keys_for_other_things_are_passed_over() {
        let good = print(SigningKey::generate().unwrap().public());
        let with = |name: &str, value: Value| {
            let mut key = good.clone();
            key[name] = value;
            json!({"keys": [key]}).to_string()
        };
        let count = |text: String| parse_set(text.as_bytes()).unwrap().len();
        assert_eq!(count(with("use", json!("sig"))), 1);
        assert_eq!(count(with("use", json!("enc"))), 0);
        assert_eq!(count(with("key_ops", json!(["sign"]))), 0);
        assert_eq!(count(with("kty", json!("oct"))), 0);
        assert_eq!(count(with("crv", json!("P-521"))), 0);
        assert_eq!(count(with("alg", json!("ES512"))), 0);
        assert_eq!(count(with("x", json!("AA"))), 0);
        assert!(matches!(parse_set(b"{}"), Err(JwkError::NotASet(_))));
        let many = json!({"keys": vec![good; JWKS_KEYS_MAX + 1]}).to_string();
        assert_eq!(parse_set(many.as_bytes()), Err(JwkError::TooMany));
    }

    /// RFC 7517, appendix A.1: the examples everybody has.
    #[test]
    fn the_examples_of_the_standard_are_read() {
        let set = r#"{"keys":[
          {"kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
           "y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM","use":"enc","kid":"1"},
          {"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
           "e":"AQAB","alg":"RS256","kid":"2011-04-29"}]}"#;
        let keys = parse_set(set.as_bytes()).unwrap();
        assert_eq!(keys.len(), 1);
        assert_eq!(keys[0].kid.as_deref(), Some("2011-04-29"));
    }
}
