//! How a machine becomes a node: it learns whom to trust, asks for a certificate, and keeps it fresh.
//!
//! | module | what it does |
//! |---|---|
//! | [`home`] | the files of the certs directory, each written whole or not at all |
//! | [`discover`] | whom to trust: the cluster's authority, checked with a token and a hash |
//! | [`request`] | one certificate: the request is posted, and its end awaited |
//! | [`rotate`] | new certificates before the old ones end, without dropping anything |
//!
//! Every step may be the last before a crash: keys are on disk before they are asked for, a key's request has a name
//! that follows from the key, and what is there already is not done again.

mod discover;
pub(crate) mod home;
mod request;
pub(crate) mod rotate;

use std::path::PathBuf;
use std::time::Duration;

use berth_api::pki::Identity;
use berth_client::Session;
use berth_client::k8s_openapi::jiff::Timestamp;
use berth_identity::bootstrap::BootstrapToken;
use berth_identity::csr::{KUBELET_CLIENT, KUBELET_SERVING, NODES};

use home::{Home, Purpose};
use request::Wanted;

use crate::ctx::Ctx;
use crate::failure::{Failure, Outcome};
use crate::text::age;

/// Options about joining.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct JoinArgs {
    /// Join the cluster at this address; nothing is done when there is a usable certificate already
    #[arg(long, value_name = "URL", value_parser = parse_server, help_heading = "Joining")]
    pub(crate) join: Option<String>,
    /// What `berth token create` printed; better: --token-file
    #[arg(long, value_name = "TOKEN", env = "BERTH_TOKEN", hide_env_values = true, help_heading = "Joining")]
    token: Option<String>,
    /// A file with the token: other users of this machine can read the command line
    #[arg(long, value_name = "FILE", conflicts_with = "token", help_heading = "Joining")]
    token_file: Option<PathBuf>,
    /// Hash of the cluster's authority, sha256:…; may be repeated
    #[arg(long, value_name = "HASH", value_parser = parse_hash, help_heading = "Joining")]
    ca_hash: Vec<String>,
    /// The cluster's authority (PEM), instead of its hash
    #[arg(long, value_name = "FILE", conflicts_with = "ca_hash", help_heading = "Joining")]
    ca_file: Option<PathBuf>,
    /// How long to wait for a certificate that a person has to approve
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = age::parse_argument, help_heading = "Joining")]
    join_timeout: Duration,
}

/// What the node is, as far as its certificates say it.
#[derive(Clone, Debug)]
pub(crate) struct Who {
    pub(crate) node: String,
    /// What its server is reached by.
    pub(crate) names: Vec<String>,
}

impl Who {
    fn user(&self) -> String {
        format!("{}{}", berth_api::authn::NODE_USER_PREFIX, self.node)
    }
}

/// Seconds since 1970.
fn now() -> i64 {
    Timestamp::now().as_second()
}

/// Gets the node's first certificate, unless it has one that is good.
///
/// # Errors
/// When the cluster is not the one that the token and the hash speak of, or gives no certificate.
pub(crate) async fn join(args: &JoinArgs, home: &Home, who: &Who, ctx: &mut Ctx) -> Outcome<()> {
    let Some(server) = &args.join else { return Ok(()) };
    if home.client(&who.user(), now()).is_some() {
        return Ok(());
    }
    let token = token(args)?;
    let ca_pem = discover::authority(server, &token, &args.ca_hash, args.ca_file.as_deref()).await?;
    ctx.term.say(&format!("joining {server} as node {}", who.node));
    let bearer = discover::bearer(server, &ca_pem, &token)?;
    let issued = ask(&bearer, home, who, Purpose::Client, args.join_timeout, &mut |text| ctx.term.say(text)).await?;
    home.write_client(server, &ca_pem, &who.user(), &issued)?;
    home.forget_pending(Purpose::Client);
    Ok(())
}

