//! How many seats a level wanted over a period: mean, deviation, peak, and a figure that falls slowly.

/// How much of the smoothed figure is left after a period of no demand: half of it after five minutes of 10 s periods.
const SMOOTHING: f64 = 0.977;

/// The demand of the period that runs.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Integrator {
    since: u64,
    last: u64,
    value: f64,
    /// Value times time, and value squared times time, in seats and nanoseconds.
    area: f64,
    area_of_squares: f64,
    max: f64,
}

/// The demand of a period that has ended.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Observed {
    pub(crate) mean: f64,
    pub(crate) deviation: f64,
    pub(crate) max: f64,
}

impl Integrator {
    pub(crate) fn new(now: u64) -> Self {
        Self { since: now, last: now, ..Self::default() }
    }

    /// From now on so many seats are used or waited for.
    pub(crate) fn set(&mut self, now: u64, value: u32) {
        self.advance(now);
        self.value = f64::from(value);
        self.max = self.max.max(self.value);
    }

    fn advance(&mut self, now: u64) {
        let elapsed = now.saturating_sub(self.last) as f64;
        self.last = self.last.max(now);
        self.area += elapsed * self.value;
        self.area_of_squares += elapsed * self.value * self.value;
    }

    /// Ends the period; `None` when no time has passed.
    pub(crate) fn reset(&mut self, now: u64) -> Option<Observed> {
        self.advance(now);
        let duration = now.saturating_sub(self.since) as f64;
        if duration <= 0.0 {
            return None;
        }
        let mean = self.area / duration;
        let variance = (self.area_of_squares / duration - mean * mean).max(0.0);
        let observed = Observed { mean, deviation: variance.sqrt(), max: self.max };
        let value = self.value;
        *self = Self { since: now, last: now, value, max: value, ..Self::default() };
        Some(observed)
    }
}

/// The demand of a level over all periods.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Demand {
    /// Peak of the last period.
    pub(crate) high: u32,
    /// Rises at once, falls slowly.
    pub(crate) smoothed: f64,
}

impl Demand {
    pub(crate) fn update(&mut self, observed: Observed) {
        self.high = observed.max.round() as u32;
        let envelope = observed.mean + observed.deviation;
        self.smoothed = envelope.max(SMOOTHING * self.smoothed + (1.0 - SMOOTHING) * envelope);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_is_summed_up() {
        let mut demand = Integrator::new(0);
        demand.set(0, 10);
        demand.set(50, 0);
        let observed = demand.reset(100).unwrap();
        assert_eq!(observed, Observed { mean: 5.0, deviation: 5.0, max: 10.0 });
        assert_eq!(demand.reset(100), None);
        assert_eq!(demand.reset(200).unwrap().max, 0.0);
    }

    #[test]
    fn the_smoothed_demand_rises_at_once_and_falls_slowly() {
        let mut demand = Demand::default();
        demand.update(Observed { mean: 100.0, deviation: 0.0, max: 100.0 });
        assert_eq!(demand.smoothed, 100.0);
        for _ in 0..30 {
            demand.update(Observed::default());
        }
        assert!((45.0..55.0).contains(&demand.smoothed), "half after five minutes: {}", demand.smoothed);
    }
}
