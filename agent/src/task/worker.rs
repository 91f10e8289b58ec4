//! Drives one task: feeds events to its [`Machine`], carries the actions out, and reports the status.
//!
//! All that waits (launches, exits, probes, hooks) are jobs that end by sending an event; the worker itself only
//! decides. Dropping it stops the jobs and leaves the containers alone: the next agent adopts them.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use berth_client::k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use berth_types::{Container, Task, TaskPhase};
use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::admission;
use super::hooks::launch::{Settings, container_id};
use super::hooks::sandbox::Directories;
use super::hooks::sources::Source;
use super::jobs;
use super::ledger::Ledger;
use super::state::{Action, ContainerPlan, ContainerStage, Event, Machine, Plan, Role, Stage};
use crate::events::{Level, Recorder};
use crate::metrics::Metrics;
use crate::probe::Prober;
use crate::runtime::Runtime;
use crate::status;
use crate::writer::{Report, StatusApi, write_reports};

/// Events of one task that may wait for its worker: more jobs than a task of 64 containers has at once.
pub(super) const EVENT_QUEUE: usize = 256;
/// Orders of the manager that may wait; each is only the newest object.
const ORDER_QUEUE: usize = 8;
/// Kubernetes' grace when the task names none.
const GRACE_DEFAULT: Duration = Duration::from_secs(30);
const SIGTERM: i32 = 15;

/// What all workers of an agent share.
pub struct Context {
    /// Runs containers.
    pub runtime: Arc<dyn Runtime>,
    /// ConfigMaps and Secrets.
    pub source: Arc<dyn Source>,
    /// Where statuses go.
    pub status: Arc<dyn StatusApi>,
    /// The same for all containers.
    pub settings: Settings,
    /// Sandboxes and disk volumes.
    pub data_dir: PathBuf,
    /// Memory volumes.
    pub run_dir: PathBuf,
    /// Ledgers.
    pub ledger_dir: PathBuf,
    /// Events.
    pub events: Recorder,
    /// Counters.
    pub metrics: Metrics,
    /// The machine's boot.
    pub boot_id: String,
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context").field("data_dir", &self.data_dir).finish_non_exhaustive()
    }
}

/// What the manager tells a worker.
#[derive(Clone, Debug)]
pub enum Order {
    /// The object's newest state.
    Update(Box<Task>),
    /// The object is gone: end and clean up, and write nothing.
    Vanished,
}

/// The manager's hold on a worker.
#[derive(Debug)]
pub struct Handle {
    /// The task's uid.
    pub uid: String,
    /// The worker itself, to know it again when it ends by a panic.
    pub worker: tokio::task::Id,
    /// Orders to it.
    pub orders: mpsc::Sender<Order>,
    /// What it last reported.
    pub reports: watch::Receiver<Report>,
}

/// Starts the worker of one task in `set`; it ends when the task is released. `ledger` is what an earlier agent knew.
/// `refused`: why the node does not take it.
pub fn spawn(
    ctx: Arc<Context>,
    task: Task,
    ledger: Option<Ledger>,
    refused: Option<String>,
    set: &mut JoinSet<String>,
) -> Handle {
    let (orders, order_queue) = mpsc::channel(ORDER_QUEUE);
    let (report, reports) = watch::channel(Report::default());
    let uid = task.metadata.uid.clone().unwrap_or_default();
    let (own_uid, own_reports) = (uid.clone(), reports.clone());
    let worker = set.spawn(async move {
        let status = ctx.status.clone();
        let metrics = ctx.metrics.clone();
        let subject = task.clone();
        let worker = Worker::new(ctx, task, ledger, refused, report);
        // Both end with the task, and stop together with the agent.
        tokio::join!(worker.run(order_queue), write_reports(&*status, &subject, reports, &metrics));
        uid
    });
    Handle { uid: own_uid, worker: worker.id(), orders, reports: own_reports }
}

