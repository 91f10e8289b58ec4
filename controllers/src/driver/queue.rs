//! The work queue: which keys wait, which are worked on, which are due later. Pure; the time is handed in.
//!
//! A key is in it once. A key that is asked for while it is worked on comes again afterwards, so that no change is
//! missed and no two workers hold one key. Bounded by the number of keys that there are.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use super::Key;

/// The wait after the first failure of a key.
const BACKOFF_FIRST: Duration = Duration::from_millis(20);
/// The longest wait after failures of a key.
const BACKOFF_MAX: Duration = Duration::from_secs(60);

/// Keys to be worked on.
#[derive(Debug, Default)]
pub struct Queue {
    waiting: VecDeque<Key>,
    is_waiting: HashSet<Key>,
    active: HashSet<Key>,
    again: HashSet<Key>,
    later: BTreeSet<(Instant, Key)>,
    due: HashMap<Key, Instant>,
    failures: HashMap<Key, u32>,
}

impl Queue {
    /// Asks for the key to be worked on now.
    pub fn add(&mut self, key: Key) {
        if self.active.contains(&key) {
            self.again.insert(key);
        } else if self.is_waiting.insert(key.clone()) {
            self.waiting.push_back(key);
        }
    }

    /// Asks for the key to be worked on at some time; the earliest wish counts.
    pub fn add_at(&mut self, key: Key, at: Instant) {
        if let Some(old) = self.due.get(&key) {
            if *old <= at {
                return;
            }
            self.later.remove(&(*old, key.clone()));
        }
        self.due.insert(key.clone(), at);
        self.later.insert((at, key));
    }

    /// Takes the next key to work on. It is active until [`done`](Self::done).
    pub fn take(&mut self, now: Instant) -> Option<Key> {
        while let Some((at, _)) = self.later.first() {
            if *at > now {
                break;
            }
            let (_, key) = self.later.pop_first().expect("looked at one line above");
            self.due.remove(&key);
            self.add(key);
        }
        let key = self.waiting.pop_front()?;
        self.is_waiting.remove(&key);
        // What it was to be woken for it will see now.
        if let Some(at) = self.due.remove(&key) {
            self.later.remove(&(at, key.clone()));
        }
        self.active.insert(key.clone());
        Some(key)
    }

    /// The key was worked on.
    pub fn done(&mut self, key: &Key) {
        self.active.remove(key);
        if self.again.remove(key) {
            self.add(key.clone());
        }
    }

    /// The key was worked on without an error.
    pub fn succeeded(&mut self, key: &Key) {
        self.failures.remove(key);
    }

    /// The key failed: gives how long to wait. `jitter` is from 0 to 1.
    pub fn failed(&mut self, key: &Key, jitter: f64) -> Duration {
        let failures = self.failures.entry(key.clone()).or_default();
        let wait = BACKOFF_FIRST.saturating_mul(1 << (*failures).min(16)).min(BACKOFF_MAX);
        *failures = failures.saturating_add(1);
        wait.mul_f64(0.75 + jitter.clamp(0.0, 1.0) / 2.0)
    }

    /// When the next key is due that is not waiting yet.
    pub fn next_due(&self) -> Option<Instant> {
        self.later.first().map(|(at, _)| *at)
    }

    /// Keys that wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether no key waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> Key {
        Key::cluster(name)
    }

    #[test]
    fn a_key_waits_once_and_comes_again_when_asked_for_while_active() {
        let now = Instant::now();
        let mut queue = Queue::default();
        queue.add(key("a"));
        queue.add(key("a"));
        assert_eq!(queue.take(now), Some(key("a")));
        assert_eq!(queue.take(now), None);
        queue.add(key("a"));
        assert_eq!(queue.take(now), None);
        queue.done(&key("a"));
        assert_eq!(queue.take(now), Some(key("a")));
        queue.done(&key("a"));
        assert_eq!(queue.take(now), None);
    }

    #[test]
    fn the_earliest_wish_counts_and_is_fulfilled_by_any_work() {
        let now = Instant::now();
        let second = Duration::from_secs(1);
        let mut queue = Queue::default();
        queue.add_at(key("a"), now + second * 5);
        queue.add_at(key("a"), now + second);
        queue.add_at(key("a"), now + second * 3);
        assert_eq!(queue.next_due(), Some(now + second));
        assert_eq!(queue.take(now), None);
        assert_eq!(queue.take(now + second), Some(key("a")));
        queue.done(&key("a"));
        queue.add_at(key("b"), now + second * 9);
        queue.add(key("b"));
        assert_eq!(queue.take(now), Some(key("b")));
        assert_eq!(queue.next_due(), None);
    }

    #[test]
    fn waits_grow_to_a_limit_and_a_success_ends_them() {
        let mut queue = Queue::default();
        let waits: Vec<u128> = (0..4).map(|_| queue.failed(&key("a"), 0.5).as_millis()).collect();
        assert_eq!(waits, [20, 40, 80, 160]);
        for _ in 0..20 {
            queue.failed(&key("a"), 0.5);
        }
        assert_eq!(queue.failed(&key("a"), 0.5), BACKOFF_MAX);
        queue.succeeded(&key("a"));
        assert_eq!(queue.failed(&key("a"), 0.5).as_millis(), 20);
    }
}
