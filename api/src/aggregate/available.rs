//! Whether the servers behind this one are there: asked at once when something changes, and again and again.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use berth_store::cache::{Entry, EventType, Filter, Gone, WatchItem, Watcher};
use berth_types::names::LABEL_SERVICE;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::check::{Learned, check};
use super::condition::{Condition, tell};
use super::priority;
use super::table::{PLURAL, Remote};
use crate::inner::Inner;

/// How often a server that is there is asked.
const INTERVAL: Duration = Duration::from_secs(30);
/// How soon one that is not there is asked again; twice as late each time, up to the interval.
const RETRY: Duration = Duration::from_secs(1);
/// The tasks of a service change often: a change is looked at no sooner than this after the last look.
const PAUSE: Duration = Duration::from_millis(200);
/// Servers that are asked at the same time.
const CHECKS_MAX: usize = 16;

/// What is known of one APIService between two checks.
struct Watched {
    remote: Arc<Remote>,
    due: Instant,
    asked: Option<Instant>,
    failures: u32,
    is_running: bool,
}

type Outcome = (Arc<Remote>, Condition, Option<Learned>);

struct Follower {
    server: Arc<Inner>,
    watched: HashMap<String, Watched>,
    running: JoinSet<Outcome>,
    /// The tasks of the services that are meant, as (namespace, service).
    tasks: Option<(HashSet<(String, String)>, Watcher)>,
}

/// Looks after the condition `Available` of every APIService until the server stops.
pub(super) async fn follow(server: Arc<Inner>) {
    let stop = server.stop.clone();
    let follower = Follower { server, watched: HashMap::new(), running: JoinSet::new(), tasks: None };
    tokio::select! {
        () = stop.cancelled() => {}
        () = follower.run() => {}
    }
}

impl Follower {
    async fn run(mut self) {
        let rows = self.server.registry.snapshot();
        let Some(row) = rows.any_version(priority::GROUP, PLURAL) else { return };
        let cache = Arc::clone(&row.storage.cache);
        drop(rows);
        loop {
            let Ok((snapshot, mut services)) = cache.snapshot_and_watch(Filter::default()) else {
                tokio::time::sleep(RETRY).await;
                continue;
            };
            for entry in snapshot.iter() {
                self.settle_local(entry).await;
            }
            loop {
                self.take_over();
                self.start_checks();
                let wake = self.next_due();
                let is_gone = tokio::select! {
                    batch = services.next_batch() => match batch {
                        Ok(items) => {
                            for item in items.iter().filter(|item| item.kind != EventType::Deleted) {
                                self.settle_local(item.entry()).await;
                            }
                            false
                        }
                        Err(_) => true,
                    },
                    batch = next_batch(&mut self.tasks) => { self.on_tasks(batch); false }
                    Some(done) = self.running.join_next(), if !self.running.is_empty() => {
                        if let Ok(outcome) = done { self.on_outcome(outcome).await; }
                        false
                    }
                    () = tokio::time::sleep_until(wake) => false,
                };
                if is_gone {
                    break;
                }
            }
        }
    }

    /// Makes what is watched agree with what is stored.
    fn take_over(&mut self) {
        let table = super::table(&self.server);
        let gone: Vec<String> = self
            .watched
            .keys()
            .filter(|name| !table.remotes.iter().any(|remote| remote.name == **name))
            .cloned()
            .collect();
        for name in gone {
            self.watched.remove(&name);
            self.server.aggregate.learn(&name, None);
        }
        let now = Instant::now();
        for remote in &table.remotes {
            match self.watched.get_mut(&remote.name) {
                Some(watched) => {
                    if !watched.remote.asks_as(remote) {
                        watched.due = now;
                    }
                    watched.remote = Arc::clone(remote);
                }
                None => {
                    let remote = Arc::clone(remote);
                    let name = remote.name.clone();
                    let new = Watched { remote, due: now, asked: None, failures: 0, is_running: false };
                    self.watched.insert(name, new);
                }
            }
        }
        self.watch_tasks();
    }

