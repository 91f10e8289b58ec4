//! Waiting for a condition, never for a time.

use std::time::{Duration, Instant};

/// How long a condition may take before the test says what it last saw. Generous: two busy cores.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks. Short against what is waited for, long against what a look costs.
const LOOK_EVERY: Duration = Duration::from_millis(25);

/// What a look at the world gives: the value waited for, or what was seen instead.
pub type Until<T> = Result<T, String>;

/// Looks until the answer is there.
///
/// # Panics
/// After a minute, with what was last seen.
#[track_caller]
pub fn until<T>(what: &str, look: impl FnMut() -> Until<T>) -> T {
    until_for(PATIENCE, what, look)
}

/// Like [`until`], with another patience.
///
/// # Panics
/// When the time is over, with what was last seen.
#[track_caller]
pub fn until_for<T>(patience: Duration, what: &str, mut look: impl FnMut() -> Until<T>) -> T {
    let start = Instant::now();
    loop {
        match look() {
            Ok(found) => return found,
            Err(seen) if start.elapsed() > patience => {
                panic!("waited {patience:?} for {what}; last seen: {seen}")
            }
            Err(_) => std::thread::sleep(LOOK_EVERY),
        }
    }
}
