//! `berth up`: the whole cluster in one process.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use berth_agent::{Agent, AgentHandle};
use berth_api::UserInfo;
use berth_client::{Change, Session, Watch};
use berth_controllers::{Handle, Options};
use tokio_util::sync::CancellationToken;

use super::checklist::Checklist;
use super::limits::LimitArgs;
use super::lock::{Holder, Lock};
use super::means::MeansArgs;
use super::node::NodeArgs;
use super::plane::{self, Layout, Plane, failed};
use super::process::LogArgs;
use super::reload::Reloading;
use super::renew::Kept;
use super::{paths, process, signing};
use crate::commands::is_ready;
use crate::ctx::Ctx;
use crate::failure::{Outcome, exit};
use crate::kinds;
use crate::term::Paint;

/// How long the node may take to be ready before we say what it waits for.
const PATIENCE: Duration = Duration::from_secs(10);

/// Options of `up`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  berth up\n  berth up --data-dir /tmp/try --listen 127.0.0.1:8443\n\n\
                        Ctrl-C stops it cleanly; tasks keep running and are taken over by the next start.\n\
                        berth down --purge ends everything and removes it.")]
pub(crate) struct Args {
    /// Where everything is kept [default: /var/lib/berth as root, else ~/.local/state/berth]
    #[arg(long, value_name = "DIR", env = "BERTH_DATA_DIR")]
    data_dir: Option<PathBuf>,
    /// Where the API listens
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:7443", value_parser = plane::parse_listen)]
    listen: SocketAddr,
    /// Where the agent's own API listens; port 0 takes any
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:5051", value_parser = plane::parse_listen)]
    agent_listen: SocketAddr,
    /// Another name or address that the API is reached by, for its certificate; may be repeated
    #[arg(long, value_name = "NAME")]
    tls_san: Vec<String>,
    #[command(flatten)]
    limits: LimitArgs,
    #[command(flatten)]
    means: MeansArgs,
    #[command(flatten)]
    node: NodeArgs,
    #[command(flatten)]
    log: LogArgs,
}

pub(crate) fn run(args: Args, ctx: &mut Ctx) -> Outcome {
    let log = args.log.clone();
    process::run(&log, "warn", up(args, ctx))
}

/// What runs.
struct Cluster {
    plane: Plane,
    agent: AgentHandle,
    controllers: Handle,
    stop_controllers: CancellationToken,
}

async fn up(args: Args, ctx: &mut Ctx) -> Outcome {
    let checklist = Checklist::new(Instant::now());
    let layout = Layout::new(&args.data_dir.clone().unwrap_or_else(paths::default_data_dir))?;
    let holder = Holder {
        pid: i32::try_from(std::process::id()).unwrap_or(i32::MAX),
        run_dir: args.node.run_dir(&layout.root)?,
        cgroup_parent: paths::cgroup_parent(&layout.root),
    };
    let lock = Lock::take(&layout.root, &holder)?;
    let stop = process::stop_wanted();
    tokio::pin!(stop);
    let title = ctx.term.paint_err(Paint::Bold, concat!("berth ", env!("CARGO_PKG_VERSION")));
    ctx.term.say(&format!("{title}, data in {}", layout.root.display()));
    let started = tokio::select! {
        started = start(&args, &layout, &checklist, ctx) => started,
        wanted = &mut stop => return wanted.map(|()| exit::OK),
    };
    let mut cluster = started?;
    let node_name = args.node.name();
    let session = Session::from_client(cluster.plane.api.client(UserInfo::admin()), &cluster.plane.url);
    let result = tokio::select! {
        ready = node_ready(&session, &node_name, ctx) => ready.map(|()| true),
        wanted = &mut stop => wanted.map(|()| false),
        failure = cluster.plane.ended() => Err(failure),
    };
    let result = match result {
        Ok(true) => {
            checklist.done(&mut ctx.term, "node", &format!("{node_name} is ready"));
            summary(ctx, &layout, &cluster, &checklist);
            tokio::select! {
                wanted = &mut stop => wanted,
                failure = cluster.plane.ended() => Err(failure),
            }
        }
        Ok(false) => Ok(()),
        Err(failure) => Err(failure),
    };
    let running = tasks_running(&session).await;
    ctx.term.say("\nstopping");
    cluster.agent.shutdown().await;
    cluster.stop_controllers.cancel();
    cluster.controllers.stopped().await;
    cluster.plane.shutdown().await;
    drop(lock);
    result?;
    farewell(ctx, &layout, running);
    Ok(exit::OK)
}