struct Worker {
    ctx: Arc<Context>,
    task: Arc<Task>,
    machine: Machine,
    /// The end was told before this agent's life: its status is not touched.
    told: bool,
    /// It was said to run before this agent's life.
    ran: bool,
    facts: status::Facts,
    conditions: Vec<Condition>,
    report: watch::Sender<Report>,
    ledger: Arc<Mutex<Ledger>>,
    recovered: bool,
    /// Why nothing of it may be started.
    refused: Option<String>,
    dirs: Option<Directories>,
    jobs: JoinSet<()>,
    events: mpsc::Sender<Event>,
    queue: mpsc::Receiver<Event>,
    starts: HashMap<usize, CancellationToken>,
    probes: HashMap<usize, CancellationToken>,
    grace_until: Option<Instant>,
    deadline: Option<Instant>,
    vanished: bool,
    phase_counted: Option<String>,
}

impl Worker {
    fn new(
        ctx: Arc<Context>,
        task: Task,
        ledger: Option<Ledger>,
        refused: Option<String>,
        report: watch::Sender<Report>,
    ) -> Self {
        let told = task.status.as_ref().is_some_and(|s| s.phase.is_terminal());
        let ran = task.status.as_ref().is_some_and(|s| s.phase == TaskPhase::Running);
        let recovered = ledger.is_some();
        let ledger = ledger.unwrap_or_else(|| Ledger::new(&task, &ctx.boot_id, Timestamp::now()));
        let plan = plan(&task);
        let machine = if told { Machine::ended(plan) } else { Machine::new(plan) };
        let (events, queue) = mpsc::channel(EVENT_QUEUE);
        let deadline = task.spec.template.active_deadline_seconds.and_then(|s| u64::try_from(s).ok()).map(|seconds| {
            let ran = Timestamp::now().duration_since(ledger.taken_up_at);
            let ran = Duration::try_from(ran).unwrap_or_default();
            Instant::now() + Duration::from_secs(seconds).saturating_sub(ran)
        });
        Self {
            facts: status::Facts::new(&task, &ctx.settings.node.address, ledger.taken_up_at),
            conditions: status::own_conditions(&task),
            dirs: Directories::of(&task, &ctx.data_dir, &ctx.run_dir),
            task: Arc::new(task),
            ctx,
            machine,
            told,
            ran,
            report,
            ledger: Arc::new(Mutex::new(ledger)),
            recovered,
            refused,
            jobs: JoinSet::new(),
            events,
            queue,
            starts: HashMap::new(),
            probes: HashMap::new(),
            grace_until: None,
            deadline,
            vanished: false,
            phase_counted: None,
        }
    }

    async fn run(mut self, mut orders: mpsc::Receiver<Order>) {
        if self.told {
            // Whatever is left of it must not run on: somebody decided that it ended.
            self.spawn_job(jobs::remove_containers(self.ctx.clone(), self.container_ids()));
        } else {
            self.feed(Event::TakenUp);
        }
        self.observe();
        while !self.machine.is_released() {
            let grace = self.grace_until;
            let deadline = self.deadline.filter(|_| matches!(self.machine.stage(), Stage::Starting | Stage::Running));
            tokio::select! {
                order = orders.recv() => match order {
                    Some(Order::Update(task)) => {
                        self.task = Arc::new(*task);
                        self.observe();
                    }
                    Some(Order::Vanished) => {
                        self.vanished = true;
                        self.feed(Event::DeletionRequested { grace: self.machine.plan().grace });
                    }
                    // The agent stops: leave everything as it is.
                    None => return,
                },
                Some(event) = self.queue.recv() => self.feed(event),
                () = until(grace), if grace.is_some() => {
                    self.grace_until = None;
                    self.feed(Event::GraceOver);
                }
                () = until(deadline), if deadline.is_some() => {
                    self.deadline = None;
                    self.feed(Event::DeadlinePassed);
                }
                Some(_) = self.jobs.join_next() => {}
            }
        }
        self.count_phase(None);
    }

    /// What the object itself asks for.
    fn observe(&mut self) {
        if self.task.metadata.deletion_timestamp.is_some() && !self.machine.is_deleted() {
            // A client may shorten the grace (`--now` is 1); 0 is what servers write for objects without one.
            let asked = self.task.metadata.deletion_grace_period_seconds.and_then(|s| u64::try_from(s).ok());
            let grace = asked.filter(|s| *s > 0).map_or_else(|| self.machine.plan().grace, Duration::from_secs);
            self.feed(Event::DeletionRequested { grace });
        }
        self.publish();
    }

    fn feed(&mut self, event: Event) {
        self.tell(&event);
        for action in self.machine.apply(event) {
            self.act(action);
        }
        self.publish();
    }

