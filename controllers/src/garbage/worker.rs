//! The loop: watches of all kinds fill the graph, what changed is looked at, by several workers.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use kube::Client;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::collect::Collector;
use super::graph::{Thing, Uid};
use super::kinds;
use super::seen::Seen;
use crate::driver::informer::{self, Sink, chain};
use crate::driver::queue::Queue;
use crate::driver::{Context, Error, Key, Row};

/// Kinds come and go with their definitions, which are watched; this is for what those watches miss.
const DISCOVER_EVERY: Duration = Duration::from_secs(30);
/// After a definition changed: it is served a moment later.
const DISCOVER_SOON: Duration = Duration::from_millis(100);
/// After discovery failed.
const DISCOVER_RETRY: Duration = Duration::from_secs(1);
/// Events on their way from the watches to the graph; a full queue slows the watches down.
const EVENTS_MAX: usize = 1024;
/// Events taken at a time before workers are looked after again.
const EVENTS_BATCH: usize = 256;
/// Objects that are looked at at a time.
const WORKERS_MAX: usize = 16;
/// Nothing is collected before all kinds were listed once, or this long: one kind that cannot be listed must not
/// keep the others' garbage for ever. What is decided is verified live either way.
const FIRST_LISTS_MAX: Duration = Duration::from_secs(30);

/// What a watch tells.
enum Told {
    Put(Uid, Thing),
    Gone(Arc<Row>, Uid),
    /// The whole list was told; these are all.
    Listed(Arc<Row>, HashSet<Uid>),
}

struct Work {
    collector: Arc<Collector>,
    queue: Queue,
    workers: JoinSet<(Key, Result<(), Error>)>,
    watches: HashMap<Arc<Row>, AbortHandle>,
    tasks: JoinSet<()>,
    sender: mpsc::Sender<Told>,
    /// Kinds whose first list is not here yet.
    unlisted: HashSet<Arc<Row>>,
    discover_at: Instant,
}

/// Runs until the token is cancelled.
pub(crate) async fn run(ctx: Context, stop: CancellationToken) {
    let (sender, mut told) = mpsc::channel(EVENTS_MAX);
    let collector = Arc::new(Collector::new(ctx));
    let mut work = Work {
        collector,
        queue: Queue::default(),
        workers: JoinSet::new(),
        watches: HashMap::new(),
        tasks: JoinSet::new(),
        sender,
        unlisted: HashSet::new(),
        discover_at: Instant::now(),
    };
    let started = Instant::now();
    let mut batch = Vec::with_capacity(EVENTS_BATCH);
    loop {
        let has_all = !work.watches.is_empty() && work.unlisted.is_empty();
        if has_all || started.elapsed() > FIRST_LISTS_MAX {
            work.start();
        }
        let next = work.queue.next_due().map_or(work.discover_at, |due| due.min(work.discover_at));
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep_until(next) => {
                if Instant::now() >= work.discover_at {
                    work.discover().await;
                }
            }
            _ = told.recv_many(&mut batch, EVENTS_BATCH) => {
                for told in batch.drain(..) {
                    work.hear(told);
                }
            }
            Some(done) = work.workers.join_next(), if !work.workers.is_empty() => match done {
                Ok((key, result)) => work.done(&key, result),
                // The key stays active and is not looked at again by this leader: better than a loop of panics.
                Err(error) => tracing::error!(%error, "a garbage worker panicked"),
            },
            Some(_) = work.tasks.join_next(), if !work.tasks.is_empty() => {}
        }
    }
}

impl Work {
    fn start(&mut self) {
        while self.workers.len() < WORKERS_MAX {
            let Some(key) = self.queue.take(Instant::now()) else { break };
            let collector = self.collector.clone();
            self.workers.spawn(async move {
                let result = collector.look(&key.name).await;
                (key, result)
            });
        }
    }

    fn done(&mut self, key: &Key, result: Result<(), Error>) {
        match result {
            Ok(()) => self.queue.succeeded(key),
            Err(error) => {
                let wait = self.queue.failed(key, 0.5);
                if error.is_conflict() {
                    tracing::debug!(uid = key.name, "an object changed while it was looked at");
                } else {
                    tracing::warn!(uid = key.name, error = chain(&error), "garbage could not be looked at");
                }
                self.queue.add_at(key.clone(), Instant::now() + wait);
            }
        }
        self.queue.done(key);
    }

