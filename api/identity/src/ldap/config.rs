//! What is to be known of a directory.

use std::path::PathBuf;

use serde::Deserialize;

use super::filter::Filter;

/// Stands for the name that somebody typed, escaped for the place where it goes.
pub(super) const NAME_PLACEHOLDER: &str = "{username}";
/// Stands for the user's distinguished name.
pub(super) const DN_PLACEHOLDER: &str = "{dn}";

/// A directory, as its configuration file says it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Config {
    /// `ldaps://host[:636]`, or `ldap://host[:389]` with `startTLS`.
    pub url: String,
    #[serde(default, rename = "startTLS")]
    pub start_tls: bool,
    /// Authorities in PEM form; without one those of the machine.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    pub user: UserLookup,
    /// The attribute that holds the name of a user here; without one it is what was typed.
    #[serde(default)]
    pub name_attribute: Option<String>,
    #[serde(default)]
    pub username_prefix: String,
    #[serde(default)]
    pub groups: Option<Groups>,
    #[serde(default)]
    pub groups_prefix: String,
    /// For the whole login.
    #[serde(default = "default_timeout")]
    pub timeout_seconds: u64,
}

fn default_timeout() -> u64 {
    10
}

/// How a name becomes a distinguished name.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged, rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum UserLookup {
    /// It is put into a template: `uid={username},ou=people,dc=example,dc=org`.
    Template {
        #[serde(rename = "bindDNTemplate")]
        bind_dn_template: String,
    },
    /// It is searched for.
    Search(Search),
}

/// Where a user is searched for, and as whom.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Search {
    pub base: String,
    /// `(uid={username})`, say.
    pub filter: String,
    /// Without one the search is anonymous.
    #[serde(default, rename = "bindDN")]
    pub bind_dn: Option<String>,
    #[serde(default)]
    pub bind_password_file: Option<PathBuf>,
}

impl std::fmt::Debug for Search {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Search").field("base", &self.base).field("filter", &self.filter).finish_non_exhaustive()
    }
}

impl Search {
    /// The password of the one who searches; read each time, so that it can be changed.
    pub(super) fn password(&self) -> Result<String, ConfigError> {
        let Some(path) = &self.bind_password_file else {
            return Err(ConfigError::Invalid("bindDN needs bindPasswordFile".to_owned()));
        };
        let text = crate::files::read_private(path, 4096)
            .map_err(|source| ConfigError::File { path: path.clone(), source })?;
        Ok(text.trim_end_matches(['\r', '\n']).to_owned())
    }
}

/// How groups are found.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged, rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Groups {
    /// The user's entry names them (`memberOf`): the first part of each name counts.
    Attribute { member_attribute: String },
    /// They name the user: `(member={dn})` or `(memberUid={username})`.
    Search {
        base: String,
        filter: String,
        #[serde(default = "common_name")]
        group_name_attribute: String,
    },
}

fn common_name() -> String {
    "cn".to_owned()
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("{0}")]
    Invalid(String),
    #[error("could not read {path}", path = path.display())]
    File { path: PathBuf, source: std::io::Error },
}

impl Config {
    /// Reads a configuration (YAML or JSON).
    ///
    /// # Errors
    /// When it is not valid.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let config: Self = serde_saphyr::from_str(text).map_err(|e| ConfigError::Invalid(e.to_string()))?;
        config.check()?;
        Ok(config)
    }

    /// Whether it can be used.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let invalid = |reason: &str| Err(ConfigError::Invalid(reason.to_owned()));
        let is_tls = self.url.starts_with("ldaps://");
        if !is_tls && !self.url.starts_with("ldap://") {
            return invalid("url must start with ldaps:// or ldap://");
        }
        if is_tls == self.start_tls {
            return invalid("passwords go over TLS only: ldaps:// without startTLS, or ldap:// with it");
        }
        if !(1..=60).contains(&self.timeout_seconds) {
            return invalid("timeoutSeconds must be 1 to 60");
        }
        match &self.user {
            UserLookup::Template { bind_dn_template } if !bind_dn_template.contains(NAME_PLACEHOLDER) => {
                return invalid("user.bindDNTemplate must contain {username}");
            }
            UserLookup::Search(search) => {
                if !search.filter.contains(NAME_PLACEHOLDER) {
                    return invalid("user.filter must contain {username}");
                }
                check_filter(&search.filter)?;
                if search.bind_dn.is_some() != search.bind_password_file.is_some() {
                    return invalid("user.bindDN and user.bindPasswordFile go together");
                }
            }
            UserLookup::Template { .. } => {}
        }
        if let Some(Groups::Search { filter, .. }) = &self.groups {
            if !filter.contains(NAME_PLACEHOLDER) && !filter.contains(DN_PLACEHOLDER) {
                return invalid("groups.filter must contain {dn} or {username}");
            }
            check_filter(filter)?;
        }
        Ok(())
    }
}

fn check_filter(template: &str) -> Result<(), ConfigError> {
    let sample = template.replace(NAME_PLACEHOLDER, "a").replace(DN_PLACEHOLDER, "a");
    Filter::parse(&sample).map(|_| ()).map_err(|e| ConfigError::Invalid(format!("filter {template:?}: {e}")))
}
