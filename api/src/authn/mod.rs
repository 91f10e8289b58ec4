//! Who is asking: a client certificate, a bearer token, or (in process) an identity handed over by the caller.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::{SecureRandom, SystemRandom};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::inner::Inner;
use crate::registry::ReviewKind;
use crate::status::ApiError;

/// Members may do everything.
pub const GROUP_MASTERS: &str = "system:masters";
/// The controllers of a cluster.
pub const GROUP_CONTROLLERS: &str = "system:controllers";
/// The agents; each is user `system:node:NAME`.
pub const GROUP_NODES: &str = "system:nodes";
/// Everybody who proved who they are.
pub const GROUP_AUTHENTICATED: &str = "system:authenticated";
/// Everybody else.
pub const GROUP_UNAUTHENTICATED: &str = "system:unauthenticated";
/// The user name of whoever did not say who they are.
pub const USER_ANONYMOUS: &str = "system:anonymous";
/// Prefix of an agent's user name.
pub const NODE_USER_PREFIX: &str = "system:node:";

/// A user that has proved who it is. Handed in process by a request extension, never by a header.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserInfo {
    pub name: String,
    /// Empty when whoever vouches for the user knows none.
    pub uid: String,
    pub groups: Vec<String>,
    /// What else is known, such as the id of the credential.
    pub extra: BTreeMap<String, Vec<String>>,
}

impl UserInfo {
    pub fn new(name: impl Into<String>, groups: &[&str]) -> Self {
        let groups = groups.iter().map(|g| (*g).to_owned()).collect();
        Self { name: name.into(), groups, ..Self::default() }.authenticated()
    }

    /// The administrator.
    pub fn admin() -> Self {
        Self::new("admin", &[GROUP_MASTERS])
    }

    /// Whoever did not say who they are.
    pub fn anonymous() -> Self {
        Self {
            name: USER_ANONYMOUS.to_owned(),
            groups: vec![GROUP_UNAUTHENTICATED.to_owned()],
            ..Self::default()
        }
    }

    /// The API server's own writes.
    pub fn apiserver() -> Self {
        Self::new("system:apiserver", &[GROUP_MASTERS])
    }

    /// The controllers of this process.
    pub fn controllers() -> Self {
        Self::new("system:controllers", &[GROUP_CONTROLLERS])
    }

    /// The agent of a node.
    pub fn node(name: &str) -> Self {
        Self::new(format!("{NODE_USER_PREFIX}{name}"), &[GROUP_NODES])
    }

    pub fn is_in(&self, group: &str) -> bool {
        self.groups.iter().any(|g| g == group)
    }

    fn authenticated(mut self) -> Self {
        if !self.is_in(GROUP_AUTHENTICATED) {
            self.groups.push(GROUP_AUTHENTICATED.to_owned());
        }
        self
    }
}

/// Bearer tokens, kept as digests, so that a comparison takes the same time whatever was sent.
#[derive(Clone, Default)]
pub struct Tokens {
    by_digest: HashMap<[u8; 32], UserInfo>,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tokens({} users)", self.by_digest.len())
    }
}

/// Why the token file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TokensError {
    #[error("could not read or write the token file {path}", path = path.display())]
    File { path: std::path::PathBuf, source: std::io::Error },
    #[error("line {line} of the token file {path} must be: token,user,uid,\"group1,group2\"", path = path.display())]
    Line { path: std::path::PathBuf, line: usize },
    #[error("the system has no random numbers to make a token of")]
    Random,
}

impl Tokens {
    /// Opens the token file (`token,user,uid,"groups"` a line); makes it with one random administrator's token
    /// when there is none. Returns the tokens and the administrator's.
    ///
    /// # Errors
    /// When the file cannot be read or written, or a line is broken.
    pub fn open(path: &Path) -> Result<(Self, String), TokensError> {
        let file_error = |source| TokensError::File { path: path.to_owned(), source };
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let line = format!("{},admin,admin,\"{GROUP_MASTERS}\"\n", random_token()?);
                crate::files::write_private(path, line.as_bytes()).map_err(file_error)?;
                line
            }
            Err(error) => return Err(file_error(error)),
        };
        let mut tokens = Self::default();
        let mut admin = String::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let broken = || TokensError::Line { path: path.to_owned(), line: index + 1 };
            let mut parts = line.splitn(4, ',');
            let token = parts.next().filter(|t| !t.is_empty()).ok_or_else(broken)?;
            let user = parts.next().filter(|u| !u.is_empty()).ok_or_else(broken)?;
            parts.next().ok_or_else(broken)?;
            let groups = parts.next().unwrap_or_default().trim().trim_matches('"');
            let groups: Vec<&str> = groups.split(',').map(str::trim).filter(|g| !g.is_empty()).collect();
            let user = UserInfo::new(user, &groups);
            if admin.is_empty() && user.is_in(GROUP_MASTERS) {
                token.clone_into(&mut admin);
            }
            tokens.by_digest.insert(Sha256::digest(token).into(), user);
        }
        Ok((tokens, admin))
    }

    /// The user of a token. The look-up is by digest: how long it takes tells nothing about the token.
    pub fn user(&self, token: &str) -> Option<&UserInfo> {
        let digest: [u8; 32] = Sha256::digest(token).into();
        self.by_digest.get(&digest)
    }
}

