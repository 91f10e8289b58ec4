//! `berth cordon`, `uncordon`, `drain`: taking a node out of use, politely.

use std::time::{Duration, Instant};

use berth_client::session::{JSON, MERGE_PATCH};
use berth_client::{Change, Session, Watch};
use http::Method;
use serde_json::{Value, json};

use super::shared::{self, Found, name, text};
use crate::ctx::Ctx;
use crate::failure::{Failure, Outcome, exit};
use crate::kinds;
use crate::term::Paint;
use crate::text::{age, count};

/// Options of `cordon` and `uncordon`.
#[derive(Debug, clap::Args)]
pub(crate) struct CordonArgs {
    /// Names of nodes
    #[arg(value_name = "NODE", required = true)]
    nodes: Vec<String>,
}

/// Options of `drain`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  berth drain n1\n  berth drain n1 --timeout 10m\n\nTasks get their grace period to stop; \
                        their owners replace them on other nodes."
)]
pub(crate) struct DrainArgs {
    /// Names of nodes
    #[arg(value_name = "NODE", required = true)]
    nodes: Vec<String>,
    /// How long to wait until the tasks are gone
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = age::parse_argument)]
    timeout: Duration,
    /// Seconds that each task gets to stop, instead of its own
    #[arg(long, value_name = "SECONDS")]
    grace_period: Option<u32>,
    /// Only say what would be stopped
    #[arg(long)]
    dry_run: bool,
}

fn node(argument: &str) -> Found {
    let name = argument.rsplit('/').next().unwrap_or(argument);
    Found { resource: kinds::ours("Node").clone(), namespace: String::new(), name: name.to_owned() }
}

pub(crate) async fn cordon(args: CordonArgs, ctx: &mut Ctx, on: bool) -> Outcome {
    let session = ctx.session().await?;
    for argument in &args.nodes {
        set(ctx, &session, &node(argument), on).await?;
    }
    Ok(exit::OK)
}

async fn set(ctx: &mut Ctx, session: &Session, found: &Found, on: bool) -> Outcome<()> {
    let object = super::get::object(session, found).await?;
    let already = (object["spec"]["unschedulable"] == true) == on;
    if !already {
        let target = format!("{}?fieldManager=berth-cordon", found.path());
        session.write(Method::PATCH, &target, MERGE_PATCH, &json!({"spec": {"unschedulable": on}})).await?;
    }
    let word = if on { "cordoned" } else { "uncordoned" };
    let already = if already { "already " } else { "" };
    Ok(ctx.term.line(&format!("{} {already}{word}", found.title()))?)
}

pub(crate) async fn drain(args: DrainArgs, ctx: &mut Ctx) -> Outcome {
    let session = ctx.session().await?;
    let started = Instant::now();
    for argument in &args.nodes {
        let found = node(argument);
        if !args.dry_run {
            set(ctx, &session, &found, true).await?;
        }
        let work = empty(ctx, &session, &args, &found, started);
        match tokio::time::timeout(args.timeout, work).await {
            Ok(done) => done?,
            Err(_) => {
                return Err(Failure::new(format!(
                    "tasks are left on {} after {}",
                    found.title(),
                    age::elapsed(args.timeout)
                ))
                .code(exit::TIMED_OUT)
                .hint(format!("berth get tasks -A --field-selector spec.nodeName={}", found.name)));
            }
        }
    }
    Ok(exit::OK)
}

async fn empty(ctx: &mut Ctx, session: &Session, args: &DrainArgs, found: &Found, started: Instant) -> Outcome<()> {
    let task = kinds::ours("Task");
    let parameters = vec![("fieldSelector".to_owned(), format!("spec.nodeName={}", found.name))];
    let list = shared::list(session, &task.list_path(None), &parameters, JSON).await?;
    let position = text(&list, &["metadata", "resourceVersion"]).to_owned();
    let mut left: Vec<(String, String)> = Vec::new();
    for object in shared::items(task, list) {
        let key = (text(&object, &["metadata", "namespace"]).to_owned(), name(&object).to_owned());
        if args.dry_run {
            ctx.term.line(&format!("task/{} -n {} would be stopped", key.1, key.0))?;
            continue;
        }
        let mut body = json!({"kind": "DeleteOptions", "apiVersion": "v1"});
        if let Some(seconds) = args.grace_period {
            body["gracePeriodSeconds"] = seconds.into();
        }
        match session.write(Method::DELETE, &task.path(&key.0, &key.1), JSON, &body).await {
            Ok(_) => left.push(key),
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error.into()),
        }
    }
    if args.dry_run {
        return Ok(());
    }
    ctx.term.say(&format!("stopping {}", count(left.len(), "task")));
    let mut watch = Watch::new(session.clone(), task.list_path(None), parameters).from_position(&position);
    let is = |key: &(String, String), object: &Value| {
        key.0 == text(object, &["metadata", "namespace"]) && key.1 == name(object)
    };
    while !left.is_empty() {
        let gone: Vec<(String, String)> = match watch.next().await? {
            Change::Deleted(object) => left.iter().filter(|k| is(k, &object)).cloned().collect(),
            Change::Listed(list) => {
                let there = shared::items(task, list);
                left.iter().filter(|k| !there.iter().any(|o| is(k, o))).cloned().collect()
            }
            Change::Added(_) | Change::Modified(_) => vec![],
        };
        for key in gone {
            let mark = ctx.term.paint_err(Paint::Good, "✓");
            ctx.term.say(&format!("  {mark} task/{} gone ({})", key.1, age::elapsed(started.elapsed())));
            left.retain(|k| *k != key);
        }
    }
    Ok(ctx.term.line(&format!("{} drained", found.title()))?)
}
