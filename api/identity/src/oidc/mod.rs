//! Tokens of OpenID providers: verified with the provider's keys, turned into a user by rules of a configuration.
//!
//! The configuration is Kubernetes' `AuthenticationConfiguration`; the file is read again when it changes.

mod claims;
mod config;
mod expression;
mod fetch;
mod keys;
pub mod login;
mod simple;
mod validate;

pub use config::{
    Anonymous, AnonymousCondition, AuthenticationConfiguration, ClaimMappings, ClaimOrExpression, ClaimValidationRule,
    ExtraMapping, Issuer, Jwt, PrefixedClaimOrExpression, UserValidationRule,
};
pub use fetch::FetchError;
pub use keys::{Provider, REFRESH_INTERVAL};
pub use simple::Flags;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use ring::digest::{SHA256, digest};

use crate::Subject;
use crate::jws::Compact;

/// Longest configuration that is read.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Why a token is not believed, in upstream's words. Holds no part of the token but names of claims.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OidcError {
    /// No provider here issued it: another authenticator may know it.
    #[error("the token is of another issuer")]
    NotOurs,
    #[error("oidc: verify token: {0}")]
    Verify(String),
    #[error("oidc: authenticator not initialized")]
    NotInitialized,
    #[error("oidc: {0}")]
    Claims(String),
}

/// A configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("could not read the authentication configuration {path}", path = path.display())]
    File { path: PathBuf, source: std::io::Error },
    #[error("the authentication configuration is not valid: {}", .0.join("; "))]
    Invalid(Vec<String>),
}

/// All providers of one moment.
#[derive(Debug, Default)]
pub struct Providers {
    all: Vec<Arc<Provider>>,
    anonymous: Option<Anonymous>,
}

impl Providers {
    /// Providers of a configuration. `disallowed` are issuers that they must not be: the server's own.
    ///
    /// # Errors
    /// Every problem of the configuration, with its path.
    pub fn new(config: &AuthenticationConfiguration, disallowed: &[String]) -> Result<Self, ConfigError> {
        let problems = validate::configuration(config, disallowed);
        if !problems.is_empty() {
            return Err(ConfigError::Invalid(problems));
        }
        let mut all = Vec::new();
        for (index, jwt) in config.jwt.iter().enumerate() {
            let provider = Provider::new(jwt.clone())
                .map_err(|problem| ConfigError::Invalid(vec![format!("jwt[{index}].{problem}")]))?;
            all.push(Arc::new(provider));
        }
        Ok(Self { all, anonymous: config.anonymous.clone() })
    }

    /// What the configuration says of those who say nothing.
    pub fn anonymous(&self) -> Option<&Anonymous> {
        self.anonymous.as_ref()
    }

    /// Whether there is no provider.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The user of a token, at `now` (seconds since 1970).
    ///
    /// # Errors
    /// [`OidcError::NotOurs`] when another authenticator should look at it, else why it is refused.
    pub async fn authenticate(&self, token: &str, now: i64) -> Result<Subject, OidcError> {
        if self.all.is_empty() {
            return Err(OidcError::NotOurs);
        }
        let compact = Compact::parse(token).map_err(|_| OidcError::NotOurs)?;
        let claims = compact.unverified_claims().ok_or(OidcError::NotOurs)?;
        let issuer = claims["iss"].as_str().ok_or(OidcError::NotOurs)?;
        let provider = self.all.iter().find(|p| p.issuer() == issuer).ok_or(OidcError::NotOurs)?;
        provider.authenticate(&compact, now).await
    }
}

/// The providers of a file, which is read again when its content changes.
#[derive(Debug)]
pub struct ConfigFile {
    path: PathBuf,
    disallowed: Vec<String>,
    seen: parking_lot::Mutex<Vec<u8>>,
    providers: ArcSwap<Providers>,
}

impl ConfigFile {
    /// Reads the file.
    ///
    /// # Errors
    /// When it cannot be read or used.
    pub fn open(path: &Path, disallowed: &[String]) -> Result<Self, ConfigError> {
        let (hash, providers) = read(path, disallowed)?;
        Ok(Self {
            path: path.to_owned(),
            disallowed: disallowed.to_vec(),
            seen: parking_lot::Mutex::new(hash),
            providers: ArcSwap::from_pointee(providers),
        })
    }

    /// The providers of now.
    pub fn providers(&self) -> Arc<Providers> {
        self.providers.load_full()
    }

    /// Reads the file again; whether it had changed. After an error the old providers stay.
    ///
    /// # Errors
    /// When it cannot be read or used.
    pub fn reload(&self) -> Result<bool, ConfigError> {
        let mut seen = self.seen.lock();
        let text = content(&self.path)?;
        let hash = digest(&SHA256, text.as_bytes()).as_ref().to_vec();
        if *seen == hash {
            return Ok(false);
        }
        let (hash, providers) = read(&self.path, &self.disallowed)?;
        self.providers.store(Arc::new(providers));
        *seen = hash;
        Ok(true)
    }
}

fn content(path: &Path) -> Result<String, ConfigError> {
    crate::files::read_bounded(path, FILE_BYTES_MAX)
        .map_err(|source| ConfigError::File { path: path.to_owned(), source })
}

fn read(path: &Path, disallowed: &[String]) -> Result<(Vec<u8>, Providers), ConfigError> {
    let text = content(path)?;
    let config = AuthenticationConfiguration::parse(&text)?;
    let hash = digest(&SHA256, text.as_bytes()).as_ref().to_vec();
    Ok((hash, Providers::new(&config, disallowed)?))
}

#[cfg(test)]
mod tests;
