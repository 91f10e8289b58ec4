//! Renews the Lease until it cannot, or need not any more.

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::lease::{Claim, Held, LeaseError};
use super::{GIVE_UP, LEASE, RENEW, RETRY};

/// Keeps the Lease until `lost` is cancelled from outside, another took it, or renewing failed for too long;
/// cancels `lost`, waits for `stopped`, and gives the Lease back if it is still ours.
///
/// `asked` is when the last successful write was *sent*: the Lease cannot have begun before.
pub(super) async fn keep(
    claim: Claim,
    mut held: Held,
    mut asked: Instant,
    lost: CancellationToken,
    stopped: CancellationToken,
) {
    let mut next = asked + RENEW;
    let mut is_ours = true;
    loop {
        tokio::select! {
            () = lost.cancelled() => break,
            () = tokio::time::sleep_until(asked + GIVE_UP) => {
                tracing::warn!(identity = claim.identity, "the lease could not be renewed in time: work stops");
                break;
            }
            () = tokio::time::sleep_until(next) => {}
        }
        let sent = Instant::now();
        let renewed = tokio::select! {
            renewed = renew(&claim, &held) => renewed,
            // A request that hangs must not outlast the right to act.
            () = tokio::time::sleep_until(asked + GIVE_UP) => continue,
            () = lost.cancelled() => break,
        };
        match renewed {
            Ok(Some(newer)) => {
                held = newer;
                asked = sent;
                next = sent + RENEW;
            }
            Ok(None) => {
                tracing::warn!(identity = claim.identity, "another manager took the lease: work stops");
                is_ours = false;
                break;
            }
            Err(error) => {
                tracing::warn!(identity = claim.identity, %error, "the lease was not renewed");
                next = Instant::now() + RETRY;
            }
        }
    }
    lost.cancel();
    if !is_ours {
        return;
    }
    // Given back only once nothing acts any more, and only while it cannot be another's.
    if tokio::time::timeout_at(asked + LEASE, stopped.cancelled()).await.is_ok()
        && let Ok(Some(held)) = claim.look().await
        && let Err(error) = claim.give_back(held).await
    {
        tracing::debug!(%error, "the lease was not given back: it runs out by itself");
    }
}

/// `None`: it is another's now.
async fn renew(claim: &Claim, held: &Held) -> Result<Option<Held>, LeaseError> {
    match claim.renew(held).await {
        Ok(held) => Ok(Some(held)),
        // Our own earlier write, whose answer was lost, may have changed the version: look whose it is.
        Err(LeaseError::Lost) => match claim.look().await? {
            Some(held) => claim.renew(&held).await.map(Some),
            None => Ok(None),
        },
        Err(error) => Err(error),
    }
}
