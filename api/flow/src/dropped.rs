//! After how many seconds a client that was sent away should come again: longer while many are sent away.

use std::collections::VecDeque;

/// The longest time that is asked for, in seconds.
const RETRY_AFTER_MAX: u64 = 32;

/// How many were sent away in each of the last seconds.
#[derive(Debug)]
pub(crate) struct Dropped {
    /// (second, how many), ascending; no more entries than `RETRY_AFTER_MAX` seconds have.
    history: VecDeque<(u64, u64)>,
    retry_after: u64,
    raised_at: Option<u64>,
}

impl Default for Dropped {
    fn default() -> Self {
        Self { history: VecDeque::new(), retry_after: 1, raised_at: None }
    }
}

impl Dropped {
    /// One more was sent away in this second; the answer is when it should come again.
    pub(crate) fn record(&mut self, second: u64) -> u64 {
        match self.history.back_mut() {
            Some((last, count)) if *last == second => {
                *count += 1;
                return self.retry_after;
            }
            _ => self.history.push_back((second, 1)),
        }
        let keep = (2 * self.retry_after).min(RETRY_AFTER_MAX);
        while self.history.front().is_some_and(|(at, _)| second.saturating_sub(*at) > keep) {
            self.history.pop_front();
        }
        self.update(second);
        self.retry_after
    }

    /// Doubles the time when three times as many as its seconds were sent away during it, at most once in that time;
    /// lowers it by one when hardly any were. So TCP finds its pace.
    fn update(&mut self, second: u64) {
        let recent = |(at, _): &&(u64, u64)| *at < second && second - *at <= self.retry_after;
        let dropped: u64 = self.history.iter().filter(recent).map(|(_, count)| count).sum();
        let may_raise = self.raised_at.is_none_or(|at| second.saturating_sub(at) >= self.retry_after);
        if may_raise && dropped >= 3 * self.retry_after {
            self.retry_after = (2 * self.retry_after).min(RETRY_AFTER_MAX);
            self.raised_at = Some(second);
        } else if dropped < self.retry_after && self.retry_after > 1 {
            self.retry_after -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_grows_under_load_and_shrinks_after() {
        let mut dropped = Dropped::default();
        assert_eq!(dropped.record(100), 1);
        for _ in 0..5 {
            dropped.record(100);
        }
        assert_eq!(dropped.record(101), 2, "six in the second before");
        for second in 101..200 {
            for _ in 0..100 {
                dropped.record(second);
            }
        }
        assert_eq!(dropped.record(200), RETRY_AFTER_MAX);
        let mut last = RETRY_AFTER_MAX;
        for second in (300..20_000).step_by(100) {
            last = dropped.record(second);
        }
        assert_eq!(last, 1);
        assert!(dropped.history.len() <= 40);
    }
}
