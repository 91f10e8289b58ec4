//! The file of users: read as YAML or JSON, written as YAML, readable by its owner only.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{PasswordError, hash, is_usable};
use crate::{Subject, files, random};

/// Most users of one file. More people belong into a directory or behind a provider.
pub const USERS_MAX: usize = 10_000;
/// 10,000 users with some groups have about 3 MiB.
const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;
const NAME_BYTES_MAX: usize = 128;
const GROUPS_MAX: usize = 100;

/// One user.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct User {
    pub name: String,
    /// An argon2id hash as a PHC string.
    pub(super) password: String,
    #[serde(default)]
    pub uid: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// Changes with the password and the groups: sessions of older ones are over.
    #[serde(default)]
    pub generation: u64,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub disabled: bool,
}

impl std::fmt::Debug for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("User").field("name", &self.name).field("uid", &self.uid).finish_non_exhaustive()
    }
}

impl User {
    pub(super) fn subject(&self) -> Subject {
        Subject { name: self.name.clone(), uid: self.uid.clone(), groups: self.groups.clone(), ..Subject::default() }
    }
}

/// All users, in the order of the file.
#[derive(Clone, Debug, Default)]
pub struct Users {
    users: Vec<User>,
    dummy: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    users: Vec<User>,
}

/// Why users cannot be read, kept or changed.
#[derive(Debug, thiserror::Error)]
pub enum UsersError {
    #[error("could not read or write the users file {path}", path = path.display())]
    File { path: PathBuf, source: std::io::Error },
    #[error("the users file {path} is not valid: {reason}", path = path.display())]
    Syntax { path: PathBuf, reason: String },
    #[error("user {name:?}: {reason}")]
    User { name: String, reason: String },
    #[error("there are already {USERS_MAX} users")]
    Full,
}

impl Users {
    /// Reads a file; no users when there is none.
    ///
    /// # Errors
    /// When it cannot be read, others can read it, or it says what it must not.
    pub fn open(path: &Path) -> Result<Self, UsersError> {
        let text = match files::read_private(path, FILE_BYTES_MAX) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(source) => return Err(UsersError::File { path: path.to_owned(), source }),
        };
        let syntax = |reason: String| UsersError::Syntax { path: path.to_owned(), reason };
        // The parser's words could show a line, and so a hash: only where it stopped is told.
        let parsed: File = serde_saphyr::from_str(&text).map_err(|error| {
            let place = error.location().map(|at| format!("near line {}", at.line())).unwrap_or_default();
            syntax(format!("it is not a list of users {place}"))
        })?;
        Self::of(parsed.users)
    }

    /// Users that were read.
    fn of(users: Vec<User>) -> Result<Self, UsersError> {
        if users.len() > USERS_MAX {
            return Err(UsersError::Full);
        }
        let mut all = Self::default();
        for user in users {
            let problem = |reason: &str| UsersError::User { name: user.name.clone(), reason: reason.to_owned() };
            check_name(&user.name)?;
            if user.groups.len() > GROUPS_MAX {
                return Err(problem("is in too many groups"));
            }
            if user.groups.iter().any(|group| group.is_empty() || group.len() > NAME_BYTES_MAX) {
                return Err(problem("has a group without a name or with one that is too long"));
            }
            if !is_usable(&user.password) {
                return Err(problem("the password is not an argon2id hash of usual cost"));
            }
            if all.get(&user.name).is_some() {
                return Err(problem("is named twice"));
            }
            all.users.push(user);
        }
        all.dummy = hash("nobody has this one").ok();
        Ok(all)
    }

    /// Writes the file, private.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), UsersError> {
        let file = File { users: self.users.clone() };
        let text = serde_saphyr::to_string(&file)
            .map_err(|error| UsersError::Syntax { path: path.to_owned(), reason: error.to_string() })?;
        files::write_private(path, text.as_bytes()).map_err(|source| UsersError::File { path: path.to_owned(), source })
    }

    /// The user of a name.
    pub fn get(&self, name: &str) -> Option<&User> {
        self.users.iter().find(|user| user.name == name)
    }

    /// All users.
    pub fn iter(&self) -> impl Iterator<Item = &User> {
        self.users.iter()
    }

    /// Whether a session of this user is still good.
    pub fn is_current(&self, name: &str, uid: &str, generation: u64) -> bool {
        self.get(name).is_some_and(|user| user.uid == uid && user.generation == generation && !user.disabled)
    }

    /// A hash that no password has, to spend the same time on names that nobody has.
    pub(super) fn dummy(&self) -> &str {
        const FALLBACK: &str = "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$\
                                AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        self.dummy.as_deref().unwrap_or(FALLBACK)
    }

    /// Adds a user.
    ///
    /// # Errors
    /// When there is one of that name, or name or password cannot be used.
    pub fn add(&mut self, name: &str, password: &str, groups: &[String]) -> Result<(), UsersError> {
        check_name(name)?;
        let problem = |reason: String| UsersError::User { name: name.to_owned(), reason };
        if self.get(name).is_some() {
            return Err(problem("is there already".to_owned()));
        }
        if self.users.len() >= USERS_MAX {
            return Err(UsersError::Full);
        }
        let password = hash(password).map_err(|error: PasswordError| problem(error.to_string()))?;
        let uid = random::uuid().map_err(|error| problem(error.to_string()))?;
        let groups = groups.to_vec();
        self.users.push(User { name: name.to_owned(), password, uid, groups, generation: 1, disabled: false });
        Ok(())
    }

    /// Removes a user; sessions end.
    ///
    /// # Errors
    /// When there is none.
    pub fn remove(&mut self, name: &str) -> Result<(), UsersError> {
        self.get_mut(name)?;
        self.users.retain(|user| user.name != name);
        Ok(())
    }

    /// Sets a password; sessions end.
    ///
    /// # Errors
    /// When there is no such user, or the password cannot be used.
    pub fn set_password(&mut self, name: &str, password: &str) -> Result<(), UsersError> {
        let hashed =
            hash(password).map_err(|error| UsersError::User { name: name.to_owned(), reason: error.to_string() })?;
        let user = self.get_mut(name)?;
        user.password = hashed;
        user.generation += 1;
        Ok(())
    }

    /// Sets the groups; sessions end, for they hold the old ones.
    ///
    /// # Errors
    /// When there is no such user.
    pub fn set_groups(&mut self, name: &str, groups: &[String]) -> Result<(), UsersError> {
        let user = self.get_mut(name)?;
        user.groups = groups.to_vec();
        user.generation += 1;
        Ok(())
    }

    /// Lets a user in or not; sessions end.
    ///
    /// # Errors
    /// When there is no such user.
    pub fn set_disabled(&mut self, name: &str, disabled: bool) -> Result<(), UsersError> {
        let user = self.get_mut(name)?;
        user.disabled = disabled;
        user.generation += 1;
        Ok(())
    }

    fn get_mut(&mut self, name: &str) -> Result<&mut User, UsersError> {
        let unknown = || UsersError::User { name: name.to_owned(), reason: "is not there".to_owned() };
        self.users.iter_mut().find(|user| user.name == name).ok_or_else(unknown)
    }
}

