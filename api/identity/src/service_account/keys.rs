//! The keys that sign tokens: PEM files of one directory. The newest private key signs, all of them verify.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

use crate::files;
use crate::jws::{self, KeyError, SigningKey, VerifyingKey};

/// Most keys that are kept: with one rotation a month, more than a year's.
pub const KEYS_MAX: usize = 16;
/// A key that was made here signs for a month; then a new one is due. The last sixteen verify, so that a token of a year
/// outlives its key's turn to sign.
pub const SIGNS_SECONDS: i64 = 30 * 24 * 60 * 60;
/// An RSA key of 4096 bits has about 3.3 KiB.
const KEY_FILE_BYTES_MAX: u64 = 16 * 1024;
/// Names of the files that are made here: this, a time in seconds, `.key`.
const PREFIX: &str = "token-";

/// Why the keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeySetError {
    #[error("could not read or write the token key {path}", path = path.display())]
    File { path: PathBuf, source: std::io::Error },
    #[error("the token key {path} cannot be used", path = path.display())]
    Key { path: PathBuf, source: KeyError },
    #[error("{dir} holds more than {KEYS_MAX} token keys: remove the oldest", dir = dir.display())]
    TooMany { dir: PathBuf },
    #[error("{dir} holds public token keys only: there is none to sign with", dir = dir.display())]
    NothingSigns { dir: PathBuf },
}

/// The keys of one moment. Rotation makes another set.
#[derive(Clone, Debug)]
pub struct KeySet {
    signing: Arc<SigningKey>,
    verifying: Arc<[VerifyingKey]>,
}

impl KeySet {
    /// Reads `*.key` (private) and `*.pub` (public) of a directory. The private key whose file name sorts last signs.
    /// Makes a first key when there is none at all.
    ///
    /// # Errors
    /// When a file cannot be read, is readable by others, or holds no usable key.
    pub fn open(dir: &Path, now: i64) -> Result<Self, KeySetError> {
        let mut paths = key_files(dir)?;
        if paths.is_empty() {
            paths.push(make(dir, now)?);
        }
        Self::read(dir, &paths)
    }

    /// Adds a key, which signs from now on; older ones go on verifying. The oldest made here goes beyond the bound.
    ///
    /// # Errors
    /// As for [`open`](Self::open).
    pub fn rotate(dir: &Path, now: i64) -> Result<Self, KeySetError> {
        let paths = key_files(dir)?;
        // Never two of one name: the order of names is the order of age.
        let last = paths.iter().filter_map(|path| made_at(path)).max().unwrap_or(0);
        let oldest = paths.iter().filter(|path| made_at(path).is_some()).min();
        if let Some(oldest) = oldest.filter(|_| paths.len() >= KEYS_MAX) {
            std::fs::remove_file(oldest).map_err(|source| KeySetError::File { path: oldest.clone(), source })?;
        }
        make(dir, now.max(last + 1))?;
        Self::read(dir, &key_files(dir)?)
    }

    /// Whether a new key is due. Never where an operator brought the newest one.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn is_due(dir: &Path, now: i64) -> Result<bool, KeySetError> {
        let paths = key_files(dir)?;
        let newest = paths.iter().rfind(|path| path.extension().is_some_and(|e| e == "key"));
        let made = newest.and_then(|path| made_at(path));
        Ok(made.is_some_and(|made| now.saturating_sub(made) >= SIGNS_SECONDS))
    }

    /// Keys that are kept nowhere: for tests and for servers without a directory.
    ///
    /// # Errors
    /// When the system has no random numbers.
    pub fn in_memory() -> Result<Self, KeyError> {
        Ok(Self::of(SigningKey::generate()?, Vec::new()))
    }

    /// A key that signs, and others that verify besides it.
    pub fn of(signing: SigningKey, others: Vec<VerifyingKey>) -> Self {
        let mut verifying = vec![signing.public().clone()];
        verifying.extend(others);
        Self { signing: Arc::new(signing), verifying: verifying.into() }
    }

    fn read(dir: &Path, paths: &[PathBuf]) -> Result<Self, KeySetError> {
        if paths.len() > KEYS_MAX {
            return Err(KeySetError::TooMany { dir: dir.to_owned() });
        }
        let mut signing: Option<SigningKey> = None;
        let mut others = Vec::new();
        for path in paths {
            let file = |source| KeySetError::File { path: path.clone(), source };
            let unusable = |source| KeySetError::Key { path: path.clone(), source };
            if path.extension().is_some_and(|e| e == "pub") {
                let text = files::read_bounded(path, KEY_FILE_BYTES_MAX).map_err(file)?;
                others.push(VerifyingKey::from_pem(&text).map_err(unusable)?);
                continue;
            }
            let text = files::read_private(path, KEY_FILE_BYTES_MAX).map_err(file)?;
            let key = SigningKey::from_pem(&text).map_err(unusable)?;
            others.extend(signing.replace(key).map(|older| older.public().clone()));
        }
        let signing = signing.ok_or_else(|| KeySetError::NothingSigns { dir: dir.to_owned() })?;
        Ok(Self::of(signing, others))
    }

    /// The key that signs.
    pub fn signing(&self) -> &SigningKey {
        &self.signing
    }

    /// The keys that verify.
    pub fn verifying(&self) -> &[VerifyingKey] {
        &self.verifying
    }

    /// The keys as `/openid/v1/jwks` shows them.
    pub fn jwks(&self) -> Value {
        jws::print_set(&self.verifying)
    }

    /// The algorithms that tokens may be signed with, without doubles, in order.
    pub fn algorithms(&self) -> Vec<&'static str> {
        let mut all: Vec<_> = self.verifying.iter().filter_map(|key| key.algorithm).collect();
        all.sort_unstable();
        all.dedup();
        all.into_iter().map(jws::Algorithm::as_str).collect()
    }
}

