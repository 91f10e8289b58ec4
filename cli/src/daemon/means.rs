//! Options about who somebody is, under the names that kube-apiserver has for them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use berth_api::{IdentityConfig, RequestHeaders};
use berth_identity::oidc::Flags;

use super::plane::Layout;
use crate::failure::{Failure, Outcome};
use crate::text::age;

/// Longest life of a token that may be asked for.
const TOKEN_MAX: Duration = Duration::from_secs(365 * 24 * 3600);

/// What `apiserver` and `up` have in common. Files of the data directory are taken where nothing is said.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Identity")]
pub(crate) struct MeansArgs {
    /// Users with passwords; see berth user [default: users.yaml in the data directory]
    #[arg(long, value_name = "FILE")]
    users_file: Option<PathBuf>,
    /// How long a login lasts, such as 12h
    #[arg(long, value_name = "TIME", value_parser = age::parse_argument)]
    session_duration: Option<Duration>,
    /// A directory that is asked about passwords [default: ldap.yaml in the data directory, if it is there]
    #[arg(long, value_name = "FILE")]
    ldap_config: Option<PathBuf>,
    /// An AuthenticationConfiguration with OpenID providers [default: authentication.yaml in the data directory, if it is there]
    #[arg(long, value_name = "FILE", conflicts_with = "oidc_issuer_url")]
    authentication_config: Option<PathBuf>,
    /// One OpenID provider, by its URL
    #[arg(long, value_name = "URL", requires = "oidc_client_id")]
    oidc_issuer_url: Option<String>,
    /// The audience of its tokens that means this cluster
    #[arg(long, value_name = "ID", requires = "oidc_issuer_url")]
    oidc_client_id: Option<String>,
    /// The claim that is the user's name [default: sub]
    #[arg(long, value_name = "CLAIM", requires = "oidc_issuer_url")]
    oidc_username_claim: Option<String>,
    /// What stands before users' names; - for nothing [default: the provider's URL and #, nothing for email]
    #[arg(long, value_name = "TEXT", requires = "oidc_issuer_url")]
    oidc_username_prefix: Option<String>,
    /// The claim with the user's groups
    #[arg(long, value_name = "CLAIM", requires = "oidc_issuer_url")]
    oidc_groups_claim: Option<String>,
    /// What stands before groups' names
    #[arg(long, value_name = "TEXT", requires = "oidc_issuer_url")]
    oidc_groups_prefix: Option<String>,
    /// A claim that tokens must have; may be repeated
    #[arg(long, value_name = "CLAIM=VALUE", requires = "oidc_issuer_url", value_parser = parse_pair)]
    oidc_required_claim: Vec<(String, String)>,
    /// The provider's authority (PEM) [default: the machine's]
    #[arg(long, value_name = "FILE", requires = "oidc_issuer_url")]
    oidc_ca_file: Option<PathBuf>,
    /// The issuer in service accounts' tokens
    #[arg(long, value_name = "URL")]
    service_account_issuer: Option<String>,
    /// Where others find the keys of these tokens [default: under the issuer]
    #[arg(long, value_name = "URL")]
    service_account_jwks_uri: Option<String>,
    /// Directory of the keys that sign these tokens [default: token-keys in the data directory]
    #[arg(long, value_name = "DIR")]
    service_account_key_dir: Option<PathBuf>,
    /// Longest life of these tokens [default: 24h]
    #[arg(long, value_name = "TIME", value_parser = age::parse_argument)]
    service_account_max_token_expiration: Option<Duration>,
    /// Audiences that mean this API [default: the issuer]
    #[arg(long, value_name = "AUDIENCE", value_delimiter = ',')]
    api_audiences: Vec<String>,
    /// Whether those who say nothing are heard at all
    #[arg(long, value_name = "BOOL", default_value_t = true, num_args = 0..=1, default_missing_value = "true", action = clap::ArgAction::Set)]
    anonymous_auth: bool,
    /// Authority (PEM) of front proxies that vouch for users
    #[arg(long, value_name = "FILE")]
    requestheader_client_ca_file: Option<PathBuf>,
    /// Common names that front proxies may have [default: any]
    #[arg(long, value_name = "NAME", value_delimiter = ',', requires = "requestheader_client_ca_file")]
    requestheader_allowed_names: Vec<String>,
}

