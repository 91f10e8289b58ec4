//! Continue tokens: where the next page of a list starts. Opaque to clients, but in the form that Kubernetes uses.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::status::ApiError;

/// Where the next page starts.
pub(crate) struct ContinueToken<'a> {
    /// -1: at whatever is there then.
    pub revision: i64,
    /// Namespace and name of the last object that was told.
    pub after: (&'a str, &'a str),
}

impl ContinueToken<'_> {
    pub(crate) fn encode(&self) -> String {
        let (namespace, name) = self.after;
        let start = if namespace.is_empty() { format!("{name}\0") } else { format!("{namespace}/{name}\0") };
        URL_SAFE_NO_PAD.encode(json!({"v": "meta.k8s.io/v1", "rv": self.revision, "start": start}).to_string())
    }

    /// Reads what a client gives back: the revision, and namespace and name.
    ///
    /// # Errors
    /// 400 for what we did not make.
    pub(crate) fn decode(token: &str, namespaced: bool) -> Result<(i64, (String, String)), ApiError> {
        let bad =
            |why: &str| ApiError::bad_request(format!("invalid continue token: continue key is not valid: {why}"));
        let bytes = URL_SAFE_NO_PAD.decode(token.trim_end_matches('=')).map_err(|e| bad(&e.to_string()))?;
        let value: Value = serde_json::from_slice(&bytes).map_err(|e| bad(&e.to_string()))?;
        if value["v"] != "meta.k8s.io/v1" {
            return Err(bad("server does not recognize this encoded version"));
        }
        let revision =
            value["rv"].as_i64().filter(|rv| *rv != 0).ok_or_else(|| bad("incorrect encoded start resourceVersion"))?;
        let start = value["start"].as_str().unwrap_or_default();
        let start = start.trim_start_matches('/').trim_end_matches('\0');
        if start.is_empty() {
            return Err(bad("encoded start key empty"));
        }
        let after = match start.split_once('/') {
            Some((namespace, name)) if namespaced => (namespace.to_owned(), name.to_owned()),
            _ => (String::new(), start.to_owned()),
        };
        Ok((revision, after))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_survives_the_way_there_and_back() {
        let token = ContinueToken { revision: 465, after: ("ns", "w2") }.encode();
        assert_eq!(ContinueToken::decode(&token, true).unwrap(), (465, ("ns".into(), "w2".into())));
        let token = ContinueToken { revision: 465, after: ("", "w2") }.encode();
        assert_eq!(ContinueToken::decode(&token, false).unwrap(), (465, (String::new(), "w2".into())));
        for bad in ["garbage!", "e30", ""] {
            assert_eq!(ContinueToken::decode(bad, true).unwrap_err().code(), 400);
        }
    }
}
