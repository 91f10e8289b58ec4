//! The brake on guessing: after some failures a name must wait, twice as long each time.

use std::collections::HashMap;

use parking_lot::Mutex;

/// Most names that are remembered. Beyond it the one whose last failure is oldest is forgotten.
pub const NAMES_MAX: usize = 4096;
/// Failures that cost nothing: people mistype.
pub(super) const FREE_FAILURES: u32 = 5;
/// Longest wait: a user who is attacked can still log in within a quarter of an hour.
const WAIT_SECONDS_MAX: u64 = 15 * 60;
/// A name that did not fail for this long starts anew.
const FORGET_SECONDS: i64 = 60 * 60;
/// Longer names are cut: the table is bounded in bytes, too.
const NAME_BYTES_MAX: usize = 256;

#[derive(Clone, Copy, Debug)]
struct Failures {
    count: u32,
    last: i64,
}

/// Who failed how often, of every name that was tried, whether somebody has it or not.
#[derive(Debug, Default)]
pub struct Attempts {
    by_name: Mutex<HashMap<String, Failures>>,
}

impl Attempts {
    /// How many seconds a name must wait before it is looked at again.
    pub fn wait(&self, name: &str, now: i64) -> Option<u64> {
        let by_name = self.by_name.lock();
        let failures = by_name.get(key(name))?;
        let over = failures.count.checked_sub(FREE_FAILURES)?;
        let wait = 1u64.checked_shl(over).unwrap_or(WAIT_SECONDS_MAX).min(WAIT_SECONDS_MAX);
        let past = u64::try_from(now.saturating_sub(failures.last)).unwrap_or(0);
        wait.checked_sub(past).filter(|left| *left > 0)
    }

    /// A login with this name failed.
    pub fn failed(&self, name: &str, now: i64) {
        let mut by_name = self.by_name.lock();
        if by_name.len() >= NAMES_MAX && !by_name.contains_key(key(name)) {
            by_name.retain(|_, failures| now.saturating_sub(failures.last) < FORGET_SECONDS);
            if by_name.len() >= NAMES_MAX
                && let Some(oldest) = by_name.iter().min_by_key(|(_, f)| f.last).map(|(name, _)| name.clone())
            {
                by_name.remove(&oldest);
            }
        }
        let failures = by_name.entry(key(name).to_owned()).or_insert(Failures { count: 0, last: now });
        if now.saturating_sub(failures.last) >= FORGET_SECONDS {
            failures.count = 0;
        }
        failures.count = failures.count.saturating_add(1);
        failures.last = now;
    }

    /// A login with this name succeeded.
    pub fn succeeded(&self, name: &str) {
        self.by_name.lock().remove(key(name));
    }
}

fn key(name: &str) -> &str {
    &name[..name.floor_char_boundary(NAME_BYTES_MAX)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_bound_and_end() {
        let attempts = Attempts::default();
        let mut waits = Vec::new();
        for _ in 0..20 {
            attempts.failed("a", 0);
            waits.push(attempts.wait("a", 0));
        }
        assert_eq!(waits[..7], [None, None, None, None, Some(1), Some(2), Some(4)]);
        assert_eq!(waits[19], Some(WAIT_SECONDS_MAX));
        assert_eq!(attempts.wait("a", 60), Some(WAIT_SECONDS_MAX - 60));
        assert_eq!(attempts.wait("a", WAIT_SECONDS_MAX as i64), None);
        assert_eq!(attempts.wait("b", 0), None);
        attempts.failed("a", FORGET_SECONDS);
        assert_eq!(attempts.wait("a", FORGET_SECONDS), None);
        attempts.succeeded("a");
        assert_eq!(attempts.wait("a", 0), None);
    }

    #[test]
    fn the_table_is_bounded_and_forgets_the_oldest() {
        let attempts = Attempts::default();
        for n in 0..NAMES_MAX + 10 {
            for _ in 0..6 {
                attempts.failed(&format!("user{n}"), n as i64 / 10);
            }
        }
        assert_eq!(attempts.by_name.lock().len(), NAMES_MAX);
        assert_eq!(attempts.wait("user0", 0), None);
        let last = NAMES_MAX + 9;
        assert!(attempts.wait(&format!("user{last}"), last as i64 / 10).is_some());
        attempts.failed(&"\u{e9}".repeat(1000), 0);
    }
}
