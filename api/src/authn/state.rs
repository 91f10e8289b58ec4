//! The means of identity of one server.

use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use berth_identity::ldap::{self, Directory};
use berth_identity::oidc::{ConfigFile, Providers};
use berth_identity::password::{Attempts, Users};
use berth_identity::service_account::{Issuer, KeySet};
use tokio::sync::Semaphore;

use super::anonymous::{Anonymous, Rule};
use super::cache::Cache;
use super::certificate::FrontProxy;
use super::config::{IdentityConfig, IdentityError};
use super::tokens::Tokens;

/// Passwords that are hashed at the same time: each takes a core and 19 MiB.
const LOGINS_AT_ONCE: usize = 2;

/// Everything that says who somebody is.
#[derive(Debug)]
pub(crate) struct Identity {
    pub(super) tokens: Tokens,
    pub(super) keys: ArcSwap<KeySet>,
    pub(super) keys_dir: Option<PathBuf>,
    pub(super) issuer: Issuer,
    /// Where the keys are published.
    pub(super) jwks_url: String,
    pub(super) oidc: Oidc,
    pub(super) users: ArcSwap<Users>,
    pub(super) users_file: Option<PathBuf>,
    pub(super) directory: Option<Directory>,
    pub(super) attempts: Attempts,
    pub(super) logins: Semaphore,
    pub(super) session_seconds: i64,
    pub(super) front_proxy: Option<FrontProxy>,
    pub(super) anonymous: Rule,
    /// Where no file says it.
    pub(super) anonymous_otherwise: Anonymous,
    pub(super) believed: Cache,
}

/// Where OpenID providers come from.
#[derive(Debug)]
pub(super) enum Oidc {
    Fixed(Arc<Providers>),
    File(ConfigFile),
}

impl Oidc {
    pub(super) fn providers(&self) -> Arc<Providers> {
        match self {
            Self::Fixed(providers) => Arc::clone(providers),
            Self::File(file) => file.providers(),
        }
    }
}

/// Seconds since 1970.
pub(super) fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

impl Identity {
    /// Opens what a configuration names. Reads files: not for a thread that serves requests.
    pub(crate) fn open(tokens: Tokens, config: &IdentityConfig) -> Result<Self, IdentityError> {
        let keys = match &config.token_keys {
            Some(dir) => KeySet::open(dir, now())?,
            None => KeySet::in_memory()?,
        };
        let own = [config.issuer.clone()];
        let oidc = match (&config.authentication_file, &config.oidc) {
            (Some(_), Some(_)) => {
                let reason = "a file with providers and settings of one provider exclude each other";
                return Err(IdentityError::Invalid(reason.to_owned()));
            }
            (Some(path), None) => Oidc::File(ConfigFile::open(path, &own)?),
            (None, Some(flags)) => Oidc::Fixed(Arc::new(Providers::new(&flags.configuration(), &own)?)),
            (None, None) => Oidc::Fixed(Arc::default()),
        };
        let users = config.users_file.as_deref().map(Users::open).transpose()?.unwrap_or_default();
        let directory = match &config.ldap_file {
            Some(path) => {
                let read = std::fs::read_to_string(path);
                let text = read.map_err(|source| IdentityError::File { path: path.clone(), source })?;
                Some(Directory::new(ldap::Config::parse(&text)?)?)
            }
            None => None,
        };
        let front_proxy = config.request_headers.as_ref().map(FrontProxy::new).transpose();
        let mut issuer = Issuer::new(&config.issuer);
        if !config.audiences.is_empty() {
            issuer.audiences.clone_from(&config.audiences);
        }
        if config.token_seconds_max > 0 {
            issuer.expiration_max_seconds = config.token_seconds_max;
        }
        let otherwise = if config.anonymous { Anonymous::Everywhere } else { Anonymous::Nowhere };
        let jwks = || format!("{}/openid/v1/jwks", config.issuer.trim_end_matches('/'));
        let identity = Self {
            tokens,
            keys: ArcSwap::from_pointee(keys),
            keys_dir: config.token_keys.clone(),
            jwks_url: config.jwks_url.clone().unwrap_or_else(jwks),
            issuer,
            oidc,
            users: ArcSwap::from_pointee(users),
            users_file: config.users_file.clone(),
            directory,
            attempts: Attempts::default(),
            logins: Semaphore::new(LOGINS_AT_ONCE),
            session_seconds: config.session_seconds,
            front_proxy: front_proxy.map_err(IdentityError::Invalid)?,
            anonymous: Rule::default(),
            anonymous_otherwise: otherwise,
            believed: Cache::default(),
        };
        identity.set_anonymous();
        Ok(identity)
    }

    /// Takes over what the configuration of now says of those who say nothing.
    pub(super) fn set_anonymous(&self) {
        let rule = Anonymous::of(self.oidc.providers().anonymous(), self.anonymous_otherwise.clone());
        self.anonymous.set(rule);
    }
}
