//! Placeholder.

use std::sync::Arc;

use kube::Client;
use tokio_util::sync::CancellationToken;

use crate::driver::{Clock, Error};

/// The right to act.
#[derive(Debug)]
pub struct Leadership {
    /// Cancelled when the right is lost.
    pub lost: CancellationToken,
}

/// Waits until this manager is the leader, then keeps the Lease in the background until `shutdown`.
pub async fn acquire(
    _client: &Client,
    _identity: &str,
    _clock: Arc<dyn Clock>,
    shutdown: CancellationToken,
) -> Result<Leadership, Error> {
    Ok(Leadership { lost: shutdown.child_token() })
}
