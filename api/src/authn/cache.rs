//! Tokens that were believed a moment ago: their signatures need not be checked again. What can change meanwhile (that
//! an account is gone) is looked up each time.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use parking_lot::RwLock;
use sha2::{Digest, Sha256};

use super::bearer::Proof;

/// How long a token is believed without another look, as upstream.
const KEPT: Duration = Duration::from_secs(10);
/// Most tokens that are kept: each client of a busy server has one.
const TOKENS_MAX: usize = 8192;

/// By their hashes: the tokens themselves are kept nowhere.
#[derive(Default)]
pub(super) struct Cache {
    by_hash: RwLock<HashMap<[u8; 32], (Instant, Proof)>>,
}

impl std::fmt::Debug for Cache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Cache({} tokens)", self.by_hash.read().len())
    }
}

impl Cache {
    pub(super) fn get(&self, token: &str) -> Option<Proof> {
        let by_hash = self.by_hash.read();
        let (since, proof) = by_hash.get(&hash(token))?;
        (since.elapsed() < KEPT).then(|| proof.clone())
    }

    pub(super) fn put(&self, token: &str, proof: Proof) {
        let mut by_hash = self.by_hash.write();
        if by_hash.len() >= TOKENS_MAX {
            by_hash.retain(|_, (since, _)| since.elapsed() < KEPT);
        }
        // Full of fresh ones: this one is checked again next time.
        if by_hash.len() < TOKENS_MAX {
            by_hash.insert(hash(token), (Instant::now(), proof));
        }
    }

    /// Nothing is believed without another look: the keys have changed, or who is believed.
    pub(super) fn clear(&self) {
        self.by_hash.write().clear();
    }
}

fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token).into()
}
