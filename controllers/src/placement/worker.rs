//! The loop around the [`Book`]: changes in, writes out, the most awaited first and only so many at a time.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use berth_types::{Node, Role, Task};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::book::{Assumed, Book};
use super::{MANAGER, binding, status};
use crate::driver::informer::chain;
use crate::driver::{Context, Error, Key, Kind};
use crate::events::EventType;

/// Requests on their way at a time. Enough to fill the store's group commits, few enough that a mass start does
/// not starve the agents' status writes.
const WRITES_MAX: usize = 64;
/// Of these, at most so many for conditions and events: nobody waits for them.
const LATER_WRITES_MAX: usize = 4;
/// How long after its binding a task's `Scheduled` condition is written: its start goes first.
const SCHEDULED_DELAY: Duration = Duration::from_millis(500);
/// An explanation whose figures move is written again at most this often.
const EXPLAIN_AGAIN: Duration = Duration::from_secs(5);
/// First wait after a binding failed for another reason than a conflict; doubled up to the longest.
const RETRY_MIN: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(10);

/// Which objects changed since the loop last looked; bounded by the number of objects.
#[derive(Default)]
struct Inbox {
    changed: Mutex<Changed>,
    bell: Notify,
}

#[derive(Default)]
struct Changed {
    tasks: HashSet<Key>,
    nodes: HashSet<Key>,
    roles: HashSet<Key>,
}

/// How a write ended.
enum Done {
    Binding {
        key: Key,
        decided: Assumed,
        result: Result<(), Unbound>,
    },
    /// The task was read again after a failed binding; whether that worked.
    Verified {
        key: Key,
        decided: Assumed,
        ok: bool,
    },
    /// A waiting task was told why; whether that was written.
    Told {
        key: Key,
        ok: bool,
    },
    /// A placed task was told so.
    Status,
}

/// Why a binding was not written.
enum Unbound {
    /// The task is not any more what was decided about.
    Changed,
    /// Whether it was written is not known.
    Failed(Error),
}

/// Something to do at a time.
enum Later {
    /// Tell a waiting task why, which was told something else a moment ago.
    Tell(Key),
    /// Tell that the task was placed.
    Scheduled(Key),
    /// Find out what became of a failed binding.
    Verify(Key, Assumed),
}

struct Told {
    at: Instant,
    why: String,
    /// The write is on its way, or the next one has its time: one at a time, so that none passes another.
    is_busy: bool,
}

struct Loop {
    ctx: Context,
    book: Book,
    bindings: VecDeque<(Key, Assumed)>,
    later: BTreeMap<(Instant, u64), Later>,
    /// Waiting tasks that are to be told why, now.
    to_tell: BTreeSet<Key>,
    /// What waiting tasks were told, and when.
    told: HashMap<Key, Told>,
    /// How often the binding of a task failed in a row.
    failures: HashMap<Key, u32>,
    writes: JoinSet<Done>,
    status_writes: usize,
    sequence: u64,
    port_offset: u32,
}

