//! All tasks of the node: one worker each, from what the API server says and what was found on the node.
//!
//! At the start the ledgers and the runtime's list are matched with the API's tasks: what runs is adopted, what
//! ended meanwhile is reported, what nobody knows is stopped. When the API server does not answer in time the
//! ledgers are believed, and everything keeps running.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use berth_client::kube::runtime::watcher::{self, Event};
use berth_types::names::FINALIZER_AGENT;
use berth_types::{Task, TaskStatus};
use futures::{Stream, StreamExt};
use parking_lot::RwLock;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use super::admission;
use super::hooks::launch::container_id;
use super::jobs;
use super::ledger::{self, Ledger};
use super::worker::{self, Context, Handle, Order};
use crate::writer::Report;

/// How long the first answer of the API server is waited for before the ledgers are believed.
const FIRST_LIST_WAIT: Duration = Duration::from_secs(2);

/// A worker that panicked so often will do it again.
const PANICS_MAX: u32 = 3;

type Key = (String, String);

/// What others may see of a task on this node.
#[derive(Clone, Debug)]
pub struct View {
    /// The object, as last seen.
    pub task: Arc<Task>,
    /// What its worker last reported.
    pub reports: watch::Receiver<Report>,
}

impl View {
    /// Ended tasks hold nothing: the report says so before the API server, and with it placement, is told.
    fn holds_resources(&self) -> bool {
        let report = self.reports.borrow();
        let ended = |status: Option<&TaskStatus>| status.is_some_and(|s| s.phase.is_terminal());
        !(report.release || ended(report.status.as_ref()) || ended(self.task.status.as_ref()))
    }
}

/// Whether it was let in by an earlier life of the agent.
fn was_started(task: &Task) -> bool {
    task.status.as_ref().is_some_and(|s| s.phase.is_terminal() || s.containers.iter().any(|c| c.container_id.is_some()))
}

/// The tasks on this node, for the HTTP server and the metrics.
#[derive(Clone, Debug, Default)]
pub struct Registry(Arc<RwLock<BTreeMap<Key, View>>>);

impl Registry {
    /// One task.
    pub fn get(&self, namespace: &str, name: &str) -> Option<View> {
        self.0.read().get(&(namespace.to_owned(), name.to_owned())).cloned()
    }

    /// All tasks.
    pub fn all(&self) -> Vec<View> {
        self.0.read().values().cloned().collect()
    }
}

struct Slot {
    handle: Handle,
    /// A task of the same name that came before this one was gone: it waits for the name's directory.
    next: Option<Box<Task>>,
}

/// Runs tasks until told to stop; then leaves them running.
pub struct Manager {
    ctx: Arc<Context>,
    registry: Registry,
    slots: HashMap<Key, Slot>,
    workers: JoinSet<String>,
    ledgers: HashMap<String, Ledger>,
    listed: HashSet<String>,
    /// How often the worker of a task panicked.
    panics: HashMap<String, u32>,
    recovered: bool,
    /// Turns true when the tasks of the API server are known.
    synced: watch::Sender<bool>,
}

impl std::fmt::Debug for Manager {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Manager").field("tasks", &self.slots.len()).finish_non_exhaustive()
    }
}

impl Manager {
    /// Reads the ledgers.
    ///
    /// # Errors
    /// When their directory cannot be read: then nothing may be started.
    pub fn new(ctx: Arc<Context>, registry: Registry, synced: watch::Sender<bool>) -> std::io::Result<Self> {
        let ledgers = ledger::load_all(&ctx.ledger_dir)?;
        let ledgers = ledgers.into_iter().filter_map(|l| Some((l.task.metadata.uid.clone()?, l))).collect();
        Ok(Self {
            ctx,
            registry,
            slots: HashMap::new(),
            workers: JoinSet::new(),
            ledgers,
            listed: HashSet::new(),
            panics: HashMap::new(),
            recovered: false,
            synced,
        })
    }

