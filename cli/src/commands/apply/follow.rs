//! Waits until what was applied runs: one line an instance, and the likely reason when it takes long.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use berth_client::{Change, ClientError, Resource, Session, Watch};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::{Item, Verdict};
use crate::commands::ready::{Progress, progress};
use crate::commands::shared::{is_true, name, number, text};
use crate::commands::why::cause;
use crate::ctx::Ctx;
use crate::failure::{Failure, Outcome, exit};
use crate::kinds;
use crate::term::Paint;
use crate::text::age;

/// When to say why it takes long.
const PATIENCE: Duration = Duration::from_secs(10);
/// Changes that wait to be looked at; a watch that finds it full waits itself.
const CHANGES_MAX: usize = 256;

/// An object that must become what its spec says.
#[derive(Clone, Debug)]
pub(crate) struct Goal {
    pub(crate) resource: Resource,
    pub(crate) namespace: String,
    pub(crate) name: String,
    generation: i64,
    new: bool,
    waits: bool,
}

impl Goal {
    pub(crate) fn new(item: &Item, object: &Value, verdict: Verdict) -> Self {
        Self {
            resource: item.resource.clone(),
            namespace: item.namespace.clone(),
            name: item.document.name().to_owned(),
            generation: number(object, &["metadata", "generation"]),
            new: verdict == Verdict::Created,
            waits: matches!(item.resource.kind.as_str(), "Service" | "Job" | "JobRun" | "Task")
                && item.resource.group == berth_types::GROUP,
        }
    }

    /// A goal about an object as it is now: for `rollout status`.
    pub(crate) fn of(found: &crate::commands::shared::Found, object: &Value) -> Self {
        Self {
            resource: found.resource.clone(),
            namespace: found.namespace.clone(),
            name: found.name.clone(),
            generation: number(object, &["metadata", "generation"]),
            new: false,
            waits: true,
        }
    }

    fn title(&self) -> String {
        kinds::title(&self.resource, &self.name)
    }

    fn label(&self) -> Option<&'static str> {
        match self.resource.kind.as_str() {
            "Service" => Some(berth_types::names::LABEL_SERVICE),
            "Job" => Some(berth_types::names::LABEL_JOB),
            "JobRun" => Some(berth_types::names::LABEL_JOB_RUN),
            _ => None,
        }
    }
}

/// What the watches have told so far.
#[derive(Default)]
struct Seen {
    /// By kind, namespace, name.
    objects: BTreeMap<(String, String, String), Value>,
    tasks: BTreeMap<(String, String), Value>,
    /// Lines that were printed, so that none comes twice.
    told: BTreeSet<String>,
}

/// Where a change comes from.
#[derive(Clone, Debug)]
enum Source {
    Objects(String),
    Tasks,
}

/// Waits for all goals.
///
/// # Errors
/// With code 5 when the time is over, 130 on Ctrl-C, 1 when an object has failed for good.
pub(crate) async fn until_done(
    ctx: &mut Ctx,
    session: &Session,
    goals: Vec<Goal>,
    started: Instant,
    timeout: Duration,
) -> Outcome {
    let mut open: Vec<Goal> = goals.into_iter().filter(|g| g.waits).collect();
    if open.is_empty() {
        return Ok(exit::OK);
    }
    let (sender, mut changes) = mpsc::channel(CHANGES_MAX);
    let mut watches = JoinSet::new();
    for (source, watch) in plan_watches(session, &open) {
        watches.spawn(pump(source, watch, sender.clone()));
    }
    drop(sender);
    let mut seen = Seen::default();
    let mut failed = false;
    let mut reason_at = tokio::time::Instant::from_std(started + PATIENCE);
    let end = tokio::time::Instant::from_std(started + timeout);
    let interrupt = tokio::signal::ctrl_c();
    tokio::pin!(interrupt);
    loop {
        tokio::select! {
            change = changes.recv() => {
                let Some((source, change)) = change else { return Err(Failure::new("the watches ended")) };
                let first = seen.take(&source, change?, &open);
                tell_tasks(ctx, &open, &mut seen, started, first);
                open.retain(|goal| !judge(ctx, goal, &seen, started, &mut failed));
                if open.is_empty() {
                    return Ok(if failed { exit::ERROR } else { exit::OK });
                }
            }
            () = tokio::time::sleep_until(reason_at) => {
                tell_reasons(ctx, &open, &seen);
                reason_at += PATIENCE * 6;
            }
            () = tokio::time::sleep_until(end) => {
                ctx.term.say(&format!("timed out after {}", age::elapsed(timeout)));
                tell_reasons(ctx, &open, &seen);
                return Err(Failure::silent(exit::TIMED_OUT));
            }
            _ = &mut interrupt => {
                ctx.term.say("\nno longer watching; the cluster goes on by itself. Come back with:");
                for goal in &open {
                    let verb = if goal.resource.kind == "Service" { "rollout status" } else { "why" };
                    ctx.term.say(&format!("  berth {verb} {} {}", goal.resource.singular, goal.name));
                }
                return Err(Failure::silent(exit::INTERRUPTED));
            }
        }
    }
}

fn plan_watches(session: &Session, goals: &[Goal]) -> Vec<(Source, Watch)> {
    let mut kinds: BTreeMap<(String, String), Vec<&Goal>> = BTreeMap::new();
    let mut tasks: BTreeMap<(String, &str), Vec<&str>> = BTreeMap::new();
    for goal in goals {
        kinds.entry((goal.resource.kind.clone(), goal.namespace.clone())).or_default().push(goal);
        if let Some(label) = goal.label() {
            tasks.entry((goal.namespace.clone(), label)).or_default().push(&goal.name);
        }
    }
    let mut watches = Vec::new();
    for ((kind, namespace), goals) in kinds {
        let path = goals[0].resource.list_path(Some(&namespace));
        let one = (goals.len() == 1).then(|| ("fieldSelector".to_owned(), format!("metadata.name={}", goals[0].name)));
        watches.push((Source::Objects(kind), Watch::new(session.clone(), path, one.into_iter().collect())));
    }
    for ((namespace, label), names) in tasks {
        let path = kinds::ours("Task").list_path(Some(&namespace));
        let selector = ("labelSelector".to_owned(), format!("{label} in ({})", names.join(",")));
        watches.push((Source::Tasks, Watch::new(session.clone(), path, vec![selector])));
    }
    watches
}