/// Runs until the token is cancelled. What is on its way then is dropped: every write is guarded, and whoever
/// comes next finds what was written.
pub(crate) async fn run(ctx: Context, stop: CancellationToken) {
    let inbox = Arc::new(Inbox::default());
    listen::<Task>(&ctx, &inbox, |changed| &mut changed.tasks);
    listen::<Node>(&ctx, &inbox, |changed| &mut changed.nodes);
    listen::<Role>(&ctx, &inbox, |changed| &mut changed.roles);
    // Another offset after each start, so that ports which were freed while nobody led are not given at once.
    let port_offset = u32::try_from(ctx.now().as_millisecond().unsigned_abs() % 65_521).unwrap_or(0);
    let mut work = Loop {
        ctx,
        book: Book::default(),
        bindings: VecDeque::new(),
        later: BTreeMap::new(),
        to_tell: BTreeSet::new(),
        told: HashMap::new(),
        failures: HashMap::new(),
        writes: JoinSet::new(),
        status_writes: 0,
        sequence: 0,
        port_offset,
    };
    loop {
        work.take_in(std::mem::take(&mut *inbox.changed.lock()));
        work.bindings.extend(work.book.decide(work.port_offset));
        let due = work.start_writes(Instant::now());
        let wake = async {
            match due {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = inbox.bell.notified() => {}
            Some(done) = work.writes.join_next(), if !work.writes.is_empty() => match done {
                Ok(done) => work.finished(done),
                Err(error) => tracing::error!(%error, "a placement write panicked"),
            },
            () = wake => {}
        }
    }
}

fn listen<K: Kind>(ctx: &Context, inbox: &Arc<Inbox>, of: fn(&mut Changed) -> &mut HashSet<Key>) {
    let inbox = inbox.clone();
    ctx.shared.stores.open::<K>().listen(Arc::new(move |old, new| {
        let Some(entry) = new.or(old) else { return };
        of(&mut inbox.changed.lock()).insert(entry.key.clone());
        inbox.bell.notify_one();
    }));
}

impl Loop {
    fn take_in(&mut self, changed: Changed) {
        // No `..`: a new kind stops the build here until someone decides its turn.
        let Changed { tasks, nodes, roles } = changed;
        let (task_store, node_store, role_store) =
            (self.ctx.store::<Task>(), self.ctx.store::<Node>(), self.ctx.store::<Role>());
        for key in roles {
            self.book.role(&key.name, role_store.get(&key).as_deref());
        }
        for key in nodes {
            self.book.node(&key.name, node_store.get(&key).as_deref());
        }
        for key in tasks {
            let task = task_store.get(&key);
            self.book.task(&key, task.as_deref());
            if task.is_none_or(|task| task.spec.node_name.is_none()) && self.book.reason(&key).is_none() {
                self.told.remove(&key);
            }
        }
    }

    /// Starts what can be started and says when there is more to do.
    fn start_writes(&mut self, now: Instant) -> Option<Instant> {
        while self.writes.len() < WRITES_MAX {
            let Some((key, decided)) = self.bindings.pop_front() else { break };
            self.writes.spawn(bind(self.ctx.clone(), key, decided));
        }
        self.start_due(now);
        self.to_tell.append(&mut self.book.take_changed_reasons());
        while self.writes.len() < WRITES_MAX {
            let Some(key) = self.to_tell.pop_first() else { break };
            self.tell(key, now);
        }
        // What is due and not started waits for the end of a write, which wakes the loop.
        self.later.first_key_value().map(|((at, _), _)| *at).filter(|at| *at > now)
    }

    /// Tells a waiting task why it waits, now or, when it was told something else a moment ago, later.
    fn tell(&mut self, key: Key, now: Instant) {
        let Some(why) = self.book.reason(&key).map(str::to_owned) else { return };
        if let Some(told) = self.told.get_mut(&key) {
            if told.is_busy || told.why == why {
                return;
            }
            let due = told.at + EXPLAIN_AGAIN;
            if due > now {
                told.is_busy = true;
                return self.at(due, Later::Tell(key));
            }
        }
        self.told.insert(key.clone(), Told { at: now, why: why.clone(), is_busy: true });
        self.writes.spawn(tell_unschedulable(self.ctx.clone(), key, why));
    }

    fn start_due(&mut self, now: Instant) {
        while let Some(entry) = self.later.first_entry().filter(|entry| entry.key().0 <= now) {
            if self.status_writes >= LATER_WRITES_MAX || self.writes.len() >= WRITES_MAX {
                return;
            }
            match entry.remove() {
                Later::Tell(key) => {
                    if let Some(told) = self.told.get_mut(&key) {
                        told.is_busy = false;
                    }
                    self.to_tell.insert(key);
                }
                Later::Scheduled(key) => {
                    self.status_writes += 1;
                    self.writes.spawn(tell_scheduled(self.ctx.clone(), key));
                }
                Later::Verify(key, decided) => {
                    self.status_writes += 1;
                    self.writes.spawn(verify(self.ctx.clone(), key, decided));
                }
            }
        }
    }

    fn at(&mut self, at: Instant, later: Later) {
        self.sequence += 1;
        self.later.insert((at, self.sequence), later);
    }

    fn finished(&mut self, done: Done) {
        match done {
            Done::Binding { key, result: Ok(()), .. } => {
                self.failures.remove(&key);
                // A task that says that it cannot be placed is corrected at once.
                let delay = if self.told.remove(&key).is_some() { Duration::ZERO } else { SCHEDULED_DELAY };
                self.at(Instant::now() + delay, Later::Scheduled(key));
            }
            Done::Binding { key, decided, result: Err(why) } => {
                // What was set aside stays so until the task has been read: the write may have come through.
                let wait = match why {
                    Unbound::Failed(error) if !error.is_conflict() && !error.is_not_found() => {
                        tracing::warn!(task = %key, error = chain(&error), "a task could not be bound");
                        let failures = self.failures.entry(key.clone()).or_default();
                        *failures += 1;
                        RETRY_MIN.saturating_mul(1 << (*failures).min(10)).min(RETRY_MAX)
                    }
                    Unbound::Changed | Unbound::Failed(_) => Duration::ZERO,
                };
                self.at(Instant::now() + wait, Later::Verify(key, decided));
            }
            Done::Verified { key, decided, ok: true } => {
                self.status_writes -= 1;
                self.book.withdraw(&key, &decided.uid);
                self.book.task(&key, self.ctx.store::<Task>().get(&key).as_deref());
                if self.ctx.store::<Task>().get(&key).is_none() {
                    self.failures.remove(&key);
                }
            }
            Done::Verified { key, decided, ok: false } => {
                self.status_writes -= 1;
                self.at(Instant::now() + RETRY_MAX, Later::Verify(key, decided));
            }
            Done::Told { key, ok } => {
                if let Some(told) = self.told.get_mut(&key) {
                    told.is_busy = false;
                    if !ok {
                        // Not what it says, then: written again when its time comes.
                        told.why.clear();
                    }
                    self.to_tell.insert(key);
                }
            }
            Done::Status => self.status_writes -= 1,
        }
    }
}

async fn bind(ctx: Context, key: Key, decided: Assumed) -> Done {
    let task = ctx.store::<Task>().get(&key);
    let result = match task.as_deref().and_then(|task| binding::patch(task, &decided)) {
        Some(patch) => ctx
            .patch::<Task>(&key, &patch)
            .await
            .map(|_| {
                tracing::info!(task = %key, node = decided.node, "task placed");
            })
            .map_err(Unbound::Failed),
        None => Err(Unbound::Changed),
    };
    Done::Binding { key, decided, result }
}

/// Reads the task from the API server, which puts it into the store as it is.
async fn verify(ctx: Context, key: Key, decided: Assumed) -> Done {
    let ok = match ctx.get::<Task>(&key).await {
        Ok(_) => true,
        Err(error) => {
            tracing::warn!(task = %key, error = chain(&error), "a task whose binding failed could not be read");
            false
        }
    };
    Done::Verified { key, decided, ok }
}

async fn tell_scheduled(ctx: Context, key: Key) -> Done {
    if let Some(task) = ctx.store::<Task>().get(&key)
        && let Some(fields) = status::scheduled(&task, &ctx.now_time())
    {
        let node = task.spec.node_name.as_deref().unwrap_or_default();
        ctx.event(&*task, EventType::Normal, "Scheduled", format!("placed on node {node}"));
        let _ = apply(&ctx, &key, fields).await;
    }
    Done::Status
}

async fn tell_unschedulable(ctx: Context, key: Key, why: String) -> Done {
    let mut ok = true;
    if let Some(task) = ctx.store::<Task>().get(&key)
        && task.spec.node_name.is_none()
        && let Some(fields) = status::unschedulable(&task, &why, &ctx.now_time())
    {
        ctx.event(&*task, EventType::Warning, "FailedScheduling", why);
        ok = apply(&ctx, &key, fields).await;
    }
    Done::Told { key, ok }
}

/// Whether it was written, or there is nobody left to tell.
async fn apply(ctx: &Context, key: &Key, fields: serde_json::Value) -> bool {
    match ctx.apply_status::<Task>(key, fields, MANAGER).await {
        Ok(_) => true,
        Err(error) if error.is_not_found() => true,
        Err(error) => {
            tracing::warn!(task = %key, error = chain(&error), "a task's status could not be written");
            false
        }
    }
}
