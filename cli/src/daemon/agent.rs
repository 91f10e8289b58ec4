//! `berth agent`: a node's agent alone, as a client of an API server.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Instant;

use berth_agent::Agent;

use super::checklist::Checklist;
use super::lock::{Holder, Lock};
use super::node::NodeArgs;
use super::plane::{self, failed};
use super::process::LogArgs;
use super::{paths, process};
use crate::ctx::Ctx;
use crate::failure::{Failure, Outcome, exit};

/// Options of `agent`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  berth certs issue node n1 --out /etc/berth           (where the API server runs)\n  \
                        berth agent --node-name n1 --certs /etc/berth --listen 0.0.0.0:5051"
)]
pub(crate) struct Args {
    /// Directory with what `berth certs issue node` made: node.kubeconfig, tls.crt, tls.key, ca.crt
    #[arg(long, value_name = "DIR", default_value = "/etc/berth")]
    certs: PathBuf,
    /// Where tasks and their sandboxes are kept [default: /var/lib/berth-agent as root, else ~/.local/state/berth-agent]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Where the agent's own API listens; port 0 takes any
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "0.0.0.0:5051", value_parser = plane::parse_listen)]
    listen: SocketAddr,
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
    if ctx.globals.kubeconfig.is_none() {
        ctx.globals.kubeconfig = Some(args.certs.join(super::certs::NODE_KUBECONFIG));
    }
    let session = ctx.session().await?;
    let (cert, key, ca) = (pem(&args.certs, "tls.crt")?, pem(&args.certs, "tls.key")?, pem(&args.certs, "ca.crt")?);
    let tls = berth_agent::server_config(&cert, &key, &ca)
        .map_err(|e| failed("could not use the agent's certificate", &e))?;
    let holder = Holder {
        pid: i32::try_from(std::process::id()).unwrap_or(i32::MAX),
        run_dir: args.node.run_dir(&data_dir)?,
        cgroup_parent: paths::cgroup_parent(&data_dir),
    };
    let _lock = Lock::take(&data_dir, &holder)?;
    let mut config = args.node.config(&data_dir, &data_dir.join("agent"), args.listen, tls)?;
    config.masked_paths.push(std::path::absolute(&args.certs)?);
    let agent =
        Agent::start(session.client().clone(), config).await.map_err(|e| failed("could not start the agent", &e))?;
    let wanted = process::stop_wanted();
    tokio::pin!(wanted);
    let address = agent.local_addr();
    tokio::select! {
        () = agent.wait_ready() => checklist.done(&mut ctx.term, "node", &format!("{} of {}, listening on {address}", args.node.name(), session.server())),
        wanted = &mut wanted => return wanted.map(|()| exit::OK),
    }
    process::trim_memory();
    wanted.await?;
    agent.shutdown().await;
    ctx.term.say("stopped; tasks keep running");
    Ok(exit::OK)
}

fn pem(folder: &Path, name: &str) -> Outcome<Vec<u8>> {
    let path = folder.join(name);
    std::fs::read(&path).map_err(|e| {
        Failure::new(format!("could not read {}: {e}", path.display()))
            .hint(format!("make it where the API server runs: berth certs issue node NAME --out {}", folder.display()))
    })
}
