//! What a worker has done for it: each job waits for something and ends by sending an event.

use std::sync::Arc;
use std::time::Duration;

use berth_types::{Container, ContainerStatus, Task};
use futures::future::join_all;
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::hooks::launch::{container_id, container_spec};
use super::hooks::sandbox::Directories;
use super::hooks::{HookError, sources};
use super::ledger::{self, Ledger};
use super::ports;
use super::state::{Adopted, Event, Exit};
use super::worker::Context;
use crate::events::Level;
use crate::logs;
use crate::probe::{Kind, Prober, Turn, Word};
use crate::runtime::{Found, RuntimeError};

/// Reason of a start that was given up before the launch.
pub(super) const ABANDONED: &str = "NotStarted";
/// First pause before something missing is looked for again; it doubles.
const BLOCKED_MIN: Duration = Duration::from_millis(500);
/// Longest such pause: how late a created ConfigMap may be noticed.
const BLOCKED_MAX: Duration = Duration::from_secs(10);
/// First pause before an order to the runtime is repeated; it doubles.
const RETRY_MIN: Duration = Duration::from_millis(100);
/// Longest such pause.
const RETRY_MAX: Duration = Duration::from_secs(10);
/// Words of a container's probers that may wait to be judged.
const WORD_QUEUE: usize = 4;
/// A postStart hook must be done by then.
const POST_START_MAX: Duration = Duration::from_secs(120);

/// Brings one container from "not started" to its end.
pub(super) struct Start {
    pub(super) ctx: Arc<Context>,
    pub(super) task: Arc<Task>,
    pub(super) container: Container,
    pub(super) index: usize,
    pub(super) dirs: Directories,
    pub(super) ledger: Arc<Mutex<Ledger>>,
    pub(super) recovered: bool,
    pub(super) events: mpsc::Sender<Event>,
}

impl Start {
    pub(super) async fn run(self, cancel: CancellationToken) {
        let id = container_id(self.task.metadata.uid.as_deref().unwrap_or_default(), &self.container.name);
        let known = match self.recover(&id).await {
            Some(Recovered::Over(exit)) => return self.send(Event::Exited { container: self.index, exit }).await,
            Some(Recovered::There) => true,
            None => false,
        };
        if !known && !self.launch(&cancel).await {
            return;
        }
        let exit = match self.ctx.runtime.wait(&id).await {
            Ok(exit) => exit,
            Err(error) => Exit::lost("LauncherLost", error.message),
        };
        self.ended(&id, exit).await;
    }

    /// What an earlier life of the agent left of this container. A fresh task asks nobody.
    async fn recover(&self, id: &str) -> Option<Recovered> {
        let ran = self.told().is_some_and(|c| c.container_id.is_some());
        if !self.recovered && !ran {
            return None;
        }
        let (record, same_boot) = {
            let ledger = self.ledger.lock();
            (
                ledger.containers.get(&self.container.name).cloned().unwrap_or_default(),
                ledger.boot_id == self.ctx.boot_id,
            )
        };
        if let Some(exit) = record.exit {
            return Some(Recovered::Over(exit));
        }
        match self.ctx.runtime.find(id).await {
            Ok(Some(Found::Running(launched))) => {
                let (pid, at) = (launched.pid, launched.at);
                self.send(Event::Started { container: self.index, pid, at, adopted: Some(self.before()) }).await;
                Some(Recovered::There)
            }
            Ok(Some(Found::Ended(_))) => Some(Recovered::There),
            Ok(None) if record.launched && !same_boot => {
                Some(Recovered::Over(Exit::lost("NodeRestarted", "the node was restarted while the container ran")))
            }
            // In the same boot the runtime knows all that was launched: this launch never happened.
            Ok(None) if record.launched || !ran => None,
            Ok(None) => Some(Recovered::Over(Exit::lost(
                "LauncherLost",
                "nothing is left of the container on the node: its exit code is not known",
            ))),
            Err(error) => {
                tracing::warn!(container = id, %error, "the runtime could not tell of a container");
                None
            }
        }
    }

    /// What the API server was last told of this container.
    fn told(&self) -> Option<&ContainerStatus> {
        self.task.status.as_ref()?.containers.iter().find(|c| c.name == self.container.name)
    }

