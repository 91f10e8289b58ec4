//! The result of every authenticator: a name, a uid, groups and extra facts.

use std::collections::BTreeMap;

/// Extra key that says which credential was used, so that an audit line can be traced to a certificate or a token.
pub const EXTRA_CREDENTIAL_ID: &str = "authentication.kubernetes.io/credential-id";

/// Who proved to be who. `system:authenticated` is not in `groups`: the server adds it to everybody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subject {
    pub name: String,
    pub uid: String,
    pub groups: Vec<String>,
    pub extra: BTreeMap<String, Vec<String>>,
}

impl Subject {
    /// Says which credential was used, as `KIND=value`.
    #[must_use]
    pub fn with_credential(mut self, kind: &str, id: &str) -> Self {
        self.extra.insert(EXTRA_CREDENTIAL_ID.to_owned(), vec![format!("{kind}={id}")]);
        self
    }
}
