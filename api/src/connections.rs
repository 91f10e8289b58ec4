//! The connections of a listener: how many there may be, and which one goes when there are too many.
//!
//! Whoever connects and asks for nothing takes a place that another could use. When all are taken, those that have
//! asked for nothing yet go first, the oldest before the younger; then those that have been quiet the longest. One
//! with a request in work, or an open stream, never goes.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Connections at the same time, as far as the system gives descriptors: an idle one costs about 30 KiB.
const CONNECTIONS_MAX: usize = 8_192;
/// Descriptors that connections leave to the rest of the server: store, logs, webhooks, agents.
const DESCRIPTORS_SPARED: u64 = 256;
/// When there is no room so many make room at once: to look for the quietest costs as much for one as for all.
const EVICTED_PART: usize = 64;

/// The connections of a listener.
#[derive(Clone, Debug)]
pub(crate) struct Connections {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    max: usize,
    open: Mutex<HashMap<u64, Arc<Activity>>>,
    next: AtomicU64,
    /// One has ended.
    freed: Notify,
    epoch: Instant,
}

/// What a connection does.
#[derive(Debug, Default)]
struct Activity {
    /// Requests that are worked on, and streams that are open.
    busy: AtomicU64,
    /// Requests so far.
    asked: AtomicU64,
    /// When it was last heard of, in milliseconds since the listener began.
    heard_ms: AtomicU64,
    gone: CancellationToken,
}

/// One connection's place; given back when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    connections: Connections,
    number: u64,
    activity: Arc<Activity>,
}

/// A request that is worked on, or an open stream.
#[derive(Debug)]
pub(crate) struct Busy {
    activity: Arc<Activity>,
    epoch: Instant,
}

impl Connections {
    /// As many as the system gives descriptors for, up to our own bound.
    pub(crate) fn new() -> Self {
        Self::with_max(max_of(descriptors()))
    }

    fn with_max(max: usize) -> Self {
        let shared = Shared {
            max,
            open: Mutex::default(),
            next: AtomicU64::new(0),
            freed: Notify::new(),
            epoch: Instant::now(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Waits for a place. When there is none the quietest have to go.
    pub(crate) async fn enter(&self) -> Place {
        loop {
            let freed = self.shared.freed.notified();
            if let Some(place) = self.try_enter() {
                return place;
            }
            self.evict();
            freed.await;
        }
    }

    fn try_enter(&self) -> Option<Place> {
        let mut open = self.shared.open.lock();
        if open.len() >= self.shared.max {
            return None;
        }
        let number = self.shared.next.fetch_add(1, Ordering::Relaxed);
        let activity = Arc::new(Activity::default());
        activity.heard(self.shared.epoch);
        open.insert(number, Arc::clone(&activity));
        Some(Place { connections: self.clone(), number, activity })
    }

    /// Ends some of the quietest connections. If all are busy nobody goes, and the next one waits.
    fn evict(&self) {
        let open = self.shared.open.lock();
        let mut idle: Vec<_> = open
            .iter()
            .filter(|(_, one)| one.busy.load(Ordering::Acquire) == 0)
            .map(|(number, one)| {
                ((one.asked.load(Ordering::Relaxed) > 0, one.heard_ms.load(Ordering::Relaxed), *number), one)
            })
            .collect();
        idle.sort_unstable_by_key(|(order, _)| *order);
        let count = (self.shared.max / EVICTED_PART).max(1);
        for (_, one) in idle.into_iter().take(count) {
            one.gone.cancel();
        }
    }

    /// How many are open.
    #[cfg(test)]
    pub(crate) fn count(&self) -> usize {
        self.shared.open.lock().len()
    }
}

impl Activity {
    fn heard(&self, epoch: Instant) {
        let now = u64::try_from(epoch.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.heard_ms.store(now, Ordering::Relaxed);
    }
}

impl Place {
    /// Ends when the connection has to go.
    pub(crate) fn gone(&self) -> CancellationToken {
        self.activity.gone.clone()
    }

    /// A request has come.
    pub(crate) fn busy(&self) -> Busy {
        self.activity.busy.fetch_add(1, Ordering::AcqRel);
        self.activity.asked.fetch_add(1, Ordering::Relaxed);
        Busy { activity: Arc::clone(&self.activity), epoch: self.connections.shared.epoch }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.connections.shared.open.lock().remove(&self.number);
        self.connections.shared.freed.notify_one();
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.activity.heard(self.epoch);
        self.activity.busy.fetch_sub(1, Ordering::AcqRel);
    }
}

fn max_of(descriptors: Option<u64>) -> usize {
    // The rest of the server needs some, and a log or exec takes another one for the agent.
    let spared = descriptors.map_or(u64::MAX, |all| all.saturating_sub(DESCRIPTORS_SPARED) / 4 * 3);
    usize::try_from(spared).unwrap_or(usize::MAX).clamp(64, CONNECTIONS_MAX)
}

/// Descriptors that this process may have open; `None` is no limit.
fn descriptors() -> Option<u64> {
    rustix::process::getrlimit(rustix::process::Resource::Nofile).current
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_silent_go_first_then_the_quiet_and_never_the_busy() {
        let connections = Connections::with_max(3);
        let [busy, quiet, silent] = [connections.enter().await, connections.enter().await, connections.enter().await];
        let working = busy.busy();
        drop(quiet.busy());
        assert!(connections.try_enter().is_none());
        connections.evict();
        assert_eq!([&busy, &quiet, &silent].map(|place| place.gone().is_cancelled()), [false, false, true]);
        drop(silent);
        let newcomer = connections.try_enter().expect("there is room again");
        drop(newcomer.busy());
        connections.evict();
        assert!(quiet.gone().is_cancelled() && !busy.gone().is_cancelled());
        drop((quiet, newcomer, working, busy));
        assert_eq!(connections.count(), 0);
    }

    #[tokio::test]
    async fn a_newcomer_gets_the_place_of_the_one_that_goes() {
        let connections = Connections::with_max(1);
        let first = connections.enter().await;
        let gone = first.gone();
        let holder = tokio::spawn(async move {
            gone.cancelled().await;
            drop(first);
        });
        connections.enter().await;
        holder.await.unwrap();
    }

    #[test]
    fn the_rest_of_the_server_keeps_its_descriptors() {
        assert_eq!(max_of(Some(1_024)), 576);
        assert_eq!(max_of(Some(100)), 64);
        assert_eq!(max_of(None), CONNECTIONS_MAX);
    }
}