    fn before(&self) -> Adopted {
        self.told().map_or_else(Adopted::default, |c| Adopted { started: c.started == Some(true), ready: c.ready })
    }

    /// Prepares and launches; waits for what is missing. `false`: it will not run, and that was told.
    async fn launch(&self, cancel: &CancellationToken) -> bool {
        let begin = Instant::now();
        let mut pause = BLOCKED_MIN;
        let spec = loop {
            if cancel.is_cancelled() {
                self.failed(ABANDONED, "the task was stopped before the container was started").await;
                return false;
            }
            match self.prepare(Ports::MustBeFree).await {
                Ok(spec) => break spec,
                // Its own container, which an earlier agent started and could not note?
                Err(HookError::Invalid { reason: ports::PORT_TAKEN, .. }) if self.is_there().await => {
                    match self.prepare(Ports::MayBeOurs).await {
                        Ok(spec) => break spec,
                        Err(error) => {
                            self.failed("StartError", &error.to_string()).await;
                            return false;
                        }
                    }
                }
                Err(HookError::Invalid { reason, message }) => {
                    self.failed(reason, &message).await;
                    return false;
                }
                Err(HookError::Waiting { reason, message }) => {
                    let reason = reason.to_owned();
                    self.send(Event::Blocked { container: self.index, reason, message }).await;
                    let _ = tokio::time::timeout(pause, cancel.cancelled()).await;
                    pause = (pause * 2).min(BLOCKED_MAX);
                }
            }
        };
        match self.ctx.runtime.launch(spec).await {
            Ok(launched) => {
                self.ctx.metrics.launches.with_label_values(&["ok"]).inc();
                self.ctx.metrics.launch_seconds.observe(begin.elapsed().as_secs_f64());
                tracing::info!(
                    task = self.task.metadata.name,
                    container = self.container.name,
                    pid = launched.pid,
                    "container started"
                );
                let adopted = launched.adopted.then(|| self.before());
                let event = Event::Started { container: self.index, pid: launched.pid, at: launched.at, adopted };
                self.send(event).await;
                true
            }
            Err(error) => {
                self.ctx.metrics.launches.with_label_values(&["failed"]).inc();
                self.failed(&error.reason, &error.message).await;
                false
            }
        }
    }

    /// All that comes before the launch. Files and directories: not on the threads that everything else waits for.
    async fn prepare(&self, ports: Ports) -> Result<berth_container::ContainerSpec, HookError> {
        let sources = sources::load(&*self.ctx.source, &self.task, &self.container).await?;
        let (ctx, task, container) = (self.ctx.clone(), self.task.clone(), self.container.clone());
        let (dirs, ledger) = (self.dirs.clone(), self.ledger.clone());
        let prepared = tokio::task::spawn_blocking(move || {
            let spec = container_spec(&task, &container, &dirs, &ctx.settings, &sources)?;
            if ports == Ports::MustBeFree {
                let own = task.spec.allocated_ports.iter().filter(|port| port.container == container.name);
                if let Some(message) = ports::taken(own) {
                    return Err(HookError::invalid(ports::PORT_TAKEN, message));
                }
            }
            // Without the note a crash could start it twice.
            ledger.lock().launching(&ctx.ledger_dir, &container.name).map_err(|error| {
                let dir = ctx.ledger_dir.display();
                HookError::invalid("LedgerFailed", format!("could not write the task's ledger in {dir}: {error}"))
            })?;
            Ok(spec)
        });
        let broken = |e| HookError::invalid("StartError", format!("the container's preparation did not finish: {e}"));
        prepared.await.map_err(broken)?
    }

    async fn is_there(&self) -> bool {
        let id = container_id(self.task.metadata.uid.as_deref().unwrap_or_default(), &self.container.name);
        matches!(self.ctx.runtime.find(&id).await, Ok(Some(_)))
    }