impl MeansArgs {
    /// Where the means of identity are.
    ///
    /// # Errors
    /// When a file that was named cannot be read.
    pub(crate) fn identity(&self, layout: &Layout) -> Outcome<IdentityConfig> {
        let there = |path: PathBuf| Some(path).filter(|path| path.exists());
        let oidc = self.oidc()?;
        // Settings of one provider stand for the file, also for one that lies there.
        let lying = || if oidc.is_none() { there(layout.authentication()) } else { None };
        let usual = IdentityConfig::default();
        Ok(IdentityConfig {
            token_keys: Some(self.service_account_key_dir.clone().unwrap_or_else(|| layout.token_keys())),
            issuer: self.service_account_issuer.clone().unwrap_or_else(|| usual.issuer.clone()),
            jwks_url: self.service_account_jwks_uri.clone(),
            audiences: self.api_audiences.clone(),
            token_seconds_max: self.token_seconds_max()?,
            authentication_file: self.authentication_config.clone().or_else(lying),
            oidc,
            // Users come and go while the server runs: the file need not be there yet.
            users_file: Some(self.users_file.clone().unwrap_or_else(|| layout.users())),
            ldap_file: self.ldap_config.clone().or_else(|| there(layout.ldap())),
            session_seconds: self.session_duration.map_or(usual.session_seconds, seconds),
            request_headers: self.request_headers()?,
            anonymous: self.anonymous_auth,
        })
    }

    /// Authorities (PEM) whose clients get through the handshake beside the cluster's own.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(crate) fn other_authorities(&self) -> Outcome<String> {
        self.requestheader_client_ca_file.as_deref().map_or_else(|| Ok(String::new()), read)
    }

    fn oidc(&self) -> Outcome<Option<Flags>> {
        let (Some(issuer_url), Some(client_id)) = (&self.oidc_issuer_url, &self.oidc_client_id) else {
            return Ok(None);
        };
        let text = |option: &Option<String>| option.clone().unwrap_or_default();
        Ok(Some(Flags {
            issuer_url: issuer_url.clone(),
            client_id: client_id.clone(),
            username_claim: text(&self.oidc_username_claim),
            username_prefix: self.oidc_username_prefix.clone(),
            groups_claim: text(&self.oidc_groups_claim),
            groups_prefix: text(&self.oidc_groups_prefix),
            required_claims: self.oidc_required_claim.iter().cloned().collect::<BTreeMap<_, _>>(),
            ca_pem: self.oidc_ca_file.as_deref().map(read).transpose()?,
        }))
    }

    fn request_headers(&self) -> Outcome<Option<RequestHeaders>> {
        let Some(path) = &self.requestheader_client_ca_file else { return Ok(None) };
        let mut headers = RequestHeaders::usual(&read(path)?);
        headers.allowed_names.clone_from(&self.requestheader_allowed_names);
        Ok(Some(headers))
    }

    fn token_seconds_max(&self) -> Outcome<i64> {
        match self.service_account_max_token_expiration {
            Some(longest) if longest < Duration::from_secs(3600) || longest > TOKEN_MAX => {
                Err(Failure::usage("--service-account-max-token-expiration must be between 1h and 365d"))
            }
            Some(longest) => Ok(seconds(longest)),
            None => Ok(0),
        }
    }
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

fn read(path: &Path) -> Outcome<String> {
    std::fs::read_to_string(path).map_err(|e| Failure::new(format!("could not read {}: {e}", path.display())))
}

fn parse_pair(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').filter(|(claim, _)| !claim.is_empty());
    pair.map(|(claim, value)| (claim.to_owned(), value.to_owned())).ok_or_else(|| "write CLAIM=VALUE".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        means: MeansArgs,
    }

    fn parsed(line: &[&str]) -> Result<MeansArgs, clap::Error> {
        Line::try_parse_from([&["x"], line].concat()).map(|line| line.means)
    }

    #[test]
    fn what_is_not_said_is_looked_for_in_the_data_directory() {
        let layout = Layout { root: "/nowhere".into() };
        let identity = parsed(&[]).unwrap().identity(&layout).unwrap();
        assert_eq!(identity.users_file, Some("/nowhere/users.yaml".into()));
        assert_eq!((identity.ldap_file, identity.authentication_file), (None, None));
        assert!(identity.anonymous);
    }

    #[test]
    fn one_provider_is_said_by_flags_and_not_beside_a_file() {
        let layout = Layout { root: "/nowhere".into() };
        let line = ["--oidc-issuer-url=https://id", "--oidc-client-id=berth", "--oidc-required-claim=a=b"];
        let flags = parsed(&line).unwrap().identity(&layout).unwrap().oidc.unwrap();
        assert_eq!((flags.issuer_url.as_str(), flags.required_claims["a"].as_str()), ("https://id", "b"));
        assert!(parsed(&[&line[..], &["--authentication-config=f"]].concat()).is_err());
        assert!(parsed(&["--oidc-issuer-url=https://id"]).is_err());
        assert!(parsed(&["--service-account-max-token-expiration=1m"]).unwrap().identity(&layout).is_err());
    }
}