    fn publish(&mut self) {
        let status = (!self.told && *self.machine.stage() != Stage::New)
            .then(|| status::build(&self.machine, &self.facts, &self.conditions, Timestamp::now()));
        // Until a running task is found again its conditions, and their times, stay what was told.
        let finding = self.ran && *self.machine.stage() == Stage::Starting;
        if let Some(status) = status.as_ref().filter(|_| !finding) {
            self.conditions.clone_from(&status.conditions);
        }
        let phase = status.as_ref().map_or_else(|| "Ended".to_owned(), |s| format!("{:?}", s.phase));
        self.count_phase(Some(phase));
        let report = Report { status, release: self.machine.is_released(), vanished: self.vanished };
        self.report.send_if_modified(|old| {
            let changed = *old != report;
            *old = report;
            changed
        });
    }

    fn count_phase(&mut self, phase: Option<String>) {
        if self.phase_counted == phase {
            return;
        }
        if let Some(old) = self.phase_counted.take() {
            self.ctx.metrics.tasks.with_label_values(&[&old]).dec();
        }
        if let Some(new) = &phase {
            self.ctx.metrics.tasks.with_label_values(&[new]).inc();
        }
        self.phase_counted = phase;
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Start(index) => {
                if let Some(message) = self.refused.clone() {
                    let reason = admission::OUT_OF_RESOURCES.to_owned();
                    return self.send(Event::StartFailed { container: index, reason, message });
                }
                let Some(dirs) = self.dirs.clone() else {
                    let message = "the task's name or uid cannot be a directory's".to_owned();
                    return self.send(Event::StartFailed {
                        container: index,
                        reason: "InvalidName".to_owned(),
                        message,
                    });
                };
                let cancel = CancellationToken::new();
                self.starts.insert(index, cancel.clone());
                let start = jobs::Start {
                    ctx: self.ctx.clone(),
                    task: self.task.clone(),
                    container: self.container(index).clone(),
                    index,
                    dirs,
                    ledger: self.ledger.clone(),
                    recovered: self.recovered,
                    events: self.events.clone(),
                };
                self.spawn_job(start.run(cancel));
            }
            Action::Abandon(index) => {
                if let Some(cancel) = self.starts.remove(&index) {
                    cancel.cancel();
                }
            }
            Action::PostStart(index) => {
                self.spawn_job(jobs::post_start(self.prober(index), index, self.events.clone()))
            }
            Action::Probe(index) => {
                let stop = CancellationToken::new();
                self.probes.insert(index, stop.clone());
                let started = matches!(self.machine.containers()[index], ContainerStage::Running { started: true, .. });
                let job = jobs::probe(self.ctx.clone(), self.prober(index), index, started, stop, self.events.clone());
                self.spawn_job(job);
            }
            Action::StopProbes(index) => {
                if let Some(stop) = self.probes.remove(&index) {
                    stop.cancel();
                }
            }
            Action::PreStop(index) => {
                let grace = self.machine.plan().grace;
                let job = jobs::pre_stop(self.ctx.clone(), self.prober(index), index, grace, self.events.clone());
                self.spawn_job(job);
            }
            Action::Terminate(index) => {
                let lifecycle = self.container(index).lifecycle.as_ref();
                let signal =
                    lifecycle.and_then(|l| l.stop_signal.as_deref()).and_then(jobs::signal_number).unwrap_or(SIGTERM);
                let message = format!("Stopping container {}", self.container(index).name);
                self.ctx.events.record(&self.task, Level::Normal, "Killing", message);
                self.spawn_job(jobs::terminate(self.ctx.clone(), self.container_id(index), signal));
            }
            Action::Kill(index) => self.spawn_job(jobs::kill(self.ctx.clone(), self.container_id(index))),
            Action::ArmGrace(grace) => {
                let until = Instant::now() + grace;
                self.grace_until = Some(self.grace_until.map_or(until, |old| old.min(until)));
            }
            Action::CleanUp => {
                self.grace_until = None;
                let ids = self.container_ids();
                let uid = self.facts.uid.clone();
                self.spawn_job(jobs::clean_up(self.ctx.clone(), ids, self.dirs.clone(), uid, self.events.clone()));
            }
            // The report says it to the writer.
            Action::Release => {}
        }
    }

    /// Events for people, where the machine's events are news.
    fn tell(&self, event: &Event) {
        let name = |index: usize| self.machine.plan().containers.get(index).map_or("", |c| c.name.as_str());
        let tell = |level, reason: &str, message: String| self.ctx.events.record(&self.task, level, reason, message);
        match event {
            Event::Started { container, adopted: None, .. } => {
                tell(Level::Normal, "Started", format!("Started container {}", name(*container)));
            }
            Event::StartFailed { container, reason, message } if reason != jobs::ABANDONED => {
                tell(
                    Level::Warning,
                    "Failed",
                    format!("Container {} could not be started: {reason}: {message}", name(*container)),
                );
            }
            Event::Blocked { container, reason, message } => {
                tell(Level::Warning, reason, format!("Container {} waits: {message}", name(*container)));
            }
            Event::Exited { container, exit }
                if exit.code != 0 && !matches!(self.machine.stage(), Stage::Stopping(_)) =>
            {
                let reason = exit.reason.as_deref().filter(|r| *r == "OOMKilled").unwrap_or("Failed");
                let why = exit.reason.as_deref().map(|r| format!(" ({r})")).unwrap_or_default();
                tell(
                    Level::Warning,
                    reason,
                    format!("Container {} exited with code {}{why}", name(*container), exit.code),
                );
            }
            Event::Condemned { container, reason, message } => {
                tell(
                    Level::Warning,
                    "Unhealthy",
                    format!("Container {} is stopped: {reason}: {message}", name(*container)),
                );
            }
            Event::DeadlinePassed => tell(
                Level::Warning,
                "DeadlineExceeded",
                "The task ran longer than activeDeadlineSeconds allows".to_owned(),
            ),
            _ => {}
        }
    }

    fn send(&mut self, event: Event) {
        let events = self.events.clone();
        self.spawn_job(async move {
            let _ = events.send(event).await;
        });
    }

    fn spawn_job(&mut self, job: impl Future<Output = ()> + Send + 'static) {
        self.jobs.spawn(job);
    }

    fn container(&self, index: usize) -> &Container {
        container_at(&self.task, index)
    }

    fn container_id(&self, index: usize) -> String {
        container_id(&self.facts.uid, &self.machine.plan().containers[index].name)
    }

    fn container_ids(&self) -> Vec<String> {
        (0..self.machine.plan().containers.len()).map(|index| self.container_id(index)).collect()
    }

    fn prober(&self, index: usize) -> Prober {
        debug_assert!(!matches!(self.machine.containers()[index], ContainerStage::Waiting));
        Prober {
            runtime: self.ctx.runtime.clone(),
            id: self.container_id(index),
            address: self.ctx.settings.node.address.clone(),
            task: self.task.clone(),
            container: self.container(index).clone(),
        }
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// Init containers first, as the plan has them.
fn container_at(task: &Task, index: usize) -> &Container {
    let spec = &task.spec.template;
    spec.init_containers.get(index).unwrap_or_else(|| &spec.containers[index - spec.init_containers.len()])
}

/// What the machine needs to know of a task.
pub fn plan(task: &Task) -> Plan {
    let spec = &task.spec.template;
    let one = |container: &Container, role: Role| ContainerPlan {
        name: container.name.clone(),
        role,
        has_startup_probe: role != Role::Init && container.startup_probe.is_some(),
        has_readiness_probe: role != Role::Init && container.readiness_probe.is_some(),
        has_post_start: container.lifecycle.as_ref().is_some_and(|l| l.post_start.is_some()),
        has_pre_stop: container.lifecycle.as_ref().is_some_and(|l| l.pre_stop.is_some()),
    };
    let init = spec
        .init_containers
        .iter()
        .map(|c| one(c, if c.restart_policy.as_deref() == Some("Always") { Role::Sidecar } else { Role::Init }));
    let grace = spec.termination_grace_period_seconds.and_then(|s| u64::try_from(s).ok()).map(Duration::from_secs);
    Plan {
        containers: init.chain(spec.containers.iter().map(|c| one(c, Role::Main))).collect(),
        grace: grace.unwrap_or(GRACE_DEFAULT),
    }
}

#[cfg(test)]
#[path = "worker_tests.rs"]
mod tests;
