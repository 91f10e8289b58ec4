//! `berth controllers`: the controllers alone, as a client of an API server.

use std::net::SocketAddr;
use std::time::Instant;

use berth_controllers::Options;
use tokio_util::sync::CancellationToken;

use super::checklist::Checklist;
use super::health;
use super::plane::{self, failed};
use super::process::{self, LogArgs};
use super::signing::SigningArgs;
use crate::ctx::Ctx;
use crate::failure::{Outcome, exit};

/// Options of `controllers`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Act only as the holder of the Lease: for more than one of them
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_value_t = true, default_missing_value = "true", action = clap::ArgAction::Set)]
    leader_elect: bool,
    /// Who this one is to the others [default: the machine's name and the process id]
    #[arg(long, value_name = "NAME")]
    identity: Option<String>,
    /// Where /metrics, /livez and /readyz are served; port 0 takes any
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:7444", value_parser = plane::parse_listen)]
    health_listen: SocketAddr,
    #[command(flatten)]
    signing: SigningArgs,
    #[command(flatten)]
    log: LogArgs,
}

pub(crate) fn run(args: Args, ctx: &mut Ctx) -> Outcome {
    let log = args.log.clone();
    process::run(&log, "info", control(args, ctx))
}

async fn control(args: Args, ctx: &mut Ctx) -> Outcome {
    let checklist = Checklist::new(Instant::now());
    let authority = args.signing.authority()?;
    let session = ctx.session().await?;
    let listener = plane::listen(args.health_listen)?;
    let address = listener.local_addr()?;
    let stop = CancellationToken::new();
    let identity = args.identity.unwrap_or_else(|| format!("{}-{}", process::host_name(), std::process::id()));
    let mut options = Options::new(identity, stop.clone());
    options.leader_election = args.leader_elect;
    options.authority = authority;
    let handle = berth_controllers::run(session.client().clone(), options).await;
    let handle = std::sync::Arc::new(handle.map_err(|e| failed("could not start the controllers", &e))?);
    let (ready, metrics) = (handle.clone(), handle.clone());
    let serving = tokio::spawn(health::serve(listener, move || ready.ready(), move || metrics.metrics_text()));
    let wanted = process::stop_wanted();
    tokio::pin!(wanted);
    tokio::select! {
        () = handle.wait_ready() => checklist.done(&mut ctx.term, "controllers", &format!("of {}; health on http://{address}", session.server())),
        wanted = &mut wanted => return wanted.map(|()| exit::OK),
    }
    wanted.await?;
    serving.abort();
    let _ = serving.await;
    stop.cancel();
    if let Some(handle) = std::sync::Arc::into_inner(handle) {
        handle.stopped().await;
    }
    ctx.term.say("stopped");
    Ok(exit::OK)
}
