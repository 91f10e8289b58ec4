//! `berth login` and `berth logout`: a proof of who somebody is, for a token of some hours in the kubeconfig.
//!
//! | module | what it does |
//! |---|---|
//! | [`ask`] | names and passwords from the terminal, without echo |
//! | [`browser`] | an OpenID provider, with a browser that the person opens |
//! | [`file`] | the kubeconfig: the new context beside those that are there |

mod ask;
mod browser;
mod file;

use std::path::PathBuf;

use berth_client::k8s_openapi::jiff::Timestamp;
use berth_client::session::JSON;
use berth_client::{Session, Target, kube};
use http::Method;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value, json};

use super::shared::text;
use crate::ctx::Ctx;
use crate::failure::{Failure, Outcome, exit};
use crate::text::age;

pub(crate) use ask::password_twice;
use file::File;

const PATH: &str = "/apis/authentication.berth.dev/v1/loginrequests";

/// Options of `login`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  berth login --user ann\n  berth login https://10.0.0.1:7443 --ca-file ca.crt --user ann --ldap\n  \
                        berth login --oidc --oidc-issuer-url https://id.example.com --oidc-client-id berth\n\n\
                        The token goes into the kubeconfig, in a context of its own that becomes the current one."
)]
pub(crate) struct Args {
    /// Address of the API [default: that of the kubeconfig]
    #[arg(value_name = "SERVER")]
    server: Option<String>,
    /// Who logs in [default: asked for]
    #[arg(short, long, value_name = "NAME")]
    user: Option<String>,
    /// The password is judged by the directory (LDAP)
    #[arg(long, conflicts_with = "oidc")]
    ldap: bool,
    /// With a browser, at an OpenID provider
    #[arg(long, conflicts_with_all = ["user", "password_stdin"])]
    oidc: bool,
    /// Read the password from standard input
    #[arg(long, requires = "user")]
    password_stdin: bool,
    /// The server's authority (PEM), when the kubeconfig does not have it
    #[arg(long, value_name = "FILE", requires = "server")]
    ca_file: Option<PathBuf>,
    #[command(flatten)]
    provider: browser::ProviderArgs,
}

/// Options of `logout`.
#[derive(Debug, clap::Args)]
pub(crate) struct LogoutArgs {}

pub(crate) async fn run(args: Args, ctx: &mut Ctx) -> Outcome {
    let path = writable(ctx)?;
    let mut file = File::open(&path)?;
    let cluster = cluster(&args, ctx).await?;
    let session = anonymous(&cluster)?;
    let spec = if args.oidc {
        json!({"method": "oidc", "idToken": browser::id_token(&args.provider, ctx).await?})
    } else {
        let user = match &args.user {
            Some(user) => user.clone(),
            None => ask::line("user name: ")?,
        };
        let password = if args.password_stdin { ask::standard_input()? } else { ask::password("password: ")? };
        json!({"username": user, "password": password, "method": if args.ldap { "ldap" } else { "" }})
    };
    let review = json!({"apiVersion": "authentication.berth.dev/v1", "kind": "LoginRequest", "spec": spec});
    let answer = session.write(Method::POST, PATH, JSON, &review).await.map_err(refused)?.body;
    let status = &answer["status"];
    let (token, name) = (text(status, &["token"]), text(status, &["userInfo", "username"]));
    if token.is_empty() || name.is_empty() {
        return Err(Failure::new(format!("{} answered without a token", session.server())));
    }
    let context = file.log_in(&cluster, name, token);
    file.save(&path)?;
    let ends = text(status, &["expirationTimestamp"]);
    let left = ends.parse::<Timestamp>().map(|ends| age::human(ends.duration_since(ctx.now())));
    let name = crate::term::harmless(name);
    ctx.term.say(&format!(
        "logged in to {} as {name}, for {}",
        session.server(),
        left.unwrap_or_else(|_| "a while".into())
    ));
    ctx.term.say(&format!("context {context} of {} is the current one", path.display()));
    if ctx.location().find().is_ok_and(|used| used != path) {
        ctx.term.say(&format!(" hint: export KUBECONFIG={}", path.display()));
    }
    Ok(exit::OK)
}

