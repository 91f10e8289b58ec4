//! Runs one reconciler: changes of the watched kinds fill its queue, workers empty it.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::informer::chain;
use super::queue::Queue;
use super::store::Entry;
use super::{Context, Error, Key, Next, Reconciler, Watch};

/// A time to look again is checked at least this often: the wall clock may jump, the timer does not.
const LOOK_AGAIN_MAX: Duration = Duration::from_secs(60);
/// How long a stopping controller waits for the reconciles that it has begun: by then another manager may act.
/// What they leave undone, the next manager finds undone.
const STOP_GRACE: Duration = crate::leader::STOP_WITHIN;

/// The queue and the bell that says that something is in it.
#[derive(Debug, Default)]
struct Inbox {
    queue: Mutex<Queue>,
    bell: Notify,
}

/// Runs until the token is cancelled. The stores of all watched kinds must be open and their informers running.
pub async fn run(reconciler: Arc<dyn Reconciler>, ctx: Context, stop: CancellationToken) {
    let watches = reconciler.watches();
    tokio::select! {
        () = synced(&watches, &ctx) => {}
        () = stop.cancelled() => return,
    }
    let inbox = Arc::new(Inbox::default());
    for watch in watches {
        listen(watch, &ctx, &inbox);
    }
    work(&reconciler, &ctx, &inbox, &stop).await;
}

/// Waits until the stores of these kinds have been filled once.
pub async fn synced(watches: &[Watch], ctx: &Context) {
    for watch in watches {
        let mut synced = (watch.open)(&ctx.shared.stores).synced();
        // The sender lives as long as the store, which the context holds.
        let _ = synced.wait_for(|synced| *synced).await;
    }
}

fn listen(watch: Watch, ctx: &Context, inbox: &Arc<Inbox>) {
    let store = (watch.open)(&ctx.shared.stores);
    let (ctx, inbox, map) = (ctx.clone(), inbox.clone(), watch.map);
    store.listen(Arc::new(move |old: Option<&Arc<Entry>>, new: Option<&Arc<Entry>>| {
        // Both, because a change may move the object from one key to another.
        let keys: Vec<Key> = [old, new].into_iter().flatten().flat_map(|entry| map(&*entry.object, &ctx)).collect();
        if keys.is_empty() {
            return;
        }
        let mut queue = inbox.queue.lock();
        keys.into_iter().for_each(|key| queue.add(key));
        drop(queue);
        inbox.bell.notify_one();
    }));
}

type Worked = Result<Next, Error>;

async fn work(reconciler: &Arc<dyn Reconciler>, ctx: &Context, inbox: &Arc<Inbox>, stop: &CancellationToken) {
    let mut workers: JoinSet<Worked> = JoinSet::new();
    let mut active: HashMap<Id, (Key, Instant)> = HashMap::new();
    let random = RandomState::new();
    loop {
        while active.len() < reconciler.concurrency() {
            let Some(key) = inbox.queue.lock().take(Instant::now()) else { break };
            let started = Instant::now();
            let (reconciler, ctx, of) = (reconciler.clone(), ctx.clone(), key.clone());
            let worker = workers.spawn(async move { reconciler.reconcile(&of, &ctx).await });
            active.insert(worker.id(), (key, started));
        }
        let due = inbox.queue.lock().next_due();
        ctx.metrics().queued(ctx.controller, inbox.queue.lock().len());
        tokio::select! {
            () = inbox.bell.notified() => {}
            () = at(due) => {}
            Some(ended) = workers.join_next_with_id() => {
                let id = match &ended { Ok((id, _)) => *id, Err(error) => error.id() };
                if let Some((key, started)) = active.remove(&id) {
                    settle(ctx, inbox, &key, started.elapsed(), ended.map(|(_, worked)| worked), &random);
                }
            }
            () = stop.cancelled() => break,
        }
    }
    let _ = tokio::time::timeout(STOP_GRACE, async { while workers.join_next().await.is_some() {} }).await;
}

async fn at(due: Option<Instant>) {
    match due {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// Decides when the key comes again.
fn settle(
    ctx: &Context,
    inbox: &Inbox,
    key: &Key,
    took: Duration,
    ended: Result<Worked, JoinError>,
    random: &RandomState,
) {
    let mut queue = inbox.queue.lock();
    queue.done(key);
    let now = Instant::now();
    let result = match &ended {
        Ok(Ok(next)) => {
            queue.succeeded(key);
            let wait = match next {
                Next::Changed => None,
                Next::After(wait) => Some(*wait),
                Next::At(time) => Some(Duration::try_from(time.duration_since(ctx.now())).unwrap_or(Duration::ZERO)),
            };
            if let Some(wait) = wait {
                queue.add_at(key.clone(), now + wait.min(LOOK_AGAIN_MAX));
            }
            "ok"
        }
        other => {
            let jitter = (random.hash_one((key, now)) % 1000) as f64 / 1000.0;
            let wait = queue.failed(key, jitter);
            queue.add_at(key.clone(), now + wait);
            match other {
                Ok(Err(error)) if error.is_conflict() => "conflict",
                Ok(Err(error)) => {
                    tracing::warn!(controller = ctx.controller, %key, error = chain(error), ?wait, "reconcile failed");
                    "error"
                }
                Err(error) => {
                    tracing::error!(controller = ctx.controller, %key, %error, ?wait, "reconcile panicked");
                    "panic"
                }
                Ok(Ok(_)) => "ok",
            }
        }
    };
    drop(queue);
    ctx.metrics().reconciled(ctx.controller, result, took);
}
