//! The engine for tests: nothing is written anywhere.

use super::{Durable, Engine, HistoryLimits, Identity, Persistence, store_is_engine};
use crate::error::StoreError;
use crate::mvcc::Loaded;

/// A store that is gone with its process.
#[derive(Debug)]
pub struct MemoryStore {
    engine: Engine,
}

impl MemoryStore {
    pub fn new() -> Result<Self, StoreError> {
        Self::with_limits(HistoryLimits::default())
    }

    pub fn with_limits(limits: HistoryLimits) -> Result<Self, StoreError> {
        let identity = Identity { engine: "memory", path: None };
        Ok(Self { engine: Engine::start(identity, Loaded::default(), limits, Forgetful)? })
    }
}

store_is_engine!(MemoryStore);

struct Forgetful;

impl Persistence for Forgetful {
    fn commit(&mut self, _: &Durable<'_>) -> Result<(), StoreError> {
        Ok(())
    }

    fn disk_bytes(&self) -> u64 {
        0
    }
}