/// Gets the serving certificate, unless there is one that is good. `session` is the node's own.
///
/// # Errors
/// When the cluster gives none.
pub(crate) async fn serving(
    home: &Home,
    session: &Session,
    who: &Who,
    ctx: &mut Ctx,
    patience: Duration,
) -> Outcome<Identity> {
    if let Some(kept) = home.serving(now()) {
        return Ok(kept);
    }
    let issued = ask(session, home, who, Purpose::Serving, patience, &mut |text| ctx.term.say(text)).await?;
    home.write_serving(&issued)?;
    home.forget_pending(Purpose::Serving);
    Ok(issued)
}

impl JoinArgs {
    /// How long a certificate may take.
    pub(crate) fn patience(&self) -> Duration {
        self.join_timeout
    }
}

/// Asks for the certificate of a purpose, with the key that is kept until there is an answer.
async fn ask(
    session: &Session,
    home: &Home,
    who: &Who,
    purpose: Purpose,
    patience: Duration,
    say: &mut (dyn FnMut(&str) + Send),
) -> Outcome<Identity> {
    let key_pem = home.pending_key(purpose)?;
    let (signer, usages, names): (_, &[&str], &[String]) = match purpose {
        Purpose::Client => (KUBELET_CLIENT, &["digital signature", "client auth"], &[]),
        Purpose::Serving => (KUBELET_SERVING, &["digital signature", "server auth"], &who.names),
    };
    let wanted = Wanted { signer, usages, common_name: &who.user(), organizations: &[NODES], names };
    let issued = request::certificate(session, &key_pem, &wanted, patience, say).await;
    finish(home, purpose, key_pem, issued)
}

/// A key whose request was refused for good is of no more use; one that still waits is kept.
fn finish(
    home: &Home,
    purpose: Purpose,
    key_pem: String,
    issued: Result<String, request::Refused>,
) -> Outcome<Identity> {
    match issued {
        Ok(certificate_pem) => Ok(Identity { certificate_pem, key_pem }),
        Err(refused) => {
            if refused.for_good {
                home.forget_pending(purpose);
            }
            Err(refused.failure)
        }
    }
}

fn token(args: &JoinArgs) -> Outcome<BootstrapToken> {
    let text = match (&args.token, &args.token_file) {
        (Some(token), _) => token.clone(),
        (None, Some(path)) => std::fs::read_to_string(path)
            .map_err(|e| Failure::new(format!("could not read the token in {}: {e}", path.display())))?,
        (None, None) => {
            return Err(Failure::usage("joining takes a token: --token-file FILE or --token TOKEN")
                .hint("make one where you administer the cluster: berth token create"));
        }
    };
    BootstrapToken::parse(text.trim()).ok_or_else(|| {
        Failure::usage("the token has not the form abcdef.0123456789abcdef")
            .hint("make one where you administer the cluster: berth token create")
    })
}

fn parse_server(text: &str) -> Result<String, String> {
    let url = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
    let wrong = || "write https://HOST:7443".to_owned();
    let uri: http::Uri = url.parse().map_err(|_| wrong())?;
    if uri.scheme_str() != Some("https") || uri.host().is_none_or(str::is_empty) || uri.path() != "/" {
        return Err(wrong());
    }
    Ok(url.trim_end_matches('/').to_owned())
}

fn parse_hash(text: &str) -> Result<String, String> {
    let hex = text.strip_prefix("sha256:").ok_or("write sha256: and 64 hexadecimal digits")?;
    if hex.len() != 64 || !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err("write sha256: and 64 hexadecimal digits".to_owned());
    }
    Ok(text.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_hashes_are_read_or_refused() {
        assert_eq!(parse_server("10.0.0.1:7443").as_deref(), Ok("https://10.0.0.1:7443"));
        assert_eq!(parse_server("https://host:7443/").as_deref(), Ok("https://host:7443"));
        for bad in ["http://host", "https://", "https://host/path", "a b"] {
            assert!(parse_server(bad).is_err(), "{bad}");
        }
        assert!(parse_hash(&format!("sha256:{}", "a".repeat(64))).is_ok());
        for bad in ["", "sha256:", "sha1:aa", &format!("sha256:{}", "g".repeat(64))] {
            assert!(parse_hash(bad).is_err(), "{bad}");
        }
    }
}
