//! The async edge: requests come in, wait for their turn, and give their seats back.

use std::collections::HashMap;
use std::future::Future;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::bootstrap;
use crate::level::{Grant, Level, LevelReport, RejectReason, Rejected, nanos, wake};
use crate::limits::{self, Claim};
use crate::matching::RequestFacts;
use crate::plan::{self, Named, Plan};
use crate::queues::{Entry, Ticket};
use crate::spec::{FlowSchemaSpec, PriorityLevelSpec};
use crate::width::{Cost, Width};

/// How often [`Fairness::adjust`] should be called.
pub const ADJUST_PERIOD: Duration = Duration::from_secs(10);

/// How many seats there are, and how long one may wait for them.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Seats of all levels together.
    pub seats: u32,
    /// After this time in a queue a request is sent away.
    pub queue_wait: Duration,
}

impl Default for Options {
    /// Upstream's: 400 reads and 200 writes in flight, and a quarter of a request's 60 s in a queue.
    fn default() -> Self {
        Self { seats: 600, queue_wait: Duration::from_secs(15) }
    }
}

/// Decides whose request is worked on. Clones share everything.
#[derive(Clone, Debug)]
pub struct Fairness {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    options: Options,
    plan: ArcSwap<Plan<Arc<Level>>>,
    levels: Mutex<HashMap<String, Arc<Level>>>,
    /// Makes the hands of flows differ between servers: nobody can choose a name that meets another's queues.
    seed: RandomState,
    epoch: Instant,
}

/// The seats of a request; they are free again when this is dropped.
#[derive(Debug)]
#[must_use = "the seats are given back when this is dropped"]
pub struct Seat {
    plan: Arc<Plan<Arc<Level>>>,
    schema: usize,
    grant: Grant,
}

impl Fairness {
    /// With the objects that every server has; [`configure`](Self::configure) follows the stored ones.
    pub fn new(options: Options) -> Self {
        let shared = Shared {
            options,
            plan: ArcSwap::from_pointee(Plan::new(Vec::new(), |_| None)),
            levels: Mutex::default(),
            seed: RandomState::new(),
            epoch: Instant::now(),
        };
        let fairness = Self { shared: Arc::new(shared) };
        fairness.configure(bootstrap::schemas(), bootstrap::levels());
        fairness
    }

    /// Puts these objects in force; mandatory ones that are missing are taken as they must be. Requests that wait or
    /// run go on where they are. Schemas that name a level that does not exist are passed over.
    pub fn configure(&self, schemas: Vec<Named<FlowSchemaSpec>>, stored: Vec<Named<PriorityLevelSpec>>) {
        let stored = plan::completed(stored, bootstrap::levels());
        let specs: Vec<_> = stored.iter().map(|level| &level.spec).collect();
        let bounds = limits::divide(self.shared.options.seats, &specs);
        let mut levels = self.shared.levels.lock();
        let mut kept = HashMap::with_capacity(stored.len());
        for (object, bounds) in stored.iter().zip(bounds) {
            let level = levels.remove(&object.name).unwrap_or_else(|| Level::new(&object.name, self.shared.epoch));
            level.configure(object, bounds);
            kept.insert(object.name.clone(), level);
        }
        let schemas = plan::completed(schemas, bootstrap::schemas());
        let uid = |name: &str| stored.iter().find(|level| level.name == name).map_or("", |level| level.uid.as_str());
        let plan = Plan::new(schemas, |name| kept.get(name).map(|level| (Arc::clone(level), uid(name))));
        *levels = kept;
        self.shared.plan.store(Arc::new(plan));
        drop(levels);
        self.adjust();
    }

    /// Lends what levels did not use in the last period to those that want more.
    pub fn adjust(&self) {
        let levels = self.shared.levels.lock();
        let mut levels: Vec<Arc<Level>> = levels.values().cloned().collect();
        levels.sort_by(|a, b| a.name.cmp(&b.name));
        let claims: Vec<Claim> = levels.iter().map(|level| level.claim()).collect();
        for (level, seats) in levels.iter().zip(limits::adjust(&claims)) {
            level.set_seats(seats);
        }
    }

    /// Which schema and level a request belongs to.
    pub fn classify(&self, facts: &RequestFacts<'_>) -> Class {
        let plan = self.shared.plan.load_full();
        let (schema, flow) = plan.classify(facts);
        let hash = self.flow_hash(&plan.schema(schema).name, flow);
        Class { plan, schema, hash, queue_wait: self.shared.options.queue_wait }
    }

    /// Waits for the seats of a request.
    ///
    /// # Errors
    /// When it is sent away: its queue is full, or it waited too long.
    pub fn enter(&self, facts: &RequestFacts<'_>) -> impl Future<Output = Result<Seat, Rejected>> + Send + use<> {
        self.classify(facts).enter(facts.cost)
    }

