//! A directory as a judge of passwords: bind as the user, read the groups, and nothing else.
//!
//! A client of our own, because the crates for it put no bound on what a server may send. Only over TLS, from the first
//! byte or by StartTLS: a password goes nowhere in the clear.

mod client;
mod config;
mod escape;
mod filter;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod message;

pub use config::{Config, ConfigError, Groups, Search, UserLookup};
pub use escape::{escape_dn, escape_filter};

use std::collections::BTreeSet;
use std::time::Duration;

use crate::Subject;
pub use client::ClientError;
pub use filter::FilterError;

use client::Client;

/// Longest password that is passed on.
const PASSWORD_BYTES_MAX: usize = 1024;
/// Longest user name that is passed on.
const NAME_BYTES_MAX: usize = 256;
/// Most groups of one user that are taken.
const GROUPS_MAX: usize = 500;

/// Why a login is refused or could not be judged. Holds neither the password nor what the server said about the user.
#[derive(Debug, thiserror::Error)]
pub enum LdapError {
    #[error("wrong user name or password")]
    Wrong,
    #[error("the directory could not be asked: {0}")]
    Unavailable(#[from] ClientError),
    #[error("the directory did not answer within {seconds} s")]
    TimedOut { seconds: u64 },
    #[error("the directory knows {0} users of that name")]
    Ambiguous(usize),
    #[error("the service account for searching could not bind: check searchUser.bindDN and its password")]
    Service,
    #[error("the directory's configuration cannot be used: {0}")]
    Config(#[from] ConfigError),
}

/// A directory that is ready to be asked.
#[derive(Debug)]
pub struct Directory {
    config: Config,
    tls: std::sync::Arc<rustls::ClientConfig>,
}

impl Directory {
    /// Checks a configuration.
    ///
    /// # Errors
    /// When it says what cannot be.
    pub fn new(config: Config) -> Result<Self, ConfigError> {
        config.check()?;
        let pem = match &config.ca_file {
            Some(path) => {
                let read = crate::files::read_bounded(path, 1024 * 1024);
                Some(read.map_err(|source| ConfigError::File { path: path.clone(), source })?)
            }
            None => None,
        };
        let tls = crate::trust::client(pem.as_deref()).map_err(|e| ConfigError::Invalid(e.to_string()))?;
        Ok(Self { config, tls })
    }

    /// Asks the directory about a name and a password.
    ///
    /// # Errors
    /// [`LdapError::Wrong`] when it says no, anything else when it could not say.
    pub async fn login(&self, name: &str, password: &str) -> Result<Subject, LdapError> {
        // An empty password is an "unauthenticated bind", which succeeds for every name (RFC 4513, 5.1.2).
        if password.is_empty() || password.len() > PASSWORD_BYTES_MAX || password.contains('\0') {
            return Err(LdapError::Wrong);
        }
        if name.is_empty() || name.len() > NAME_BYTES_MAX || name.chars().any(char::is_control) {
            return Err(LdapError::Wrong);
        }
        let seconds = self.config.timeout_seconds;
        let asked = tokio::time::timeout(Duration::from_secs(seconds), self.ask(name, password));
        asked.await.map_err(|_| LdapError::TimedOut { seconds })?
    }

    async fn ask(&self, name: &str, password: &str) -> Result<Subject, LdapError> {
        let mut client = Client::connect(&self.config.url, self.config.start_tls, &self.tls).await?;
        let dn = match &self.config.user {
            UserLookup::Template { bind_dn_template } => {
                bind_dn_template.replace(config::NAME_PLACEHOLDER, &escape_dn(name))
            }
            UserLookup::Search(search) => self.find(&mut client, search, name).await?,
        };
        if !client.bind(&dn, password).await? {
            return Err(LdapError::Wrong);
        }
        let mut subject =
            Subject { name: format!("{}{name}", self.config.username_prefix), uid: dn.clone(), ..Subject::default() };
        if let Some(attribute) = &self.config.name_attribute {
            // The name as the directory writes it: "Alice" and "alice" are one user there, and must be one here.
            let found = client.search(&dn, client::Scope::Base, "(objectClass=*)", &[attribute]).await?;
            let kept = found.first().and_then(|entry| entry.values(attribute).first().cloned());
            subject.name = format!("{}{}", self.config.username_prefix, kept.ok_or(LdapError::Wrong)?);
        }
        if subject.name.starts_with("system:") {
            // Those names are the system's own, whatever a directory knows.
            return Err(LdapError::Wrong);
        }
        subject.groups = self.groups(&mut client, &dn, name).await?;
        client.unbind().await;
        Ok(subject)
    }

    /// The distinguished name of the one user with this name.
    async fn find(&self, client: &mut Client, search: &Search, name: &str) -> Result<String, LdapError> {
        if let Some(service) = &search.bind_dn {
            let password = search.password()?;
            if !client.bind(service, &password).await? {
                return Err(LdapError::Service);
            }
        }
        let filter = search.filter.replace(config::NAME_PLACEHOLDER, &escape_filter(name));
        let found = client.search(&search.base, client::Scope::Subtree, &filter, &["1.1"]).await?;
        match &found[..] {
            [one] => Ok(one.dn.clone()),
            [] => Err(LdapError::Wrong),
            many => Err(LdapError::Ambiguous(many.len())),
        }
    }

    async fn groups(&self, client: &mut Client, dn: &str, name: &str) -> Result<Vec<String>, LdapError> {
        let mut found = BTreeSet::new();
        match &self.config.groups {
            None => {}
            Some(Groups::Attribute { member_attribute }) => {
                let entries = client.search(dn, client::Scope::Base, "(objectClass=*)", &[member_attribute]).await?;
                let values = entries.iter().flat_map(|entry| entry.values(member_attribute));
                found.extend(values.map(|value| escape::first_rdn_value(value)));
            }
            Some(Groups::Search { base, filter, group_name_attribute }) => {
                let filter = filter
                    .replace(config::NAME_PLACEHOLDER, &escape_filter(name))
                    .replace(config::DN_PLACEHOLDER, &escape_filter(dn));
                let entries = client.search(base, client::Scope::Subtree, &filter, &[group_name_attribute]).await?;
                found.extend(entries.iter().flat_map(|e| e.values(group_name_attribute).first().cloned()));
            }
        }
        let prefix = &self.config.groups_prefix;
        let named = found.into_iter().filter(|group| !group.is_empty()).map(|group| format!("{prefix}{group}"));
        // Without a prefix a directory could name the system's own groups.
        Ok(named.filter(|group| !group.starts_with("system:")).take(GROUPS_MAX).collect())
    }
}

#[cfg(test)]
mod tests;