    /// Watches the tasks of the services that are meant, and no others.
    fn watch_tasks(&mut self) {
        let meant: HashSet<(String, String)> =
            self.watched.values().map(|w| (w.remote.namespace.clone(), w.remote.service.clone())).collect();
        if self.tasks.as_ref().map_or(meant.is_empty(), |(known, _)| *known == meant) {
            return;
        }
        self.tasks = None;
        if meant.is_empty() {
            return;
        }
        let rows = self.server.registry.snapshot();
        let Some(row) = rows.any_version(berth_types::GROUP, "tasks") else { return };
        let known = meant.clone();
        let filter = Filter {
            predicate: Some(Arc::new(move |task| {
                let service = task.label(LABEL_SERVICE);
                service.is_some_and(|service| known.contains(&(task.namespace().to_owned(), service.to_owned())))
            })),
            ..Filter::default()
        };
        if let Ok((_, watcher)) = row.storage.cache.snapshot_and_watch(filter) {
            self.tasks = Some((meant, watcher));
        }
    }

    fn on_tasks(&mut self, batch: Result<Vec<WatchItem>, Gone>) {
        let Ok(items) = batch else {
            // What was missed is found out by asking.
            self.tasks = None;
            self.watched.values_mut().for_each(|watched| watched.due = Instant::now());
            return;
        };
        let now = Instant::now();
        for item in &items {
            let entry = item.entry();
            for watched in self.watched.values_mut() {
                let (remote, asked) = (&watched.remote, watched.asked);
                if remote.namespace == entry.namespace() && entry.label(LABEL_SERVICE) == Some(&remote.service) {
                    watched.due = watched.due.min(asked.map_or(now, |asked| now.max(asked + PAUSE)));
                }
            }
        }
    }

    fn start_checks(&mut self) {
        let now = Instant::now();
        let due = self.watched.values_mut().filter(|watched| !watched.is_running && watched.due <= now);
        for watched in due.take(CHECKS_MAX.saturating_sub(self.running.len())) {
            watched.is_running = true;
            watched.asked = Some(now);
            watched.due = now + INTERVAL;
            let (server, remote) = (Arc::clone(&self.server), Arc::clone(&watched.remote));
            self.running.spawn(async move {
                let (condition, learned) = check(&server, &remote).await;
                (remote, condition, learned)
            });
        }
    }

    fn next_due(&self) -> Instant {
        let due = self.watched.values().filter(|watched| !watched.is_running).map(|watched| watched.due).min();
        // Those that wait for a place are started when a check ends.
        let far = Instant::now() + INTERVAL;
        if self.running.len() >= CHECKS_MAX { far } else { due.unwrap_or(far) }
    }

    async fn on_outcome(&mut self, (remote, condition, learned): Outcome) {
        let Some(watched) = self.watched.get_mut(&remote.name) else { return };
        watched.is_running = false;
        if !watched.remote.asks_as(&remote) {
            // It was asked at another place than where it is now.
            watched.due = Instant::now();
            return;
        }
        if condition.is_true() {
            watched.failures = 0;
        } else {
            let wait = INTERVAL.min(RETRY * 2_u32.saturating_pow(watched.failures.min(8)));
            watched.failures = watched.failures.saturating_add(1);
            watched.due = watched.due.min(Instant::now() + wait);
        }
        let aggregate = &self.server.aggregate;
        if let Some(learned) = learned
            && aggregate.learned(&remote.name).is_none_or(|before| !before.shows_the_same(&learned))
        {
            aggregate.learn(&remote.name, Some(learned));
        }
        tell(&self.server, &remote.name, &condition).await;
    }

    /// An APIService of what is served here is there, whatever it was before.
    async fn settle_local(&self, entry: &Entry) {
        let name = entry.name();
        if super::table(&self.server).remotes.iter().any(|remote| remote.name == name) {
            return;
        }
        tell(&self.server, name, &Condition::local()).await;
    }
}

/// The next changes of tasks; never comes while none are watched.
async fn next_batch(tasks: &mut Option<(HashSet<(String, String)>, Watcher)>) -> Result<Vec<WatchItem>, Gone> {
    match tasks {
        Some((_, watcher)) => watcher.next_batch().await,
        None => std::future::pending().await,
    }
}