    /// Tells of the end, then forgets the container: the ledger keeps the code, the sandbox keeps the logs.
    async fn ended(&self, id: &str, mut exit: Exit) {
        if exit.code != 0 && exit.message.is_none() {
            let dir = self.dirs.logs(&self.container.name);
            exit.message = tokio::task::spawn_blocking(move || logs::last_words(&dir)).await.ok().flatten();
        }
        tracing::info!(
            task = self.task.metadata.name,
            container = self.container.name,
            code = exit.code,
            reason = exit.reason,
            "container ended"
        );
        let (ledger, ctx, name, noting) =
            (self.ledger.clone(), self.ctx.clone(), self.container.name.clone(), exit.clone());
        let noted = tokio::task::spawn_blocking(move || ledger.lock().exited(&ctx.ledger_dir, &name, &noting)).await;
        let noted = noted.unwrap_or_else(|e| Err(std::io::Error::other(e)));
        self.send(Event::Exited { container: self.index, exit }).await;
        match noted {
            Ok(()) => {
                if let Err(error) = self.ctx.runtime.destroy(id).await {
                    tracing::warn!(container = id, %error, "an ended container could not be removed yet");
                }
            }
            // The runtime's own record is the only one now; it stays until the task is deleted.
            Err(error) => tracing::warn!(container = id, %error, "exit could not be noted in the ledger"),
        }
    }

    async fn failed(&self, reason: &str, message: &str) {
        let (reason, message) = (reason.to_owned(), message.to_owned());
        self.send(Event::StartFailed { container: self.index, reason, message }).await;
    }

    async fn send(&self, event: Event) {
        let _ = self.events.send(event).await;
    }
}

/// Whether the container's ports are looked at before it is launched.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ports {
    MustBeFree,
    /// It may be running already.
    MayBeOurs,
}

enum Recovered {
    /// It runs, or the runtime still has how it ended.
    There,
    /// It ended.
    Over(Exit),
}

/// Start-up probe first, then readiness and liveness side by side.
/// `started`: the start-up probe succeeded in an earlier life of the agent.
pub(super) async fn probe(
    ctx: Arc<Context>,
    prober: Prober,
    index: usize,
    started: bool,
    stop: CancellationToken,
    events: mpsc::Sender<Event>,
) {
    let (words, mut queue) = mpsc::channel(WORD_QUEUE);
    let listen = async {
        while let Some(word) = queue.recv().await {
            if let Some(event) = heard(&ctx, &prober, index, word) {
                let _ = events.send(event).await;
            }
        }
    };
    let knock = async {
        let Container { startup_probe, readiness_probe, liveness_probe, .. } = &prober.container;
        if let Some(spec) = startup_probe.as_ref().filter(|_| !started)
            && prober.run(Kind::Startup, spec, &stop, &words).await != Some(Turn::Healthy)
        {
            return drop(words);
        }
        let readiness = async {
            if let Some(spec) = readiness_probe {
                prober.run(Kind::Readiness, spec, &stop, &words).await;
            }
        };
        let liveness = async {
            if let Some(spec) = liveness_probe {
                prober.run(Kind::Liveness, spec, &stop, &words).await;
            }
        };
        tokio::join!(readiness, liveness);
        drop(words);
    };
    tokio::join!(knock, listen);
}

/// What a prober's word means for the machine, and for people.
fn heard(ctx: &Context, prober: &Prober, index: usize, word: Word) -> Option<Event> {
    let count = |kind: Kind, result| ctx.metrics.probes.with_label_values(&[kind.name(), result]).inc();
    let (kind, healthy, message) = match word {
        Word::Miss { kind, message } => {
            count(kind, "miss");
            let text =
                format!("{} probe of container {} failed: {message}", capital(kind.name()), prober.container.name);
            ctx.events.record(&prober.task, Level::Warning, "Unhealthy", text);
            return None;
        }
        Word::Verdict { kind, healthy, message } => (kind, healthy, message),
    };
    count(kind, if healthy { "healthy" } else { "unhealthy" });
    match (kind, healthy) {
        (Kind::Startup, true) => Some(Event::StartupPassed { container: index }),
        (Kind::Readiness, ready) => Some(Event::Readiness { container: index, ready }),
        (Kind::Liveness, true) => None,
        (Kind::Startup | Kind::Liveness, false) => {
            let reason = format!("{}ProbeFailed", capital(kind.name()));
            Some(Event::Condemned {
                container: index,
                reason,
                message: format!("its {} probe failed: {message}", kind.name()),
            })
        }
    }
}

fn capital(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map(|c| c.to_ascii_uppercase()).into_iter().chain(chars).collect()
}