/// Names of the system's own users cannot be taken.
fn check_name(name: &str) -> Result<(), UsersError> {
    let problem = |reason: &str| UsersError::User { name: name.to_owned(), reason: reason.to_owned() };
    if name.is_empty() || name.len() > NAME_BYTES_MAX {
        return Err(problem("a name must have 1 to 128 bytes"));
    }
    if name.starts_with("system:") {
        return Err(problem("names that start with \"system:\" are the system's own"));
    }
    if name.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(problem("a name must have no spaces and no control characters"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn users_are_kept_private_and_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("users.yaml");
        let mut users = Users::open(&path).unwrap();
        users.add("alice", "correct horse", &["dev".to_owned()]).unwrap();
        users.add("bob", "battery staple", &[]).unwrap();
        users.save(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let again = Users::open(&path).unwrap();
        assert_eq!(again.users, users.users);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(Users::open(&path), Err(UsersError::File { .. })));
    }

    #[test]
    fn a_change_ends_sessions() {
        let mut users = Users::default();
        users.add("alice", "correct horse", &[]).unwrap();
        let uid = users.get("alice").unwrap().uid.clone();
        assert!(users.is_current("alice", &uid, 1));
        assert!(!users.is_current("alice", "other", 1));
        users.set_password("alice", "another horse").unwrap();
        assert!(!users.is_current("alice", &uid, 1));
        assert!(users.is_current("alice", &uid, 2));
        users.set_groups("alice", &["a".to_owned()]).unwrap();
        assert!(!users.is_current("alice", &uid, 2));
        users.remove("alice").unwrap();
        users.add("alice", "correct horse", &[]).unwrap();
        assert!(!users.is_current("alice", &uid, 1), "a new user of the same name is another one");
        assert!(users.remove("bob").is_err());
    }

    #[test]
    fn a_file_that_says_nonsense_is_refused_without_showing_hashes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("users.yaml");
        let good = hash("correct horse").unwrap();
        let open = |text: String| {
            files::write_private(&path, text.as_bytes()).unwrap();
            Users::open(&path)
        };
        assert!(open(format!("users:\n- name: a\n  password: {good}\n")).is_ok());
        assert!(open(format!("{{\"users\": [{{\"name\": \"a\", \"password\": \"{good}\"}}]}}")).is_ok());
        for bad in [
            format!("users:\n- name: a\n  password: {good}\n- name: a\n  password: {good}\n"),
            format!("users:\n- name: system:admin\n  password: {good}\n"),
            format!("users:\n- name: a b\n  password: {good}\n"),
            format!("users:\n- name: a\n  password: {good}\n  color: red\n"),
            format!("users:\n- name: a\n  password: [{good}]\n"),
            "users:\n- name: a\n  password: plaintext\n".to_owned(),
        ] {
            let error = open(bad.clone()).unwrap_err();
            let shown = format!("{error} {error:?}");
            assert!(!shown.contains(&good) && !shown.contains("plaintext"), "{shown}");
        }
    }
}
