//! `berth delete`: removes objects and waits until nothing of them is left, tasks and processes included.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use berth_client::session::JSON;
use berth_client::{Change, ClientError, Session, Watch};
use berth_types::names;
use http::Method;
use serde_json::{Value, json};

use super::shared::{self, Found, Selector, name, text};
use crate::ctx::Ctx;
use crate::failure::{Failure, Outcome, exit};
use crate::kinds::{self, target};
use crate::manifest::Files;
use crate::term::Paint;
use crate::text::{age, count};

/// When to say what is still there.
const PATIENCE: Duration = Duration::from_secs(10);

/// Options of `delete`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  berth delete -f hello.yaml\n  berth delete service hello\n  berth delete tasks -l app=web --now\n\n\
                        Processes get SIGTERM, and SIGKILL after their grace period."
)]
pub(crate) struct Args {
    /// KIND NAME…, KIND/NAME…, or KIND with -l or --all
    #[arg(value_name = "WHAT")]
    targets: Vec<String>,
    #[command(flatten)]
    files: Files,
    #[command(flatten)]
    selector: Selector,
    /// All objects of the kind in the namespace
    #[arg(long)]
    all: bool,
    /// What becomes of what the object owns: background, foreground or orphan
    #[arg(long, value_name = "HOW", default_value = "background", value_parser = ["background", "foreground", "orphan"])]
    cascade: String,
    /// Wait until nothing is left
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_value_t = true, default_missing_value = "true", action = clap::ArgAction::Set)]
    wait: bool,
    /// Do not wait
    #[arg(long)]
    no_wait: bool,
    /// How long to wait
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = age::parse_argument)]
    timeout: Duration,
    /// Seconds that processes get to stop, instead of their own
    #[arg(long, value_name = "SECONDS")]
    grace_period: Option<u32>,
    /// As --grace-period 1
    #[arg(long, conflicts_with = "grace_period")]
    now: bool,
    /// As --grace-period 0
    #[arg(long, conflicts_with_all = ["grace_period", "now"])]
    force: bool,
    /// No error when an object is not there
    #[arg(long)]
    ignore_not_found: bool,
    /// server: let the server answer without deleting
    #[arg(long, value_name = "WHERE", num_args = 0..=1, default_missing_value = "server", default_value = "none")]
    #[arg(value_parser = ["none", "server"])]
    dry_run: String,
    /// Print names only
    #[arg(short, long, value_name = "FORMAT", value_parser = ["name"])]
    output: Option<String>,
}

