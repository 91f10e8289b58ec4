//! Counts successes and failures against thresholds. Pure.

/// The verdict changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It works now.
    Healthy,
    /// It does not work any more.
    Unhealthy,
}

/// One probe's count.
#[derive(Clone, Debug)]
pub struct Judge {
    success_threshold: u32,
    failure_threshold: u32,
    row: u32,
    last: Option<bool>,
    verdict: Option<bool>,
    succeeded: bool,
}

impl Judge {
    /// With Kubernetes' defaults (1 success, 3 failures). `healthy` is what holds before anything is counted.
    pub fn new(success_threshold: Option<i32>, failure_threshold: Option<i32>, healthy: bool) -> Self {
        let threshold = |value: Option<i32>, default| {
            value.and_then(|v| u32::try_from(v).ok()).filter(|v| *v > 0).unwrap_or(default)
        };
        Self {
            success_threshold: threshold(success_threshold, 1),
            failure_threshold: threshold(failure_threshold, 3),
            row: 0,
            last: None,
            verdict: healthy.then_some(true),
            succeeded: false,
        }
    }

    /// Whether no try succeeded so far.
    pub fn never_succeeded(&self) -> bool {
        !self.succeeded
    }

    /// Counts one try; says when the verdict turns.
    pub fn count(&mut self, success: bool) -> Option<Turn> {
        self.succeeded |= success;
        self.row = if self.last == Some(success) { self.row.saturating_add(1) } else { 1 };
        self.last = Some(success);
        let needed = if success { self.success_threshold } else { self.failure_threshold };
        if self.row < needed || self.verdict == Some(success) {
            return None;
        }
        self.verdict = Some(success);
        Some(if success { Turn::Healthy } else { Turn::Unhealthy })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(healthy: bool, tries: &str, turns: &str) {
        let mut judge = Judge::new(Some(2), Some(3), healthy);
        let told: String = tries
            .chars()
            .map(|c| match judge.count(c == '+') {
                None => '.',
                Some(Turn::Healthy) => 'H',
                Some(Turn::Unhealthy) => 'U',
            })
            .collect();
        assert_eq!(told, turns, "{tries}");
    }

    #[test]
    fn the_verdict_turns_after_as_many_in_a_row() {
        check(false, "++++", ".H..");
        check(false, "+-++", "...H");
        check(false, "----", "..U.");
        check(true, "++---++", "....U.H");
        check(true, "--+--+---", "........U");
    }

    #[test]
    fn senseless_thresholds_are_the_defaults() {
        let mut judge = Judge::new(Some(-1), Some(0), true);
        assert_eq!([judge.count(false), judge.count(false), judge.count(false)], [None, None, Some(Turn::Unhealthy)]);
    }
}
