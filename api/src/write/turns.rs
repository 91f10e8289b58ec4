//! Turns: writers of one object that keep getting in each other's way go one after the other.
//!
//! Correctness does not hang on this: every commit is guarded by the revision that it was computed from. It only
//! keeps a crowd from computing everything many times over, and gives each of them its write.

use std::hash::{DefaultHasher, Hash, Hasher};

use tokio::sync::{Mutex, MutexGuard};

/// Queues. Two objects that share one only wait a little longer.
const QUEUES: usize = 64;

/// The queues of a server.
#[derive(Debug)]
pub(crate) struct Turns {
    queues: Vec<Mutex<()>>,
}

impl Default for Turns {
    fn default() -> Self {
        Self { queues: (0..QUEUES).map(|_| Mutex::new(())).collect() }
    }
}

impl Turns {
    /// Waits, in order, until it is this writer's turn with an object; it ends when the guard is dropped.
    pub(crate) async fn wait(&self, key: &str) -> MutexGuard<'_, ()> {
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        self.queues[hasher.finish() as usize % QUEUES].lock().await
    }
}