pub(crate) async fn run(args: Args, ctx: &mut Ctx) -> Outcome {
    let started = Instant::now();
    let session = ctx.session().await?;
    let (all, mut code) = complete(&args, ctx, &session).await?;
    let tasks = owned_tasks(&session, &args, &all).await?;
    let mut left = BTreeSet::new();
    let mut body = json!({"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": policy(&args.cascade)});
    let grace = if args.force {
        Some(0)
    } else if args.now {
        Some(1)
    } else {
        args.grace_period
    };
    if let Some(seconds) = grace {
        body["gracePeriodSeconds"] = seconds.into();
    }
    if args.dry_run == "server" {
        body["dryRun"] = json!(["All"]);
    }
    for found in &all {
        match session.write(Method::DELETE, &found.path(), JSON, &body).await {
            Ok(_) => {
                let remark = if args.dry_run == "server" { " (server dry run)" } else { "" };
                let title =
                    if args.output.is_some() { found.title() } else { format!("{} deleted{remark}", found.title()) };
                ctx.term.line(&title)?;
                left.insert(Key::of(found));
            }
            Err(error) if error.is_not_found() => {
                if !args.ignore_not_found {
                    code = exit::NOT_FOUND;
                    ctx.term.say(&format!("{} {error}", ctx.term.paint_err(Paint::Bad, "error:")));
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
    ctx.term.flush()?;
    if !args.wait || args.no_wait || args.dry_run == "server" {
        return Ok(code);
    }
    // Tasks whose owner was not deleted by us stay.
    left.extend(tasks.iter().map(Key::of));
    if grace.is_some() {
        hurry(&session, &tasks, &body).await?;
    }
    wait_gone(ctx, &session, left, &all, &tasks, started, args.timeout).await?;
    Ok(code)
}

fn policy(cascade: &str) -> &'static str {
    match cascade {
        "foreground" => "Foreground",
        "orphan" => "Orphan",
        _ => "Background",
    }
}

/// What to delete, and the exit code so far: kinds that the server does not know are told here.
async fn complete(args: &Args, ctx: &mut Ctx, session: &Session) -> Outcome<(Vec<Found>, u8)> {
    let mut all = Vec::new();
    let mut code = exit::OK;
    if !args.files.files.is_empty() {
        for document in args.files.load(&mut ctx.term)? {
            let Ok(resource) = ctx.kinds.of_manifest(session, document.api_version(), document.kind()).await else {
                if !args.ignore_not_found {
                    code = exit::NOT_FOUND;
                    let error = ctx.term.paint_err(Paint::Bad, "error:");
                    let (file, kind, version) = (&document.file, document.kind(), document.api_version());
                    ctx.term.say(&format!(
                        "{error} {file}: {kind} {:?}: the server has no kind {kind} in {version}",
                        document.name()
                    ));
                }
                continue;
            };
            let namespace = match document.namespace() {
                Some(own) => own.to_owned(),
                None => ctx.namespace().await?,
            };
            all.push(Found { resource, namespace, name: document.name().to_owned() });
        }
        // What others stand on was made first and goes last.
        all.reverse();
        return Ok((all, code));
    }
    let targets = target::parse(&args.targets)?;
    for (kind, name) in &targets.objects {
        all.push(shared::found(ctx, kind, name).await?);
    }
    for kind in &targets.kinds {
        if !args.all && args.selector.is_empty() {
            return Err(Failure::usage("name the objects, or choose them with -l, or take --all"));
        }
        let found = shared::found(ctx, kind, "").await?;
        let path = found.resource.list_path(Some(&found.namespace));
        let list = shared::list(session, &path, &args.selector.parameters(), JSON).await?;
        let items = shared::items(&found.resource, list);
        all.extend(items.iter().map(|o| Found { name: name(o).to_owned(), ..found.clone() }));
    }
    if all.is_empty() {
        if targets.kinds.is_empty() {
            return Err(Failure::usage("say what to delete: berth delete KIND NAME, or -f FILE"));
        }
        ctx.term.say("nothing found to delete");
    }
    Ok((all, code))
}

/// The tasks that go with their owners: they are waited for, too, because a task is gone only when its processes are.
async fn owned_tasks(session: &Session, args: &Args, all: &[Found]) -> Outcome<Vec<Found>> {
    let task = kinds::ours("Task");
    if args.cascade == "orphan" {
        return Ok(vec![]);
    }
    let mut tasks = Vec::new();
    for found in all.iter().filter(|f| f.resource.group == berth_types::GROUP) {
        let label = match found.resource.kind.as_str() {
            "Service" => names::LABEL_SERVICE,
            "Job" => names::LABEL_JOB,
            "JobRun" => names::LABEL_JOB_RUN,
            _ => continue,
        };
        let parameters = [("labelSelector".to_owned(), format!("{label}={}", found.name))];
        let list = shared::list(session, &task.list_path(Some(&found.namespace)), &parameters, JSON).await?;
        let owned = shared::items(task, list);
        tasks.extend(owned.iter().map(|t| Found {
            resource: task.clone(),
            namespace: found.namespace.clone(),
            name: name(t).to_owned(),
        }));
    }
    Ok(tasks)
}

/// The grace period of an owner means its tasks': each is told itself.
async fn hurry(session: &Session, tasks: &[Found], body: &Value) -> Outcome<()> {
    let answers =
        shared::parallel(tasks, |t| async move { session.write(Method::DELETE, &t.path(), JSON, body).await }).await;
    for answer in answers {
        match answer {
            Err(error) if !error.is_not_found() => return Err(error.into()),
            _ => {}
        }
    }
    Ok(())
}

/// An object that is waited for, in an order that prints well.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    list: String,
    namespace: String,
    name: String,
    title: String,
}

impl Key {
    fn of(found: &Found) -> Self {
        Self {
            list: found.resource.list_path(Some(&found.namespace)),
            namespace: if found.resource.namespaced { found.namespace.clone() } else { String::new() },
            name: found.name.clone(),
            title: found.title(),
        }
    }
}

async fn wait_gone(
    ctx: &mut Ctx,
    session: &Session,
    mut left: BTreeSet<Key>,
    all: &[Found],
    tasks: &[Found],
    started: Instant,
    timeout: Duration,
) -> Outcome<()> {
    let lists: BTreeSet<String> = all.iter().chain(tasks).map(|f| f.resource.list_path(Some(&f.namespace))).collect();
    let (sender, mut changes) = tokio::sync::mpsc::channel::<(String, Result<Change, ClientError>)>(256);
    let mut watches = tokio::task::JoinSet::new();
    for list in lists {
        let mut watch = Watch::new(session.clone(), list.clone(), vec![]);
        let sender = sender.clone();
        watches.spawn(async move {
            loop {
                let change = watch.next().await;
                let last = change.is_err();
                if sender.send((list.clone(), change)).await.is_err() || last {
                    return;
                }
            }
        });
    }
    let end = tokio::time::Instant::from_std(started + timeout);
    let mut remind = tokio::time::Instant::now() + PATIENCE;
    while !left.is_empty() {
        let gone: Vec<Key> = tokio::select! {
            change = changes.recv() => {
                let Some((list, change)) = change else { break };
                match change {
                    Ok(Change::Listed(there)) => {
                        let names: BTreeSet<&str> = there["items"].as_array().into_iter().flatten().map(name).collect();
                        left.iter().filter(|k| k.list == list && !names.contains(k.name.as_str())).cloned().collect()
                    }
                    Ok(Change::Deleted(object)) => {
                        let is = |k: &&Key| k.list == list && k.name == name(&object) && k.namespace == text(&object, &["metadata", "namespace"]);
                        left.iter().filter(is).cloned().collect()
                    }
                    Ok(_) => vec![],
                    // The kind itself went: so did its objects.
                    Err(error) if error.is_not_found() => left.iter().filter(|k| k.list == list).cloned().collect(),
                    Err(error) => return Err(error.into()),
                }
            }
            () = tokio::time::sleep_until(remind) => {
                remind += PATIENCE;
                let names: Vec<&str> = left.iter().take(5).map(|k| k.title.as_str()).collect();
                ctx.term.say(&format!("still there: {}{}", names.join(", "), if left.len() > 5 { ", …" } else { "" }));
                vec![]
            }
            () = tokio::time::sleep_until(end) => {
                let first = left.iter().next().map(|k| k.title.clone()).unwrap_or_default();
                return Err(Failure::new(format!("{} still there after {}", count(left.len(), "object"), age::elapsed(timeout)))
                    .code(exit::TIMED_OUT)
                    .hint(format!("berth describe {first}")));
            }
        };
        for key in gone {
            left.remove(&key);
            if key.title.starts_with("task/") {
                let mark = ctx.term.paint_err(Paint::Good, "✓");
                ctx.term.say(&format!("  {mark} {} gone ({})", key.title, age::elapsed(started.elapsed())));
            }
        }
    }
    Ok(())
}