    fn flow_hash(&self, schema: &str, flow: &str) -> u64 {
        let mut hasher = self.shared.seed.build_hasher();
        hasher.write(schema.as_bytes());
        hasher.write_u8(0);
        hasher.write(flow.as_bytes());
        hasher.finish()
    }

    /// The state of all levels, by name.
    pub fn report(&self) -> Vec<LevelReport> {
        let mut reports: Vec<_> = self.shared.levels.lock().values().map(|level| level.report()).collect();
        reports.sort_by(|a, b| a.name.cmp(&b.name));
        reports
    }
}

/// Where a request belongs.
#[derive(Clone, Debug)]
pub struct Class {
    plan: Arc<Plan<Arc<Level>>>,
    schema: usize,
    /// Of its flow.
    hash: u64,
    queue_wait: Duration,
}

impl Class {
    /// Name of the flow schema.
    pub fn schema(&self) -> &str {
        &self.plan.schema(self.schema).name
    }

    /// Name of the priority level.
    pub fn level(&self) -> &str {
        &self.plan.schema(self.schema).level.name
    }

    /// Empty while the object is not stored.
    pub fn schema_uid(&self) -> &str {
        &self.plan.schema(self.schema).uid
    }

    /// Empty while the object is not stored.
    pub fn level_uid(&self) -> &str {
        &self.plan.schema(self.schema).level_uid
    }

    /// Waits for the seats of a request that costs this.
    ///
    /// # Errors
    /// When it is sent away: its queue is full, or it waited too long.
    pub fn enter(self, cost: Cost) -> impl Future<Output = Result<Seat, Rejected>> + Send + use<> {
        let queue_wait = self.queue_wait;
        let asked = self.ask(cost);
        async move {
            match asked {
                Asked::Done(done) => done,
                Asked::Wait(waiting) => waiting.turn(queue_wait).await,
            }
        }
    }

    fn ask(self, cost: Cost) -> Asked {
        let Self { plan, schema, hash, .. } = self;
        let level = Arc::clone(&plan.schema(schema).level);
        let now = nanos(level.epoch);
        let mut waiter = None;
        let mut state = level.state.lock();
        let width = Width::of(cost, state.bounds.request_max);
        let entry = state.queues.enter(now, hash, width, || {
            let (sender, receiver) = oneshot::channel();
            waiter = Some(receiver);
            sender
        });
        match (entry, waiter) {
            (Entry::Run(run), _) => {
                state.counts.dispatched += 1;
                state.note(now);
                drop(state);
                Asked::Done(Ok(Seat { plan, schema, grant: Grant { level, run: Some(run) } }))
            }
            (Entry::Wait(ticket), Some(receiver)) => {
                // Seats may be free although others wait: they wait for more of them than there are.
                let started = level.dispatch(state, now);
                wake(started);
                Asked::Wait(Waiting { plan, schema, level, ticket, receiver })
            }
            _ => {
                let reason =
                    if state.queues.has_queues() { RejectReason::QueueFull } else { RejectReason::ConcurrencyLimit };
                Asked::Done(Err(state.reject(now, reason, plan.schema(schema))))
            }
        }
    }
}

enum Asked {
    Done(Result<Seat, Rejected>),
    Wait(Waiting),
}

/// A request that waits for its turn.
struct Waiting {
    plan: Arc<Plan<Arc<Level>>>,
    schema: usize,
    level: Arc<Level>,
    ticket: Ticket,
    receiver: oneshot::Receiver<Grant>,
}

impl Waiting {
    async fn turn(self, patience: Duration) -> Result<Seat, Rejected> {
        // Leaves the queue however this ends, even when the client goes away.
        let mut place = Place(self);
        let turn = tokio::time::timeout(patience, &mut place.0.receiver).await;
        let Waiting { plan, schema, level, .. } = &place.0;
        match turn {
            Ok(Ok(grant)) => Ok(Seat { plan: Arc::clone(plan), schema: *schema, grant }),
            // The sender is dropped only by `cancel`, which only this request calls.
            Ok(Err(_)) | Err(_) => {
                let mut state = level.state.lock();
                Err(state.reject(nanos(level.epoch), RejectReason::TimeOut, plan.schema(*schema)))
            }
        }
    }
}

/// A place in a queue, left when this is dropped.
struct Place(Waiting);

impl Drop for Place {
    fn drop(&mut self) {
        let level = &self.0.level;
        let now = nanos(level.epoch);
        let mut state = level.state.lock();
        // If it has its seats already they come back when the receiver drops them.
        if state.queues.cancel(now, self.0.ticket) {
            state.note(now);
            let started = level.dispatch(state, now);
            wake(started);
        }
    }
}

impl Seat {
    /// Name of the flow schema.
    pub fn schema(&self) -> &str {
        &self.plan.schema(self.schema).name
    }

    /// Name of the priority level.
    pub fn level(&self) -> &str {
        &self.grant.level.name
    }

    /// Empty while the object is not stored.
    pub fn schema_uid(&self) -> &str {
        &self.plan.schema(self.schema).uid
    }
}
