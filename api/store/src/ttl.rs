//! Leases shared by many short-lived objects (Events), as Kubernetes does: a lease for each
//! object would cost more than the object.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::error::StoreError;
use crate::kv::LeaseId;
use crate::store::Store;

/// Objects on one lease at most: they are all deleted in one revision.
const LEASE_OBJECTS_MAX: usize = 1_000;

/// A lease is given out for this part of its time (1/20); an object lives so much longer at most.
const REUSE_DIVISOR: u32 = 20;

/// Hands out leases by time to live.
#[derive(Debug)]
pub struct TtlLeases {
    store: Arc<dyn Store>,
    current: Mutex<HashMap<Duration, Shared>>,
}

#[derive(Debug)]
struct Shared {
    id: LeaseId,
    reuse_until: Instant,
    objects: usize,
}

impl TtlLeases {
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store, current: Mutex::default() }
    }

    /// A lease that ends `ttl` from now, or a little later.
    pub async fn lease_for(&self, ttl: Duration) -> Result<LeaseId, StoreError> {
        let now = Instant::now();
        if let Some(id) = self.reuse(ttl, now) {
            return Ok(id);
        }
        let slack = ttl / REUSE_DIVISOR;
        let id = self.store.lease_grant(ttl + slack).await?.id;
        self.current.lock().insert(ttl, Shared { id, reuse_until: now + slack, objects: 1 });
        Ok(id)
    }

    fn reuse(&self, ttl: Duration, now: Instant) -> Option<LeaseId> {
        let mut current = self.current.lock();
        let shared = current.get_mut(&ttl)?;
        if now >= shared.reuse_until || shared.objects >= LEASE_OBJECTS_MAX {
            return None;
        }
        shared.objects += 1;
        Some(shared.id)
    }
}
