//! What a server behind this one is told of a request: everything the client said, but for what concerns only this
//! connection, and for who the client is. That is told by this server, and by nobody else.

use std::fmt::Write;
use std::net::IpAddr;

use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::authn::UserInfo;
use crate::status::ApiError;

/// Headers that are said to the next server only.
const HOP: &[&str] = &[
    "connection",
    "keep-alive",
    "proxy-connection",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "http2-settings",
];

/// Headers of a request that are not passed on: credentials are for this server, and the rest is said anew.
const OWN: &[&str] = &["authorization", "content-length", "expect", "host", "audit-id"];

/// How headers begin that say who somebody is, or wants to be.
const IDENTITY: &[&str] = &["x-remote-", "impersonate-"];

/// Start of a websocket's protocol that is a token.
const WEBSOCKET_TOKEN: &str = "base64url.bearer.authorization.k8s.io.";

/// Whether a client wants another protocol on this connection.
pub(super) fn is_upgrade(headers: &HeaderMap) -> bool {
    headers.contains_key(header::UPGRADE) && listed(headers).any(|name| name == "upgrade")
}

/// The names in `Connection`.
fn listed(headers: &HeaderMap) -> impl Iterator<Item = String> {
    let values = headers.get_all(header::CONNECTION).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|text| text.split(',')).map(|name| name.trim().to_ascii_lowercase())
}

/// The headers of a request that go on, without those that say who asks.
pub(super) fn of_request(from: &HeaderMap, peer: Option<IpAddr>) -> HeaderMap {
    let dropped: Vec<String> = listed(from).collect();
    let mut to = HeaderMap::with_capacity(from.len() + 8);
    for (name, value) in from {
        // Some servers take an underscore for a dash.
        let plain = name.as_str().replace('_', "-");
        let is_hop = HOP.contains(&&*plain) || dropped.iter().any(|other| other == name.as_str());
        let is_identity = IDENTITY.iter().any(|prefix| plain.starts_with(prefix));
        let is_token = plain == "sec-websocket-protocol" && value.to_str().is_ok_and(|v| v.contains(WEBSOCKET_TOKEN));
        if !is_hop && !is_identity && !is_token && !OWN.contains(&&*plain) {
            to.append(name.clone(), value.clone());
        }
    }
    if let Some(peer) = peer
        && let Ok(value) = HeaderValue::from_str(&peer.to_string())
    {
        to.append("x-forwarded-for", value);
    }
    to
}

/// The headers that ask for another protocol, as the client named it.
pub(super) fn ask_for_upgrade(from: &HeaderMap, to: &mut HeaderMap) {
    to.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    for value in from.get_all(header::UPGRADE) {
        to.append(header::UPGRADE, value.clone());
    }
}

/// The headers of an answer that go on.
pub(super) fn of_answer(from: &HeaderMap) -> HeaderMap {
    let dropped: Vec<String> = listed(from).collect();
    let mut to = HeaderMap::with_capacity(from.len());
    for (name, value) in from {
        let text = name.as_str();
        // Which sites' scripts may ask is for this server to say, and for no other.
        let is_cors = text.starts_with("access-control-");
        if !HOP.contains(&text) && !is_cors && !dropped.iter().any(|other| other == text) {
            to.append(name.clone(), value.clone());
        }
    }
    to
}

/// Says who asks.
///
/// # Errors
/// 500 for a name that no header can carry: it must not become another.
pub(super) fn identify(user: &UserInfo, to: &mut HeaderMap) -> Result<(), ApiError> {
    let value = |text: &str| {
        HeaderValue::from_bytes(text.as_bytes())
            .map_err(|_| ApiError::internal("the user has a name, a group or an attribute that no header can carry"))
    };
    to.insert("x-remote-user", value(&user.name)?);
    if !user.uid.is_empty() {
        to.insert("x-remote-uid", value(&user.uid)?);
    }
    for group in &user.groups {
        to.append("x-remote-group", value(group)?);
    }
    for (key, values) in &user.extra {
        let name = HeaderName::try_from(format!("x-remote-extra-{}", escape(key))).map_err(ApiError::internal)?;
        for text in values {
            to.append(name.clone(), value(text)?);
        }
    }
    Ok(())
}

/// A key as part of a header's name: percent signs spell what headers cannot.
fn escape(key: &str) -> String {
    let mut out = String::with_capacity(key.len());
    for byte in key.bytes() {
        if byte.is_ascii_alphanumeric() || b"!#$&'*+-.^_`|~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    #[test]
    fn who_asks_is_told_by_us_alone() {
        let from = map(&[
            ("authorization", "Bearer secret"),
            ("x-remote-user", "system:admin"),
            ("x_remote_group", "system:masters"),
            ("x-remote-extra-a", "b"),
            ("impersonate-user", "root"),
            ("sec-websocket-protocol", "base64url.bearer.authorization.k8s.io.c2VjcmV0"),
            ("connection", "keep-alive, X-Odd"),
            ("x-odd", "1"),
            ("transfer-encoding", "chunked"),
            ("content-length", "3"),
            ("accept", "application/json"),
        ]);
        let mut to = of_request(&from, Some([127, 0, 0, 1].into()));
        assert_eq!(to, map(&[("accept", "application/json"), ("x-forwarded-for", "127.0.0.1")]));
        let mut user = UserInfo::new("alice", &["devs"]);
        user.extra.insert("example.com/a b".into(), vec!["1".into(), "2".into()]);
        identify(&user, &mut to).unwrap();
        assert_eq!(to["x-remote-user"], "alice");
        let all = |name: &str| to.get_all(name).iter().map(|v| v.to_str().unwrap().to_owned()).collect::<Vec<_>>();
        assert_eq!(all("x-remote-group"), ["devs", "system:authenticated"]);
        assert_eq!(all("x-remote-extra-example.com%2fa%20b"), ["1", "2"]);
        assert!(identify(&UserInfo::new("a\nb", &[]), &mut HeaderMap::new()).is_err());
    }

    #[test]
    fn an_upgrade_is_what_both_headers_say() {
        assert!(is_upgrade(&map(&[("connection", "keep-alive, Upgrade"), ("upgrade", "websocket")])));
        assert!(!is_upgrade(&map(&[("connection", "keep-alive"), ("upgrade", "websocket")])));
        assert!(!is_upgrade(&map(&[("connection", "upgrade")])));
    }

    #[test]
    fn an_answer_loses_what_was_for_us() {
        let from = map(&[("keep-alive", "5"), ("access-control-allow-origin", "*"), ("etag", "1")]);
        assert_eq!(of_answer(&from), map(&[("etag", "1")]));
    }
}
