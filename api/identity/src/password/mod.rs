//! Users of the cluster's own, with passwords: a private file of argon2id hashes, and a brake on guessing.

mod attempts;
mod file;

pub use attempts::{Attempts, NAMES_MAX};
pub use file::{USERS_MAX, User, Users, UsersError};

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};

use crate::Subject;

/// Shortest password that can be set.
pub const PASSWORD_CHARS_MIN: usize = 8;
/// Longest password that is looked at, in bytes: hashing is not for uploads.
pub const PASSWORD_BYTES_MAX: usize = 1024;

/// Memory of one hash in KiB; OWASP's first choice of parameters for argon2id (19 MiB, two passes, one lane).
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
/// Hashes that somebody brings may cost more, but not so much that one login stops a server.
const MEMORY_KIB_MAX: u32 = 256 * 1024;
const PASSES_MAX: u32 = 16;
const LANES_MAX: u32 = 8;

/// Who logged in, and the number that changes with the password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedIn {
    pub subject: Subject,
    pub generation: u64,
}

/// Why a login is refused. A wrong name and a wrong password look the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoginError {
    #[error("wrong user name or password")]
    Wrong,
    #[error("too many failed logins: try again in {seconds} s")]
    TooMany { seconds: u64 },
}

/// A password that cannot be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    #[error("a password must have at least {PASSWORD_CHARS_MIN} characters")]
    TooShort,
    #[error("a password must have at most {PASSWORD_BYTES_MAX} bytes")]
    TooLong,
    #[error("could not hash the password: the system has no random numbers")]
    Random,
}

fn hasher() -> Argon2<'static> {
    let params = Params::new(MEMORY_KIB, PASSES, 1, None).unwrap_or_default();
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

/// The PHC string of a password.
///
/// # Errors
/// When it is too short or too long, or the system has no random numbers.
pub fn hash(password: &str) -> Result<String, PasswordError> {
    if password.chars().count() < PASSWORD_CHARS_MIN {
        return Err(PasswordError::TooShort);
    }
    if password.len() > PASSWORD_BYTES_MAX {
        return Err(PasswordError::TooLong);
    }
    let salt = crate::random::bytes::<16>().map_err(|_| PasswordError::Random)?;
    let hashed: PasswordHash =
        hasher().hash_password_with_salt(password.as_bytes(), &salt).map_err(|_| PasswordError::Random)?;
    Ok(hashed.to_string())
}

/// Whether `password` is the one that was hashed. Takes as long for a password that is wrong.
fn matches(password: &str, phc: &str) -> bool {
    PasswordHash::new(phc).is_ok_and(|hash| hasher().verify_password(password.as_bytes(), &hash).is_ok())
}

/// Whether a PHC string is one that logins may spend their time on.
fn is_usable(phc: &str) -> bool {
    let Ok(hash) = PasswordHash::new(phc) else { return false };
    let Ok(params) = Params::try_from(&hash) else { return false };
    hash.algorithm.as_str() == "argon2id"
        && hash.hash.is_some()
        && hash.salt.is_some()
        && params.m_cost() <= MEMORY_KIB_MAX
        && params.t_cost() <= PASSES_MAX
        && params.p_cost() <= LANES_MAX
}

impl Users {
    /// Checks a login. Slow on purpose (tens of milliseconds): not for an asynchronous thread. A name that nobody has
    /// takes as long as one that somebody has.
    ///
    /// # Errors
    /// When name or password is wrong, or too many logins failed lately.
    pub fn login(&self, attempts: &Attempts, name: &str, password: &str, now: i64) -> Result<LoggedIn, LoginError> {
        if let Some(seconds) = attempts.wait(name, now) {
            return Err(LoginError::TooMany { seconds });
        }
        let user = self.get(name);
        let phc = user.map_or_else(|| self.dummy(), |user| user.password.as_str());
        let short_enough = password.len() <= PASSWORD_BYTES_MAX;
        let right = matches(if short_enough { password } else { "" }, phc) && short_enough;
        match user.filter(|user| right && !user.disabled) {
            Some(user) => {
                attempts.succeeded(name);
                Ok(LoggedIn { subject: user.subject(), generation: user.generation })
            }
            None => {
                attempts.failed(name, now);
                Err(LoginError::Wrong)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_700_000_000;

    #[test]
    fn a_login_needs_name_and_password() {
        let mut users = Users::default();
        users.add("alice", "correct horse", &["dev".to_owned()]).unwrap();
        let attempts = Attempts::default();
        let got = users.login(&attempts, "alice", "correct horse", NOW).unwrap();
        assert_eq!(
            (got.subject.name.as_str(), &got.subject.groups[..], got.generation),
            ("alice", &["dev".to_owned()][..], 1)
        );
        assert_eq!(users.login(&attempts, "alice", "correct hors", NOW), Err(LoginError::Wrong));
        assert_eq!(users.login(&attempts, "bob", "correct horse", NOW), Err(LoginError::Wrong));
        assert_eq!(users.login(&attempts, "alice", &"x".repeat(PASSWORD_BYTES_MAX + 1), NOW), Err(LoginError::Wrong));
        users.set_disabled("alice", true).unwrap();
        assert_eq!(users.login(&attempts, "alice", "correct horse", NOW), Err(LoginError::Wrong));
    }

    #[test]
    fn guessing_is_slowed_for_names_that_exist_and_for_others_alike() {
        let mut users = Users::default();
        users.add("alice", "correct horse", &[]).unwrap();
        let attempts = Attempts::default();
        for name in ["alice", "bob"] {
            for _ in 0..attempts::FREE_FAILURES {
                assert_eq!(users.login(&attempts, name, "guess", NOW), Err(LoginError::Wrong));
            }
            assert!(matches!(users.login(&attempts, name, "correct horse", NOW), Err(LoginError::TooMany { .. })));
        }
        assert!(users.login(&attempts, "alice", "correct horse", NOW + 3600).is_ok());
    }

    #[test]
    fn passwords_have_bounds_and_hashes_their_own_salt() {
        assert_eq!(hash("short"), Err(PasswordError::TooShort));
        assert_eq!(hash(&"x".repeat(PASSWORD_BYTES_MAX + 1)), Err(PasswordError::TooLong));
        let (one, two) = (hash("correct horse").unwrap(), hash("correct horse").unwrap());
        assert_ne!(one, two);
        assert!(one.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        assert!(is_usable(&one));
        assert!(!is_usable(&one.replace("m=19456", "m=4194304")));
        assert!(!is_usable(&one.replace("argon2id", "argon2d")));
        assert!(!is_usable("$2b$12$something"));
    }
}