    fn hear(&mut self, told: Told) {
        let look = match told {
            Told::Put(uid, thing) => {
                self.note_definition(&thing.row);
                self.collector.graph.lock().put(&uid, thing)
            }
            Told::Gone(row, uid) => {
                self.note_definition(&row);
                let look = self.collector.graph.lock().remove(&uid);
                self.collector.note_gone(uid);
                look
            }
            Told::Listed(row, uids) => {
                self.unlisted.remove(&row);
                let (gone, look) = self.collector.graph.lock().keep_only(&row, &uids);
                gone.into_iter().for_each(|uid| self.collector.note_gone(uid));
                look
            }
        };
        look.into_iter().for_each(|uid| self.queue.add(Key::cluster(&*uid)));
    }

    /// A definition of kinds changed: look soon which kinds there are.
    fn note_definition(&mut self, row: &Row) {
        if row.group == "apiextensions.k8s.io" {
            self.discover_at = self.discover_at.min(Instant::now() + DISCOVER_SOON);
        }
    }

    async fn discover(&mut self) {
        let served = match kinds::discover(self.collector.ctx.client()).await {
            Ok(served) => served,
            Err(error) => {
                tracing::warn!(%error, "which kinds are served could not be found out");
                self.discover_at = Instant::now() + DISCOVER_RETRY;
                return;
            }
        };
        self.discover_at = Instant::now() + DISCOVER_EVERY;
        let wanted: HashSet<Arc<Row>> =
            served.iter().filter(|served| served.is_collected()).map(|served| served.row.clone()).collect();
        *self.collector.kinds.write() = served;
        self.watches.retain(|row, watch| {
            let stays = wanted.contains(row);
            if !stays {
                watch.abort();
                self.unlisted.remove(row);
                // Its objects went with the kind, or will be listed again with it: no word about their ends.
                let (_, look) = self.collector.graph.lock().keep_only(row, &HashSet::new());
                look.into_iter().for_each(|uid| self.queue.add(Key::cluster(&*uid)));
            }
            stays
        });
        for row in wanted {
            if !self.watches.contains_key(&row) {
                let client = self.collector.ctx.client().clone();
                let watch = self.tasks.spawn(follow(client, row.clone(), self.sender.clone()));
                self.unlisted.insert(row.clone());
                self.watches.insert(row, watch);
            }
        }
    }
}

/// Tells of all objects of a kind, for ever: the list, then each change, the list again when the thread was lost.
async fn follow(client: Client, row: Arc<Row>, told: mpsc::Sender<Told>) {
    informer::follow(&client, &Ears { row, told }).await;
}

/// Hears of one kind.
struct Ears {
    row: Arc<Row>,
    told: mpsc::Sender<Told>,
}

impl Ears {
    async fn tell(&self, told: Told) {
        // Nobody listens any more only when this task is about to be ended, too.
        let _ = self.told.send(told).await;
    }
}

impl Sink for Ears {
    type Item = Seen;

    const METADATA_ONLY: bool = true;

    fn row(&self) -> &Row {
        &self.row
    }

    fn read(&self, json: &str) -> Result<Seen, serde_json::Error> {
        Seen::read(&self.row, json)
    }

    fn revision(item: &Seen) -> u64 {
        item.revision
    }

    async fn listed(&self, _: u64, items: Vec<Seen>) {
        let uids = items.iter().map(|seen| seen.uid.clone()).collect();
        for seen in items {
            self.changed(seen).await;
        }
        self.tell(Told::Listed(self.row.clone(), uids)).await;
    }

    async fn changed(&self, seen: Seen) {
        self.tell(Told::Put(seen.uid, seen.thing)).await;
    }

    async fn ended(&self, seen: Seen) {
        self.tell(Told::Gone(self.row.clone(), seen.uid)).await;
    }

    fn passed(&self, _: u64) {}

    fn lost_touch(&self, verb: &str, error: &Error) {
        // A kind may go while it is watched.
        tracing::debug!(kind = %self.row.kind, verb, error = chain(error), "a kind could not be followed; trying again");
    }
}
