//! `berth agent`: a node's agent alone, as a client of an API server.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use berth_agent::Agent;
use berth_client::Session;
use tokio_util::sync::CancellationToken;

use super::checklist::Checklist;
use super::join::home::Home;
use super::join::rotate::Rotation;
use super::join::{self, JoinArgs, Who};
use super::lock::{Holder, Lock};
use super::node::NodeArgs;
use super::plane::{self, failed};
use super::process::LogArgs;
use super::reload::Reloading;
use super::{paths, process};
use crate::ctx::Ctx;
use crate::failure::{Failure, Outcome, exit};

/// Options of `agent`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  berth token create                                   (where you administer the cluster)\n  \
                        berth agent --join https://10.0.0.1:7443 --token-file token --ca-hash sha256:…\n\n\
                        After the first start --join is not needed any more; certificates are renewed by themselves."
)]
pub(crate) struct Args {
    /// Directory of the node's certificates, made by joining or by `berth certs issue node`
    #[arg(long, value_name = "DIR", default_value = "/etc/berth")]
    certs: PathBuf,
    /// Where tasks and their sandboxes are kept [default: /var/lib/berth-agent as root, else ~/.local/state/berth-agent]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Where the agent's own API listens; port 0 takes any
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "0.0.0.0:5051", value_parser = plane::parse_listen)]
    listen: SocketAddr,
    #[command(flatten)]
    join: JoinArgs,
    #[command(flatten)]
    node: NodeArgs,
    #[command(flatten)]
    log: LogArgs,
}

pub(crate) fn run(args: Args, ctx: &mut Ctx) -> Outcome {
    let log = args.log.clone();
    process::run(&log, "info", serve(args, ctx))
}

async fn serve(args: Args, ctx: &mut Ctx) -> Outcome {
    let checklist = Checklist::new(Instant::now());
    let data_dir = args.data_dir.clone().unwrap_or_else(|| paths::default_data_dir().with_file_name("berth-agent"));
    let data_dir = std::path::absolute(data_dir)?;
    let holder = Holder {
        pid: i32::try_from(std::process::id()).unwrap_or(i32::MAX),
        run_dir: args.node.run_dir(&data_dir)?,
        cgroup_parent: paths::cgroup_parent(&data_dir),
    };
    let _lock = Lock::take(&data_dir, &holder)?;
    let wanted = process::stop_wanted();
    tokio::pin!(wanted);
    let identity = tokio::select! {
        identity = identity(&args, ctx) => identity?,
        wanted = &mut wanted => return wanted.map(|()| exit::OK),
    };
    let Identity { session, tls, rotation } = identity;
    let mut config = args.node.config(&data_dir, &data_dir.join("agent"), args.listen, tls)?;
    config.masked_paths.push(std::path::absolute(&args.certs)?);
    let agent =
        Agent::start(session.client().clone(), config).await.map_err(|e| failed("could not start the agent", &e))?;
    let stop = CancellationToken::new();
    let rotating = tokio::spawn(rotation.keep(stop.clone()));
    let address = agent.local_addr();
    tokio::select! {
        () = agent.wait_ready() => checklist.done(&mut ctx.term, "node", &format!("{} of {}, listening on {address}", args.node.name(), session.server())),
        wanted = &mut wanted => return wanted.map(|()| exit::OK),
    }
    wanted.await?;
    stop.cancel();
    let _ = rotating.await;
    agent.shutdown().await;
    ctx.term.say("stopped; tasks keep running");
    Ok(exit::OK)
}

/// Who the agent is, and how it shows that.
struct Identity {
    session: Session,
    tls: Arc<rustls::ServerConfig>,
    rotation: Rotation,
}

/// Joins if need be, and opens what is in the certs directory.
async fn identity(args: &Args, ctx: &mut Ctx) -> Outcome<Identity> {
    let home = Home::new(&args.certs);
    let who = Who { node: args.node.name(), names: args.node.own_names(args.listen) };
    // A kubeconfig that was named is somebody else's to keep fresh.
    let is_own = ctx.globals.kubeconfig.is_none();
    if is_own {
        join::join(&args.join, &home, &who, ctx).await?;
        ctx.globals.kubeconfig = Some(home.kubeconfig());
    }
    let target = ctx.location().load().await.map_err(|e| {
        let failure = Failure::from(berth_client::ClientError::from(e));
        failure.hint("join a cluster: berth agent --join https://HOST:7443 --token-file FILE --ca-hash sha256:…")
    })?;
    let kept = if is_own { home.client_of(&who) } else { None };
    let client = kept.map(|kept| Reloading::new(&kept.certificate_pem, &kept.key_pem)).transpose()?;
    let session = match &client {
        Some(client) => Session::connect_with(&target, |tls| client.client(tls))?,
        None => ctx.session().await?,
    };
    let ca = home.ca_pem()?;
    let serving = join::serving(&home, &session, &who, ctx, args.join.patience()).await?;
    let (certificate, key) = (&serving.certificate_pem, &serving.key_pem);
    let tls = berth_agent::server_config(certificate.as_bytes(), key.as_bytes(), ca.as_bytes())
        .map_err(|e| failed("could not use the agent's certificate", &e))?;
    let serving = Reloading::new(certificate, key)?;
    let tls = serving.server(tls);
    let rotation = Rotation { home, who, session: session.clone(), client, serving };
    Ok(Identity { session, tls, rotation })
}
