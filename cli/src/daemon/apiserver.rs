//! `berth apiserver`: the API server alone, with the embedded store.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Instant;

use super::checklist::Checklist;
use super::limits::LimitArgs;
use super::lock::{Holder, Lock};
use super::means::MeansArgs;
use super::plane::{self, Layout, Plane};
use super::process::LogArgs;
use super::{paths, process};
use crate::ctx::Ctx;
use crate::failure::{Outcome, exit};

/// Options of `apiserver`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where everything is kept [default: /var/lib/berth as root, else ~/.local/state/berth]
    #[arg(long, value_name = "DIR", env = "BERTH_DATA_DIR")]
    data_dir: Option<PathBuf>,
    /// Where the API listens
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:7443", value_parser = plane::parse_listen)]
    listen: SocketAddr,
    /// Another name or address that it is reached by, for its certificate; may be repeated
    #[arg(long, value_name = "NAME")]
    tls_san: Vec<String>,
    #[command(flatten)]
    limits: LimitArgs,
    #[command(flatten)]
    means: MeansArgs,
    #[command(flatten)]
    log: LogArgs,
}

pub(crate) fn run(args: Args, ctx: &mut Ctx) -> Outcome {
    let log = args.log.clone();
    process::run(&log, "info", serve(args, ctx))
}

async fn serve(args: Args, ctx: &mut Ctx) -> Outcome {
    let checklist = Checklist::new(Instant::now());
    let layout = Layout::new(&args.data_dir.unwrap_or_else(paths::default_data_dir))?;
    let holder = Holder {
        pid: i32::try_from(std::process::id()).unwrap_or(i32::MAX),
        run_dir: paths::default_run_dir(&layout.root),
        cgroup_parent: paths::cgroup_parent(&layout.root),
    };
    let _lock = Lock::take(&layout.root, &holder)?;
    let listener = plane::listen(args.listen)?;
    let store = plane::open_store(&layout).await?;
    checklist.done(&mut ctx.term, "store", "");
    let mut plane = Plane::start(&layout, store, listener, &args.tls_san, &args.limits, &args.means).await?;
    checklist.done(&mut ctx.term, "API", &plane.url);
    ctx.term.say(&format!("ready in {}; kubeconfig: {}", checklist.time(), layout.admin_kubeconfig().display()));
    tokio::select! {
        wanted = process::stop_wanted() => wanted?,
        failure = plane.ended() => return Err(failure),
    }
    plane.shutdown().await;
    ctx.term.say("stopped");
    Ok(exit::OK)
}
