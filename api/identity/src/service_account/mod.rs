//! Tokens of service accounts: the keys that sign them, what they claim, and when they are believed.
//!
//! A token that verifies here is believed only after a look at the objects it names: the caller does that, with the
//! names and uids of [`Verified`].

mod keys;
mod mint;
mod verify;

pub use keys::{KEYS_MAX, KeySet, KeySetError, SIGNS_SECONDS};
pub use mint::{Bound, BoundKind, EXPIRATION_MIN_SECONDS, Grant, MintError, Minted};
pub use verify::{TokenError, Verified};

/// Start of a service account's user name.
pub const USERNAME_PREFIX: &str = "system:serviceaccount:";
/// Group of all service accounts.
pub const GROUP_ALL: &str = "system:serviceaccounts";
/// How far clocks may be apart.
pub const LEEWAY_SECONDS: i64 = 60;

/// The user name of a service account.
pub fn username(namespace: &str, name: &str) -> String {
    format!("{USERNAME_PREFIX}{namespace}:{name}")
}

/// The groups of a service account, without `system:authenticated`.
pub fn groups(namespace: &str) -> Vec<String> {
    vec![GROUP_ALL.to_owned(), format!("{GROUP_ALL}:{namespace}")]
}

/// Namespace and name of a service account's user name; `None` for any other user.
pub fn split_username(user: &str) -> Option<(&str, &str)> {
    let (namespace, name) = user.strip_prefix(USERNAME_PREFIX)?.split_once(':')?;
    let label = |text: &str| {
        let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let ends = !text.starts_with('-') && !text.ends_with('-');
        !text.is_empty() && text.len() <= 63 && ends && text.bytes().all(inner)
    };
    let is_name = name.len() <= 253 && name.split('.').all(|part| !part.is_empty() && label_like(part));
    (label(namespace) && is_name).then_some((namespace, name))
}

/// A part of a DNS name: unlike a label it is bounded by the whole name's length only.
fn label_like(text: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    !text.starts_with('-') && !text.ends_with('-') && text.bytes().all(inner)
}

/// What issues and checks tokens: a name, the audiences that mean this API, and a bound on how long tokens live.
#[derive(Clone, Debug)]
pub struct Issuer {
    /// The `iss` of tokens: the URL under which the discovery document is found.
    pub url: String,
    /// Audiences of the API itself; the first are what a token gets that asks for none.
    pub audiences: Vec<String>,
    /// Longest life of a token, in seconds. A longer wish is shortened to it.
    pub expiration_max_seconds: i64,
}

impl Issuer {
    /// Longest life of a token that asks for more, where nothing else is set: a day.
    pub const EXPIRATION_MAX_DEFAULT_SECONDS: i64 = 24 * 60 * 60;
    /// Longest life that can be set: a year.
    pub const EXPIRATION_MAX_SECONDS: i64 = 365 * 24 * 60 * 60;

    /// An issuer whose only audience is itself.
    pub fn new(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            audiences: vec![url.to_owned()],
            expiration_max_seconds: Self::EXPIRATION_MAX_DEFAULT_SECONDS,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_name_says_which_account_it_is() {
        assert_eq!(split_username("system:serviceaccount:shop:web"), Some(("shop", "web")));
        assert_eq!(split_username(&username("a", "b.c")), Some(("a", "b.c")));
        for other in [
            "alice",
            "system:serviceaccount:shop",
            "system:serviceaccount:shop:a:b",
            "system:serviceaccount::b",
            "system:serviceaccount:Shop:web",
            "system:serviceaccount:shop:",
            "system:serviceaccount:shop:-a",
        ] {
            assert_eq!(split_username(other), None, "{other}");
        }
        assert_eq!(groups("shop"), ["system:serviceaccounts", "system:serviceaccounts:shop"]);
    }
}