/// Runs the postStart hook; its failure ends the container.
pub(super) async fn post_start(prober: Prober, index: usize, events: mpsc::Sender<Event>) {
    let Some(hook) = prober.container.lifecycle.as_ref().and_then(|l| l.post_start.as_ref()) else { return };
    if let Err(error) = prober.hook(hook, POST_START_MAX).await {
        let message = format!("its postStart hook failed: {error}");
        let _ =
            events.send(Event::Condemned { container: index, reason: "PostStartHookError".to_owned(), message }).await;
    }
}

/// Runs the preStop hook; the stop goes on whatever it says.
pub(super) async fn pre_stop(
    ctx: Arc<Context>,
    prober: Prober,
    index: usize,
    grace: Duration,
    events: mpsc::Sender<Event>,
) {
    if let Some(hook) = prober.container.lifecycle.as_ref().and_then(|l| l.pre_stop.as_ref())
        && let Err(error) = prober.hook(hook, grace).await
    {
        ctx.events.record(&prober.task, Level::Warning, "FailedPreStopHook", error);
    }
    let _ = events.send(Event::PreStopDone { container: index }).await;
}

/// Asks the container's process to end.
pub(super) async fn terminate(ctx: Arc<Context>, id: String, signal: i32) {
    if let Err(error) = ctx.runtime.signal(&id, signal).await.or_else(missing_is_fine) {
        tracing::warn!(container = id, %error, "could not signal a container, SIGKILL follows after the grace");
    }
}

/// Ends all of the container, until the runtime says so.
pub(super) async fn kill(ctx: Arc<Context>, id: String) {
    persist(&id, "kill", || async { ctx.runtime.kill(&id).await }).await;
}

/// Removes containers, until the runtime says so.
pub(super) async fn remove_containers(ctx: Arc<Context>, ids: Vec<String>) {
    join_all(ids.iter().map(|id| persist(id, "remove", || async { ctx.runtime.destroy(id).await }))).await;
}

/// Removes all that is left of a task on the node.
pub(super) async fn clean_up(
    ctx: Arc<Context>,
    ids: Vec<String>,
    dirs: Option<Directories>,
    uid: String,
    events: mpsc::Sender<Event>,
) {
    remove_containers(ctx.clone(), ids).await;
    let mut pause = RETRY_MIN;
    loop {
        let (dirs, id, ledgers) = (dirs.clone(), uid.clone(), ctx.ledger_dir.clone());
        let removed = tokio::task::spawn_blocking(move || {
            dirs.map_or(Ok(()), |dirs| dirs.remove())?;
            ledger::remove(&ledgers, &id)
        });
        match removed.await {
            Ok(Ok(())) => break,
            Ok(Err(error)) => tracing::warn!(uid, %error, "could not remove a task's files, trying again"),
            Err(error) => tracing::warn!(uid, %error, "removing a task's files was interrupted, trying again"),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(RETRY_MAX);
    }
    let _ = events.send(Event::CleanedUp).await;
}

async fn persist<F: Future<Output = Result<(), RuntimeError>>>(id: &str, what: &str, call: impl Fn() -> F) {
    let mut pause = RETRY_MIN;
    while let Err(error) = call().await.or_else(missing_is_fine) {
        tracing::warn!(container = id, %error, "could not {what} a container, trying again");
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(RETRY_MAX);
    }
}

fn missing_is_fine(error: RuntimeError) -> Result<(), RuntimeError> {
    if matches!(error.reason.as_str(), "NotFound" | "NotRunning") { Ok(()) } else { Err(error) }
}

/// `SIGTERM`, `TERM`, `SIGQUIT`, … as Linux numbers them.
pub(super) fn signal_number(name: &str) -> Option<i32> {
    let name = name.trim();
    if let Ok(number) = name.parse::<i32>() {
        return (1..=64).contains(&number).then_some(number);
    }
    let short = name.strip_prefix("SIG").unwrap_or(name);
    let known =
        [("HUP", 1), ("INT", 2), ("QUIT", 3), ("KILL", 9), ("USR1", 10), ("USR2", 12), ("TERM", 15), ("WINCH", 28)];
    known.iter().find(|(n, _)| *n == short).map(|(_, number)| *number)
}
