//! Tests literals that functions will read at run time: durations, timestamps, regular expressions.

use crate::library::regex;
use crate::library::time::{Duration, Timestamp};

pub(super) fn is_duration(text: &str) -> bool {
    Duration::parse(text).is_some()
}

pub(super) fn is_timestamp(text: &str) -> bool {
    Timestamp::from_text(text).is_ok()
}

/// Whether the pattern compiles, within the size that the library allows.
pub(super) fn is_regex(text: &str) -> bool {
    regex::compile(text).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_timestamps_that_can_be_read_are_told_from_those_that_cannot() {
        for text in ["0", "1s", "-1.5h", "1h30m", "+.5ms", "1µs"] {
            assert!(is_duration(text), "{text}");
        }
        for text in ["", "1", "s", "1 s", "1.2.3s", "1d", "."] {
            assert!(!is_duration(text), "{text}");
        }
        for text in ["2026-11-22T10:00:00Z", "2024-02-29T23:59:59.123456789+01:00"] {
            assert!(is_timestamp(text), "{text}");
        }
        for text in ["", "2026-11-22", "2026-02-29T00:00:00Z", "2026-11-22T24:00:00Z", "2026-11-22T10:00:00"] {
            assert!(!is_timestamp(text), "{text}");
        }
    }
}
