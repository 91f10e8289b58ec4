//! The token file: users that an operator wrote down, with tokens that live until they are struck out.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::{SecureRandom, SystemRandom};
use sha2::{Digest, Sha256};

use super::{GROUP_MASTERS, UserInfo};

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
            let uid = parts.next().ok_or_else(broken)?.trim().to_owned();
            let groups = parts.next().unwrap_or_default().trim().trim_matches('"');
            let groups: Vec<&str> = groups.split(',').map(str::trim).filter(|g| !g.is_empty()).collect();
            let user = UserInfo { uid, ..UserInfo::new(user, &groups) };
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
