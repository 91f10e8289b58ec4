//! When a request is sent again, and after how long. Pure: the waiting is the caller's.

use std::time::Duration;

use crate::error::ClientError;

/// First wait between two tries.
const WAIT_MIN: Duration = Duration::from_millis(100);
/// Longest wait between two tries, unless the server asks for more.
const WAIT_MAX: Duration = Duration::from_secs(3);
/// Longest wait that a server may ask for: longer ones are an error to show, not to sit through.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(30);

/// How often to try, and what is worth another try.
#[derive(Clone, Copy, Debug)]
pub struct Retry {
    /// Tries after the first one.
    pub again: u32,
    /// Whether a refused connection is worth another try. For one-shot commands it is not: the person who
    /// typed it wants to hear at once that nothing runs there.
    pub unreachable: bool,
}

impl Retry {
    /// Send once.
    pub const NEVER: Self = Self { again: 0, unreachable: false };
    /// For reads of one-shot commands: a busy server gets two more tries.
    pub const READ: Self = Self { again: 2, unreachable: false };
    /// For waits, which outlive a restart of the server.
    pub const PATIENT: Self = Self { again: u32::MAX, unreachable: true };

    /// How long to wait before try number `attempt` (from 1), or `None` when the error is final.
    pub fn wait(self, attempt: u32, error: &ClientError) -> Option<Duration> {
        if attempt > self.again || !error.is_transient() {
            return None;
        }
        if matches!(error, ClientError::Unreachable { .. }) && !self.unreachable {
            return None;
        }
        let asked = error.status().and_then(|s| s.details.as_ref()).and_then(|d| d.retry_after_seconds);
        if let Some(seconds) = asked.filter(|s| *s > 0) {
            let asked = Duration::from_secs(seconds);
            return (asked <= RETRY_AFTER_MAX).then_some(asked);
        }
        Some(backoff(attempt))
    }
}

/// The wait before try number `attempt` (from 1): doubles from 100 ms up to 3 s.
pub fn backoff(attempt: u32) -> Duration {
    WAIT_MIN.saturating_mul(1 << attempt.saturating_sub(1).min(10)).min(WAIT_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Status, StatusDetails};

    fn refused() -> ClientError {
        ClientError::Unreachable { server: "s".into(), reason: "r".into(), refused: true, untrusted: false }
    }

    fn status(code: u16, after: Option<u64>) -> ClientError {
        let details = Some(StatusDetails { retry_after_seconds: after, ..StatusDetails::default() });
        ClientError::Status(Box::new(Status { code, details, ..Status::default() }))
    }

    #[test]
    fn a_refused_connection_is_final_for_one_shot_commands() {
        assert_eq!(Retry::READ.wait(1, &refused()), None);
        assert_eq!(Retry::PATIENT.wait(1, &refused()), Some(WAIT_MIN));
    }

    #[test]
    fn the_server_says_how_long() {
        assert_eq!(Retry::READ.wait(1, &status(429, Some(2))), Some(Duration::from_secs(2)));
        assert_eq!(Retry::READ.wait(1, &status(503, Some(3600))), None);
        assert_eq!(Retry::READ.wait(3, &status(503, None)), None);
        assert_eq!(Retry::READ.wait(1, &status(409, None)), None);
    }

    #[test]
    fn waits_grow_to_a_bound() {
        assert_eq!(backoff(1), WAIT_MIN);
        assert_eq!(backoff(2), WAIT_MIN * 2);
        assert_eq!(backoff(u32::MAX), WAIT_MAX);
    }
}