/// The key files of a directory, by name; none when there is no directory.
fn key_files(dir: &Path) -> Result<Vec<PathBuf>, KeySetError> {
    let file = |source| KeySetError::File { path: dir.to_owned(), source };
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(file(error)),
    };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(file)?.path();
        if path.extension().is_some_and(|e| e == "key" || e == "pub") {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

/// When a key file was made here; `None` for one that an operator brought.
fn made_at(path: &Path) -> Option<i64> {
    path.file_stem()?.to_str()?.strip_prefix(PREFIX)?.parse().ok()
}

fn make(dir: &Path, now: i64) -> Result<PathBuf, KeySetError> {
    // Ten digits of seconds sort as text until the year 2286.
    let path = dir.join(format!("{PREFIX}{now:010}.key"));
    let pem = SigningKey::generate_pem().map_err(|source| KeySetError::Key { path: path.clone(), source })?;
    files::write_private(&path, pem.as_bytes()).map_err(|source| KeySetError::File { path: path.clone(), source })?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jws::{Compact, sign};
    use serde_json::json;
    use std::os::unix::fs::PermissionsExt;

    const NOW: i64 = 1_700_000_000;

    #[test]
    fn keys_are_made_once_and_private() {
        let dir = tempfile::tempdir().unwrap();
        let first = KeySet::open(dir.path(), NOW).unwrap();
        let second = KeySet::open(dir.path(), NOW + 1).unwrap();
        assert_eq!(first.signing().kid(), second.signing().kid());
        assert_eq!(first.algorithms(), ["ES256"]);
        let files = key_files(dir.path()).unwrap();
        assert_eq!(files.len(), 1);
        assert_eq!(std::fs::metadata(&files[0]).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::set_permissions(&files[0], std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(KeySet::open(dir.path(), NOW), Err(KeySetError::File { .. })));
    }

    #[test]
    fn after_a_rotation_the_new_key_signs_and_old_tokens_verify() {
        let dir = tempfile::tempdir().unwrap();
        let old = KeySet::open(dir.path(), NOW).unwrap();
        let token = sign(old.signing(), &json!({})).unwrap();
        let new = KeySet::rotate(dir.path(), NOW).unwrap();
        assert_ne!(old.signing().kid(), new.signing().kid());
        assert_eq!(new.verifying().len(), 2);
        Compact::parse(&token).unwrap().verify(new.verifying()).unwrap();
        assert_eq!(new.jwks()["keys"].as_array().unwrap().len(), 2);
        for turn in 0..2 * KEYS_MAX as i64 {
            KeySet::rotate(dir.path(), NOW + turn).unwrap();
        }
        assert_eq!(KeySet::open(dir.path(), NOW).unwrap().verifying().len(), KEYS_MAX);
    }

    #[test]
    fn a_key_signs_for_a_month_unless_an_operator_brought_it() {
        let dir = tempfile::tempdir().unwrap();
        KeySet::open(dir.path(), NOW).unwrap();
        assert!(!KeySet::is_due(dir.path(), NOW + SIGNS_SECONDS - 1).unwrap());
        assert!(KeySet::is_due(dir.path(), NOW + SIGNS_SECONDS).unwrap());
        let pem = SigningKey::generate_pem().unwrap();
        files::write_private(&dir.path().join("zebra.key"), pem.as_bytes()).unwrap();
        assert!(!KeySet::is_due(dir.path(), NOW + 2 * SIGNS_SECONDS).unwrap());
    }

    #[test]
    fn a_broken_key_is_an_error_that_does_not_show_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mine.key");
        files::write_private(&path, b"-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n").unwrap();
        let error = KeySet::open(dir.path(), NOW).unwrap_err();
        assert!(matches!(error, KeySetError::Key { .. }));
        assert!(!format!("{error:?}").contains("c2VjcmV0"));
    }
}