    /// Follows the events until `stop`.
    pub async fn run(mut self, events: impl Stream<Item = watcher::Result<Event<Task>>>, stop: CancellationToken) {
        let mut events = std::pin::pin!(events);
        let first_list = tokio::time::sleep(FIRST_LIST_WAIT);
        let mut first_list = std::pin::pin!(first_list);
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                event = events.next() => match event {
                    Some(Ok(event)) => self.on_event(event).await,
                    Some(Err(error)) => tracing::warn!(%error, "watching tasks failed, trying again"),
                    None => break,
                },
                Some(done) = self.workers.join_next() => match done {
                    Ok(uid) => self.on_end(&uid),
                    Err(error) => self.on_panic(&error),
                },
                () = &mut first_list, if !self.recovered => {
                    tracing::warn!("the API server does not answer yet: going on with the tasks of the ledger");
                    self.adopt_ledgers();
                }
            }
        }
        // Workers end without touching their containers.
        self.workers.shutdown().await;
    }

    async fn on_event(&mut self, event: Event<Task>) {
        match event {
            Event::Init => self.listed.clear(),
            Event::InitApply(task) => {
                self.listed.extend(task.metadata.uid.clone());
                self.on_task(task).await;
            }
            Event::InitDone => self.on_listed().await,
            Event::Apply(task) => self.on_task(task).await,
            Event::Delete(task) => {
                let key = key(&task);
                if let Some(slot) = self.slots.get_mut(&key) {
                    if Some(&slot.handle.uid) == task.metadata.uid.as_ref() {
                        let _ = slot.handle.orders.send(Order::Vanished).await;
                    } else {
                        slot.next = None;
                    }
                }
            }
        }
    }

    async fn on_task(&mut self, task: Task) {
        if task.spec.node_name.as_deref() != Some(self.ctx.settings.node.name.as_str()) {
            return;
        }
        let key = key(&task);
        if let Some(slot) = self.slots.get_mut(&key) {
            if Some(&slot.handle.uid) == task.metadata.uid.as_ref() {
                if let Some(view) = self.registry.0.write().get_mut(&key) {
                    view.task = Arc::new(task.clone());
                }
                let _ = slot.handle.orders.send(Order::Update(Box::new(task))).await;
            } else {
                let _ = slot.handle.orders.send(Order::Vanished).await;
                slot.next = Some(Box::new(task));
            }
            return;
        }
        let finalizers = task.metadata.finalizers.as_deref().unwrap_or_default();
        let released = task.metadata.deletion_timestamp.is_some() && !finalizers.iter().any(|f| f == FINALIZER_AGENT);
        let known = task.metadata.uid.as_ref().is_some_and(|uid| self.ledgers.contains_key(uid));
        if released && !known {
            return;
        }
        self.start(key, task);
    }

    fn start(&mut self, key: Key, task: Task) {
        let ledger = task.metadata.uid.as_ref().and_then(|uid| self.ledgers.remove(uid));
        tracing::info!(namespace = key.0, task = key.1, known = ledger.is_some(), "task taken up");
        let view_task = Arc::new(task.clone());
        let refused = if ledger.is_some() || was_started(&task) { None } else { self.refuse(&task) };
        let handle = worker::spawn(self.ctx.clone(), task, ledger, refused, &mut self.workers);
        self.registry.0.write().insert(key.clone(), View { task: view_task, reports: handle.reports.clone() });
        self.slots.insert(key, Slot { handle, next: None });
    }

    /// Why the task does not fit beside those that run here.
    fn refuse(&self, task: &Task) -> Option<String> {
        let all = self.registry.all();
        let running = all.iter().filter(|view| view.holds_resources()).map(|view| &*view.task);
        admission::refuse(task, running, &self.ctx.settings.allocatable)
    }

    /// The whole list was given: what is not in it is gone.
    async fn on_listed(&mut self) {
        self.adopt_ledgers();
        for slot in self.slots.values() {
            if !self.listed.contains(&slot.handle.uid) {
                let _ = slot.handle.orders.send(Order::Vanished).await;
            }
        }
        if !*self.synced.borrow() {
            self.destroy_orphans().await;
            self.synced.send_replace(true);
        }
    }

    /// Tasks that only the ledgers know: they go on until the API server says otherwise.
    fn adopt_ledgers(&mut self) {
        self.recovered = true;
        let tasks: Vec<Task> = self.ledgers.values().map(|l| l.task.clone()).collect();
        for task in tasks {
            let key = key(&task);
            if self.slots.contains_key(&key) {
                // The name has another task by now: this one's containers are orphans.
                if let Some(uid) = &task.metadata.uid {
                    self.ledgers.remove(uid);
                    if let Err(error) = ledger::remove(&self.ctx.ledger_dir, uid) {
                        tracing::warn!(uid, %error, "could not remove the ledger of a task that is gone");
                    }
                }
                continue;
            }
            self.start(key, task);
        }
    }

    /// Containers that belong to no task.
    async fn destroy_orphans(&mut self) {
        let wanted: HashSet<String> = self
            .registry
            .all()
            .iter()
            .flat_map(|view| {
                let uid = view.task.metadata.uid.clone().unwrap_or_default();
                let spec = &view.task.spec.template;
                let names: Vec<String> =
                    spec.init_containers.iter().chain(&spec.containers).map(|c| container_id(&uid, &c.name)).collect();
                names
            })
            .collect();
        match self.ctx.runtime.list().await {
            Ok(all) => {
                // Those of a worker that panicked are still somebody's.
                let minded = |id: &str| self.panics.keys().any(|uid| id.starts_with(uid.as_str()));
                let orphans: Vec<String> = all.into_iter().filter(|id| !wanted.contains(id) && !minded(id)).collect();
                if !orphans.is_empty() {
                    tracing::warn!(count = orphans.len(), "removing containers that belong to no task");
                    tokio::spawn(jobs::remove_containers(self.ctx.clone(), orphans));
                }
            }
            Err(error) => tracing::warn!(%error, "could not list containers to find orphans"),
        }
    }

    /// A defect of ours must not leave a task without anybody who minds it: a new worker adopts its containers, as
    /// after a restart of the agent. One that panics again and again is left to people.
    fn on_panic(&mut self, error: &JoinError) {
        let found = self.slots.iter().find(|(_, slot)| slot.handle.worker == error.id());
        let Some(key) = found.map(|(key, _)| key.clone()) else { return };
        let Some(slot) = self.slots.remove(&key) else { return };
        let view = self.registry.0.write().remove(&key);
        let panics = self.panics.entry(slot.handle.uid.clone()).or_default();
        *panics += 1;
        tracing::error!(namespace = key.0, task = key.1, panics, %error, "a task's worker ended by a panic");
        let Some(view) = view.filter(|_| *panics <= PANICS_MAX) else { return };
        match ledger::load_all(&self.ctx.ledger_dir) {
            Ok(all) => {
                let own = all.into_iter().find(|l| l.task.metadata.uid.as_deref() == Some(&slot.handle.uid));
                self.ledgers.extend(own.map(|ledger| (slot.handle.uid.clone(), ledger)));
                self.start(key.clone(), (*view.task).clone());
                if let Some(new) = self.slots.get_mut(&key) {
                    new.next = slot.next;
                }
            }
            Err(error) => tracing::error!(%error, "the ledgers cannot be read, the task is left alone"),
        }
    }

    fn on_end(&mut self, uid: &str) {
        let Some(key) = self.slots.iter().find(|(_, slot)| slot.handle.uid == uid).map(|(key, _)| key.clone()) else {
            return;
        };
        self.panics.remove(uid);
        tracing::info!(namespace = key.0, task = key.1, "task released");
        self.registry.0.write().remove(&key);
        if let Some(Slot { next: Some(task), .. }) = self.slots.remove(&key) {
            self.start(key, *task);
        }
    }
}

fn key(task: &Task) -> Key {
    (
        task.metadata.namespace.clone().unwrap_or_else(|| "default".to_owned()),
        task.metadata.name.clone().unwrap_or_default(),
    )
}

#[cfg(test)]
#[path = "manager_tests.rs"]
mod tests;
