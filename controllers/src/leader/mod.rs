//! One manager acts: the holder of a Lease.
//!
//! Guarantee: as long as every manager stops its work within [`STOP_WITHIN`] after `lost` is cancelled, no two act
//! at once. The holder counts from before its last successful renewal was sent; others count from when they saw
//! it, which is later. Only durations are compared, never the clocks of two machines.
//!
//! A manager that stops gives the Lease back, so that the next one starts at once. One that was killed and comes
//! back under the same name takes its own Lease again at once.

mod keeper;
mod lease;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use kube::Client;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::driver::{Clock, Error};
use lease::{Claim, Seen};

/// How long work may go on after `lost` was cancelled.
pub const STOP_WITHIN: Duration = Duration::from_millis(1500);

/// How long the Lease lasts without renewal: after a crash the next manager acts this much later. Whole seconds.
const LEASE: Duration = Duration::from_secs(5);
/// How often it is renewed: three tries before it is given up.
const RENEW: Duration = Duration::from_millis(1500);
/// How soon a failed renewal is tried again, and how often others look at the Lease.
const RETRY: Duration = Duration::from_millis(500);
/// How long after the last renewal the leader gives up: work then has [`STOP_WITHIN`], and some time is left over.
const GIVE_UP: Duration = Duration::from_secs(3);
const _: () = assert!(GIVE_UP.as_millis() + STOP_WITHIN.as_millis() < LEASE.as_millis(), "work stops before the Lease");
const _: () = assert!(RENEW.as_millis() + RETRY.as_millis() < GIVE_UP.as_millis(), "a renewal may fail once");

/// The right to act. Call [`release`](Self::release) when all work has stopped.
#[derive(Debug)]
pub struct Leadership {
    /// Cancelled when the right is about to be lost, and when the manager is to stop.
    pub lost: CancellationToken,
    stopped: CancellationToken,
    keeper: JoinHandle<()>,
}

impl Leadership {
    /// Says that all work has stopped, and gives the Lease back if it is still held, so that the next manager can
    /// start at once.
    pub async fn release(self) {
        self.lost.cancel();
        self.stopped.cancel();
        // It ends by itself within one request's time; a panic there is told by the runtime.
        let _ = self.keeper.await;
    }
}

/// Waits until this manager is the leader, then keeps the Lease in the background until `shutdown`.
///
/// # Errors
/// When `shutdown` comes first. Everything else is tried again.
pub async fn acquire(
    client: &Client,
    identity: &str,
    clock: Arc<dyn Clock>,
    shutdown: CancellationToken,
) -> Result<Leadership, Error> {
    let claim = Claim { client: client.clone(), identity: identity.to_owned(), clock };
    let mut seen = Seen::default();
    loop {
        let asked = Instant::now();
        match claim.take(&mut seen, asked).await {
            Ok(Some(held)) => {
                tracing::info!(identity, transitions = held.transitions(), "lease taken");
                let (lost, stopped) = (shutdown.child_token(), CancellationToken::new());
                let keeper = keeper::keep(claim, held, asked, lost.clone(), stopped.clone());
                return Ok(Leadership { lost, stopped, keeper: tokio::spawn(keeper) });
            }
            Ok(None) => {}
            Err(error) => tracing::debug!(identity, %error, "the lease could not be taken"),
        }
        tokio::select! {
            () = tokio::time::sleep(RETRY) => {}
            () = shutdown.cancelled() => return Err(Error::Other("stopped while waiting to lead".to_owned())),
        }
    }
}