async fn start(args: &Args, layout: &Layout, checklist: &Checklist, ctx: &mut Ctx) -> Outcome<Cluster> {
    let listener = plane::listen(args.listen)?;
    let store = plane::open_store(layout).await?;
    checklist.done(&mut ctx.term, "store", "");
    let plane = Plane::start(layout, store, listener, &args.tls_san, &args.limits, &args.means).await?;
    checklist.done(&mut ctx.term, "API", &plane.url);
    let name = args.node.name();
    let stop_controllers = CancellationToken::new();
    let identity = format!("{}:{}", process::host_name(), layout.root.display());
    let mut options = Options::new(identity, stop_controllers.clone());
    options.authority = Some(signing::open(&layout.pki().join("ca.crt"), &layout.pki().join("ca.key"))?);
    let controllers = berth_controllers::run(plane.api.client(UserInfo::controllers()), options);
    let controllers = controllers.await.map_err(|e| failed("could not start the controllers", &e))?;
    let names = args.node.names(args.agent_listen);
    let identity = plane.pki.node(&name, &names).map_err(|e| failed("could not make the agent's certificate", &e))?;
    let showing = Reloading::new(&identity.certificate_pem, &identity.key_pem)?;
    let tls = berth_agent::server_config(
        identity.certificate_pem.as_bytes(),
        identity.key_pem.as_bytes(),
        plane.pki.ca_pem().as_bytes(),
    )
    .map_err(|e| failed("could not use the agent's certificate", &e))?;
    let config = args.node.config(&layout.root, &layout.agent(), args.agent_listen, showing.server(tls))?;
    let node = name.clone();
    plane.renew(layout, vec![Kept::new(showing, move |pki| pki.node(&node, &names))]);
    let agent = Agent::start(plane.api.client(UserInfo::node(&name)), config);
    let agent = agent
        .await
        .map_err(|e| failed("could not start the agent", &e).hint("another port: --agent-listen 127.0.0.1:0"))?;
    controllers.wait_ready().await;
    checklist.done(&mut ctx.term, "controllers", "");
    Ok(Cluster { plane, agent, controllers, stop_controllers })
}

/// Waits until tasks can be placed here.
async fn node_ready(session: &Session, name: &str, ctx: &mut Ctx) -> Outcome<()> {
    let selector = ("fieldSelector".to_owned(), format!("metadata.name={name}"));
    let mut watch = Watch::new(session.clone(), kinds::ours("Node").list_path(None), vec![selector]);
    let mut patience = tokio::time::interval_at(tokio::time::Instant::now() + PATIENCE, PATIENCE);
    loop {
        let change = tokio::select! {
            change = watch.next() => change?,
            _ = patience.tick() => {
                ctx.term.say(&format!("  … still waiting for node {name}; --log-level info tells more"));
                continue;
            }
        };
        let ready = match &change {
            Change::Listed(list) => list["items"].as_array().into_iter().flatten().any(is_ready),
            Change::Added(node) | Change::Modified(node) => is_ready(node),
            Change::Deleted(_) => false,
        };
        if ready {
            return Ok(());
        }
    }
}

fn summary(ctx: &mut Ctx, layout: &Layout, cluster: &Cluster, checklist: &Checklist) {
    let ready = ctx.term.paint_err(Paint::Good, &format!("ready in {}", checklist.time()));
    ctx.term.say(&ready);
    ctx.term.say("");
    ctx.term.say(&format!("API         {}", cluster.plane.url));
    ctx.term.say(&format!("kubeconfig  {}", layout.admin_kubeconfig().display()));
    ctx.term.say(&format!("token       {}", layout.tokens().display()));
    ctx.term.say("");
    ctx.term.say(&ctx.term.paint_err(Paint::Bold, "Next, in another terminal:"));
    if layout.root != paths::default_data_dir() {
        ctx.term.say(&format!("  export KUBECONFIG={}", layout.admin_kubeconfig().display()));
    }
    ctx.term.say("  berth apply -f manifests/examples/hello.yaml");
    ctx.term.say("  berth get services");
    ctx.term.say("  berth logs -f hello");
}

/// Tasks that go on without us; 0 when it cannot be told.
async fn tasks_running(session: &Session) -> usize {
    let path = format!("{}?limit=5000&fieldSelector=status.phase%3DRunning", kinds::ours("Task").list_path(None));
    let list = tokio::time::timeout(Duration::from_secs(1), session.get(&path)).await;
    list.ok().and_then(Result::ok).and_then(|l| l["items"].as_array().map(Vec::len)).unwrap_or(0)
}

fn farewell(ctx: &mut Ctx, layout: &Layout, running: usize) {
    let dir = if layout.root == paths::default_data_dir() {
        String::new()
    } else {
        format!(" --data-dir {}", layout.root.display())
    };
    if running == 0 {
        ctx.term.say("stopped");
        return;
    }
    let tasks = crate::text::count(running, "task");
    ctx.term.say(&format!("stopped; {tasks} keep{} running", if running == 1 { "s" } else { "" }));
    ctx.term.say(&format!("  take over again:  berth up{dir}"));
    ctx.term.say(&format!("  end everything:   berth down{dir} --purge"));
}