async fn pump(source: Source, mut watch: Watch, to: mpsc::Sender<(Source, Result<Change, ClientError>)>) {
    loop {
        let change = watch.next().await;
        let last = change.is_err();
        if to.send((source.clone(), change)).await.is_err() || last {
            return;
        }
    }
}

impl Seen {
    /// Takes a change in; says whether it is a list.
    fn take(&mut self, source: &Source, change: Change, goals: &[Goal]) -> bool {
        let listed = matches!(change, Change::Listed(_));
        let gone = matches!(change, Change::Deleted(_));
        let objects = match change {
            Change::Listed(mut list) => match list["items"].take() {
                Value::Array(items) => items,
                _ => vec![],
            },
            Change::Added(o) | Change::Modified(o) | Change::Deleted(o) => vec![o],
        };
        for mut object in objects {
            let namespace = text(&object, &["metadata", "namespace"]).to_owned();
            let name = name(&object).to_owned();
            match source {
                Source::Tasks if gone => {
                    self.tasks.remove(&(namespace, name));
                }
                Source::Tasks => {
                    self.tasks.insert((namespace, name), object);
                }
                Source::Objects(kind) => {
                    // Items of a list may come without their kind.
                    object["kind"] = kind.clone().into();
                    if let Some(goal) = goals.iter().find(|g| g.resource.kind == *kind) {
                        object["apiVersion"] = goal.resource.api_version().into();
                    }
                    self.objects.insert((kind.clone(), namespace, name), object);
                }
            }
        }
        listed
    }

    fn object(&self, goal: &Goal) -> Option<&Value> {
        self.objects.get(&(goal.resource.kind.clone(), goal.namespace.clone(), goal.name.clone()))
    }

    fn tasks_of<'a>(&'a self, goal: &'a Goal) -> impl Iterator<Item = &'a Value> {
        let label = goal.label();
        self.tasks
            .iter()
            .filter(move |((namespace, _), _)| *namespace == goal.namespace)
            .map(|(_, task)| task)
            .filter(move |task| label.is_some_and(|label| task["metadata"]["labels"][label] == goal.name.as_str()))
    }
}

/// One line for each instance that became ready, or failed.
fn tell_tasks(ctx: &mut Ctx, goals: &[Goal], seen: &mut Seen, started: Instant, listed: bool) {
    let took = age::elapsed(started.elapsed());
    let mut lines = Vec::new();
    for goal in goals {
        // What ran before we came is no news.
        let silent = listed && !goal.new;
        for task in seen.tasks_of(goal) {
            let (key, line) = if let Some(cause) = cause::failure(task) {
                let line = format!("  {} task/{} {cause} ({took})", ctx.term.paint_err(Paint::Bad, "✗"), name(task));
                (format!("{} failed", name(task)), line)
            } else if is_true(task, "Ready") || text(task, &["status", "phase"]) == "Succeeded" {
                let word = if is_true(task, "Ready") { "ready" } else { "succeeded" };
                let node = text(task, &["spec", "nodeName"]);
                let mark = ctx.term.paint_err(Paint::Good, "✓");
                (format!("{} {word}", name(task)), format!("  {mark} task/{} {word} on {node} ({took})", name(task)))
            } else {
                continue;
            };
            lines.push((key, (!silent).then_some(line)));
        }
    }
    for (key, line) in lines {
        if seen.told.insert(key)
            && let Some(line) = line
        {
            ctx.term.say(&line);
        }
    }
}

/// Whether the goal needs no more waiting; says so.
fn judge(ctx: &mut Ctx, goal: &Goal, seen: &Seen, started: Instant, failed: &mut bool) -> bool {
    let Some(object) = seen.object(goal) else { return false };
    if number(object, &["metadata", "generation"]) < goal.generation {
        return false;
    }
    match progress(object) {
        Progress::Waiting(_) => false,
        Progress::Done(what) => {
            ctx.term.say(&format!("{}: {what} ({})", goal.title(), age::elapsed(started.elapsed())));
            true
        }
        Progress::Failed(why) => {
            *failed = true;
            let word = ctx.term.paint_err(Paint::Bad, "failed");
            ctx.term.say(&format!("{} {word}: {why}", goal.title()));
            ctx.term.say(&format!(" hint: berth why {} {}", goal.resource.singular, goal.name));
            true
        }
    }
}

fn tell_reasons(ctx: &mut Ctx, goals: &[Goal], seen: &Seen) {
    for goal in goals {
        let missing = match seen.object(goal).map(progress) {
            Some(Progress::Waiting(what)) => what,
            _ => "it is not there yet".to_owned(),
        };
        ctx.term.say(&format!("still waiting for {}: {missing}", goal.title()));
        let tasks: Vec<&Value> = seen.tasks_of(goal).collect();
        if let Some(reason) = cause::likely(seen.object(goal), &tasks) {
            ctx.term.say(&format!("  likely because {reason}"));
        }
        let namespace = if goal.namespace == "default" { String::new() } else { format!(" -n {}", goal.namespace) };
        ctx.term.say(&format!("  more: berth why {} {}{namespace}", goal.resource.singular, goal.name));
    }
}