/// 256 random bits, printable.
fn random_token() -> Result<String, TokensError> {
    let mut bytes = [0u8; 32];
    SystemRandom::new().fill(&mut bytes).map_err(|_| TokensError::Random)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// The identity in a verified client certificate: CN is the user, each O a group.
pub fn user_of_certificate(der: &[u8]) -> Option<UserInfo> {
    let (_, certificate) = x509_parser::parse_x509_certificate(der).ok()?;
    let subject = certificate.subject();
    let name = subject.iter_common_name().next()?.as_str().ok()?.to_owned();
    if name.is_empty() {
        return None;
    }
    let groups: Vec<&str> = subject.iter_organization().filter_map(|o| o.as_str().ok()).collect();
    Some(UserInfo::new(name, &groups))
}

/// The identity that a connection proved by its certificate. A request extension.
#[derive(Clone, Debug)]
pub(crate) struct PeerUser(pub UserInfo);

/// Who a request comes from: anonymous when it says nothing.
///
/// # Errors
/// 401 when a token was sent that is not valid.
pub(crate) async fn authenticate(server: &Inner, parts: &http::request::Parts) -> Result<UserInfo, ApiError> {
    if let Some(user) = parts.extensions.get::<UserInfo>() {
        return Ok(user.clone());
    }
    if let Some(PeerUser(user)) = parts.extensions.get::<PeerUser>() {
        return Ok(user.clone());
    }
    let Some(header) = parts.headers.get(http::header::AUTHORIZATION) else { return Ok(UserInfo::anonymous()) };
    let text = header.to_str().map_err(|_| ApiError::unauthorized())?;
    let token = match text.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
        _ => return Err(ApiError::unauthorized()),
    };
    server.tokens.user(token).cloned().ok_or_else(ApiError::unauthorized)
}

/// The user that a request acts as: the one that it asks to impersonate, if it may.
///
/// # Errors
/// 403 when the user may not.
pub(crate) fn impersonate(_server: &Inner, user: UserInfo, _parts: &http::request::Parts) -> Result<Acting, ApiError> {
    Ok(Acting { user, impersonated_by: None })
}

/// Who acts in a request.
#[derive(Debug)]
pub(crate) struct Acting {
    /// Whose rights count.
    pub user: UserInfo,
    /// Who is behind it, when it is another.
    pub impersonated_by: Option<UserInfo>,
}

/// Kinds that are asked and answered, and never stored.
pub(crate) const REVIEWS: &[ReviewKind] = &[ReviewKind {
    group: "authentication.k8s.io",
    version: "v1",
    kind: "SelfSubjectReview",
    plural: "selfsubjectreviews",
    namespaced: false,
    schema: crate::registry::core::schema_of::<k8s_openapi::api::authentication::v1::SelfSubjectReview>,
    answer: |call, review| Box::pin(async move { Ok(self_subject_review(call.user, review)) }),
}];

/// Tells a client who the server takes it for.
fn self_subject_review(user: &UserInfo, mut review: Value) -> Value {
    review["status"] = json!({"userInfo": {"username": user.name, "groups": user.groups}});
    review
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_file_is_made_once_and_private() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tokens.csv");
        let (_, first) = Tokens::open(&path).unwrap();
        let (tokens, second) = Tokens::open(&path).unwrap();
        assert_eq!(first, second);
        assert!(tokens.user(&first).unwrap().is_in(GROUP_MASTERS));
        assert_eq!(tokens.user("wrong"), None);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_broken_line_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tokens.csv");
        std::fs::write(&path, "# comment\njusttoken\n").unwrap();
        assert!(matches!(Tokens::open(&path), Err(TokensError::Line { line: 2, .. })));
    }

    #[test]
    fn debug_prints_no_token() {
        let dir = tempfile::tempdir().unwrap();
        let (tokens, admin) = Tokens::open(&dir.path().join("t")).unwrap();
        assert!(!format!("{tokens:?}").contains(&admin));
    }
}