pub(crate) fn logout(_: &LogoutArgs, ctx: &mut Ctx) -> Outcome {
    let path = writable(ctx)?;
    let mut file = File::open(&path)?;
    let Some(context) = file.log_out(ctx.globals.context.as_deref()) else {
        ctx.term.say(&format!("nobody is logged in with {}", path.display()));
        return Ok(exit::OK);
    };
    file.save(&path)?;
    ctx.term.say(&format!("logged out: context {context} is gone from {}", path.display()));
    if let Some(current) = file.current() {
        ctx.term.say(&format!("the current context is {current}"));
    }
    Ok(exit::OK)
}

/// A cluster to log in to.
#[derive(Clone, Debug)]
struct Cluster {
    /// Its name in the kubeconfig, when that has it.
    name: Option<String>,
    server: String,
    ca_pem: Option<String>,
}

/// The kubeconfig that tokens go into. Never the administrator's own: that is the server's to write.
fn writable(ctx: &Ctx) -> Outcome<PathBuf> {
    let location = ctx.location();
    let found = location.find().ok().filter(|path| Some(path) != location.admin.as_ref());
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".kube/config"));
    let named = ctx.globals.kubeconfig.clone().or(found).or_else(home);
    named.ok_or_else(|| Failure::new("there is no place for a kubeconfig").hint("name one with --kubeconfig FILE"))
}

async fn cluster(args: &Args, ctx: &Ctx) -> Outcome<Cluster> {
    let ca_pem = match &args.ca_file {
        Some(path) => Some(
            std::fs::read_to_string(path)
                .map_err(|e| Failure::new(format!("could not read {}: {e}", path.display())))?,
        ),
        None => None,
    };
    let known = ctx.location().find().ok().and_then(|path| File::open(&path).ok());
    let Some(server) = &args.server else {
        let found = known.and_then(|file| file.cluster(ctx.globals.context.as_deref()));
        return found
            .ok_or_else(|| Failure::usage("say where to log in: berth login https://HOST:7443 --ca-file FILE"));
    };
    let server = if server.contains("://") { server.clone() } else { format!("https://{server}") };
    let server = server.trim_end_matches('/').to_owned();
    if ca_pem.is_none()
        && let Some(found) = known.and_then(|file| file.cluster_at(&server))
    {
        return Ok(found);
    }
    Ok(Cluster { name: None, server, ca_pem })
}

/// A connection in nobody's name.
fn anonymous(cluster: &Cluster) -> Outcome<Session> {
    let url = cluster.server.parse().map_err(|_| Failure::usage(format!("{} is no address", cluster.server)))?;
    if !cluster.server.starts_with("https://") {
        return Err(Failure::usage("a password goes over https only"));
    }
    let mut config = kube::Config::new(url);
    config.default_retry = false;
    if let Some(pem) = &cluster.ca_pem {
        let all = CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<Vec<_>, _>>();
        let all = all.map_err(|e| Failure::new(format!("the server's authority cannot be read: {e}")))?;
        config.root_cert = Some(all.iter().map(|certificate| certificate.to_vec()).collect());
    }
    let server = cluster.server.clone();
    let target =
        Target { config, server, namespace: "default".into(), path: "the kubeconfig".into(), context: String::new() };
    Ok(Session::connect(&target)?)
}

fn refused(error: berth_client::ClientError) -> Failure {
    let (code, seconds) = (error.code(), error.status().and_then(|s| s.details.as_ref()?.retry_after_seconds));
    match code {
        401 => Failure::new(error.to_string())
            .code(exit::DENIED)
            .hint("local users are listed on the server's machine: berth user list"),
        404 => Failure::not_found("this server knows no logins"),
        429 => Failure::new("too many failed logins").hint(format!("try again in {} s", seconds.unwrap_or(1))),
        _ => error.into(),
    }
}

/// Where a kubeconfig's value is a list of named things, the one of this name.
fn named<'a>(file: &'a Value, list: &str, name: &str) -> Option<&'a Value> {
    file[list].as_array()?.iter().find(|entry| entry["name"] == name)
}
