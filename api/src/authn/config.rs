//! How a server learns who somebody is.

use std::path::PathBuf;

use berth_identity::oidc;

/// Where the means of identity are. The default is a server for itself: keys in memory, no users but those of the
/// token file and of certificates.
#[derive(Clone, Debug)]
pub struct IdentityConfig {
    /// The directory of the keys that sign tokens; without one they end with the process.
    pub token_keys: Option<PathBuf>,
    /// The issuer in tokens: a URL under which others find the keys.
    pub issuer: String,
    /// Where others find the keys, if not under the issuer.
    pub jwks_url: Option<String>,
    /// Audiences that mean this API; empty: the issuer.
    pub audiences: Vec<String>,
    /// Longest life of a service account's token in seconds; 0: a day. At most a year.
    pub token_seconds_max: i64,
    /// A file with an `AuthenticationConfiguration`; read again when it changes.
    pub authentication_file: Option<PathBuf>,
    /// One OpenID provider by a few settings, where there is no file.
    pub oidc: Option<oidc::Flags>,
    /// Users with passwords; read again when it changes.
    pub users_file: Option<PathBuf>,
    /// A directory that is asked about passwords.
    pub ldap_file: Option<PathBuf>,
    /// How long a login lasts, in seconds.
    pub session_seconds: i64,
    /// Front proxies that vouch for users.
    pub request_headers: Option<RequestHeaders>,
    /// Whether those who say nothing are heard, where no file says it.
    pub anonymous: bool,
}

impl Default for IdentityConfig {
    fn default() -> Self {
        Self {
            token_keys: None,
            issuer: "https://kubernetes.default.svc".to_owned(),
            jwks_url: None,
            audiences: Vec::new(),
            token_seconds_max: 0,
            authentication_file: None,
            oidc: None,
            users_file: None,
            ldap_file: None,
            session_seconds: berth_identity::session::LIFE_SECONDS,
            request_headers: None,
            anonymous: true,
        }
    }
}

/// Front proxies: whom they are signed by, and how they name users.
#[derive(Clone, Debug)]
pub struct RequestHeaders {
    /// Their authority in PEM form.
    pub ca_pem: String,
    /// Common names that they may have; empty: any.
    pub allowed_names: Vec<String>,
    pub username: Vec<String>,
    pub uid: Vec<String>,
    pub group: Vec<String>,
    pub extra_prefix: Vec<String>,
    /// Their authority is that of users, too: a proxy that names nobody is a user itself.
    pub signs_users: bool,
}

impl RequestHeaders {
    /// The usual headers: `X-Remote-User`, `X-Remote-Uid`, `X-Remote-Group` and `X-Remote-Extra-`.
    pub fn usual(ca_pem: &str) -> Self {
        let one = |name: &str| vec![name.to_owned()];
        Self {
            ca_pem: ca_pem.to_owned(),
            allowed_names: Vec::new(),
            username: one("x-remote-user"),
            uid: one("x-remote-uid"),
            group: one("x-remote-group"),
            extra_prefix: one("x-remote-extra-"),
            signs_users: false,
        }
    }
}

/// Why a server cannot learn who somebody is.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    #[error("the keys of tokens")]
    Keys(#[from] berth_identity::service_account::KeySetError),
    #[error("a key for tokens")]
    Key(#[from] berth_identity::jws::KeyError),
    #[error("OpenID providers")]
    Oidc(#[from] oidc::ConfigError),
    #[error("the users file")]
    Users(#[from] berth_identity::password::UsersError),
    #[error("the directory's configuration")]
    Ldap(#[from] berth_identity::ldap::ConfigError),
    #[error("could not read {path}", path = path.display())]
    File { path: PathBuf, source: std::io::Error },
    #[error("{0}")]
    Invalid(String),
}
