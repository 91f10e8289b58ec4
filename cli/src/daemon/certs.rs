//! `berth certs`: kubeconfigs and certificates for the parts of a cluster and its users, from its own authority.

use std::path::{Path, PathBuf};

use berth_api::kubeconfig::{self, Credentials};
use berth_api::pki::{Identity, Pki};

use super::paths;
use super::plane::{Layout, failed};
use crate::ctx::Ctx;
use crate::failure::{Failure, Outcome, exit};

/// Name of a node's kubeconfig in the directory that `--out` names.
pub(crate) const NODE_KUBECONFIG: &str = "node.kubeconfig";

/// Options of `certs`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: CertsVerb,
}

#[derive(Debug, clap::Subcommand)]
enum CertsVerb {
    /// Make a certificate, and a kubeconfig that uses it
    Issue(IssueArgs),
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  berth certs issue node n1 --name 10.0.0.7 --out /etc/berth\n  \
                        berth certs issue controllers --out controllers.kubeconfig\n  berth certs issue user ann --group dev --out ann.kubeconfig")]
struct IssueArgs {
    /// node, controllers or user
    #[arg(value_name = "FOR", value_parser = ["node", "controllers", "user"])]
    part: String,
    /// Name of the node or user
    #[arg(value_name = "NAME")]
    subject: Option<String>,
    /// The cluster's data directory [default: /var/lib/berth as root, else ~/.local/state/berth]
    #[arg(long, value_name = "DIR", env = "BERTH_DATA_DIR")]
    data_dir: Option<PathBuf>,
    /// Where to write: a directory for a node, a file for the others
    #[arg(long, value_name = "PATH")]
    out: PathBuf,
    /// Address of the API [default: that of the administrator's kubeconfig]
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    /// A DNS name or address that the node is reached by; may be repeated
    #[arg(long = "name", value_name = "NAME")]
    names: Vec<String>,
    /// A group of the user; may be repeated
    #[arg(long = "group", value_name = "GROUP")]
    groups: Vec<String>,
}

pub(crate) fn run(args: &Args, ctx: &mut Ctx) -> Outcome {
    let CertsVerb::Issue(args) = &args.verb;
    let layout = Layout::new(&args.data_dir.clone().unwrap_or_else(paths::default_data_dir))?;
    if !layout.pki().join("ca.crt").exists() {
        return Err(Failure::not_found(format!("{} holds no certificate authority", layout.root.display()))
            .hint("it is made by the first start of: berth apiserver (or berth up)")
            .hint("name the cluster's directory with --data-dir"));
    }
    let pki = Pki::open(&layout.pki()).map_err(|e| failed("could not open the certificate authority", &e))?;
    let server = match &args.server {
        Some(server) => server.clone(),
        None => server_of(&layout.admin_kubeconfig())?,
    };
    let subject = || {
        args.subject
            .clone()
            .ok_or_else(|| Failure::usage(format!("say for whom: berth certs issue {} NAME", args.part)))
    };
    let make = |e: berth_api::pki::PkiError| failed("could not make the certificate", &e);
    match args.part.as_str() {
        "node" => {
            let name = subject()?;
            let mut names = vec![name.clone(), "localhost".to_owned(), "127.0.0.1".to_owned()];
            names.push(berth_agent::node::facts::address().to_string());
            names.extend(args.names.iter().cloned());
            let identity = pki.node(&name, &names).map_err(make)?;
            let user = format!("{}{name}", berth_api::authn::NODE_USER_PREFIX);
            write(&args.out.join("tls.crt"), &identity.certificate_pem)?;
            write(&args.out.join("tls.key"), &identity.key_pem)?;
            write(&args.out.join("ca.crt"), pki.ca_pem())?;
            let path = args.out.join(NODE_KUBECONFIG);
            write(&path, &text(&server, &pki, &user, &identity))?;
            ctx.term.line(&path.display().to_string())?;
        }
        "controllers" => {
            let user = "system:controllers";
            let identity = pki.client("controllers", user, &[berth_api::authn::GROUP_CONTROLLERS]).map_err(make)?;
            write(&args.out, &text(&server, &pki, user, &identity))?;
            ctx.term.line(&args.out.display().to_string())?;
        }
        _ => {
            let user = subject()?;
            if user.starts_with("system:") {
                return Err(Failure::usage("names of users do not begin with system:"));
            }
            let groups: Vec<&str> = args.groups.iter().map(String::as_str).collect();
            let file = format!("user-{}", user.replace(['/', '\0'], "_"));
            let identity = pki.client(&file, &user, &groups).map_err(make)?;
            write(&args.out, &text(&server, &pki, &user, &identity))?;
            ctx.term.line(&args.out.display().to_string())?;
        }
    }
    Ok(exit::OK)
}

fn text(server: &str, pki: &Pki, user: &str, identity: &Identity) -> String {
    kubeconfig::text(server, pki.ca_pem(), user, Credentials::Certificate(identity))
}

/// The API's address, as the cluster itself wrote it.
fn server_of(path: &Path) -> Outcome<String> {
    let unknown = || {
        Failure::new(format!("{} does not tell the API's address", path.display()))
            .hint("name it with --server https://HOST:7443")
    };
    let file = berth_client::kube::config::Kubeconfig::read_from(path).map_err(|_| unknown())?;
    let cluster = file.clusters.into_iter().next().and_then(|c| c.cluster);
    cluster.and_then(|c| c.server).ok_or_else(unknown)
}

fn write(path: &Path, text: &str) -> Outcome<()> {
    let failed = |e: std::io::Error| Failure::new(format!("could not write {}: {e}", path.display()));
    if let Some(folder) = path.parent().filter(|f| !f.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    // Keys: for their owner only, whole or not at all.
    kubeconfig::write(path, text).map_err(failed)
}
