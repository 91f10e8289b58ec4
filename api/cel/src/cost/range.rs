//! Lowest and highest, of costs and of sizes. Arithmetic stops at the end of the numbers instead of passing it.

/// From `min` to `max`, both possible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    pub min: u64,
    pub max: u64,
}

impl Range {
    pub const ZERO: Self = Self::exactly(0);
    pub const ONE: Self = Self::exactly(1);
    /// Nothing is known.
    pub const UNKNOWN: Self = Self { min: 0, max: u64::MAX };
    /// What a union over no ranges starts with.
    pub(crate) const EMPTY: Self = Self { min: u64::MAX, max: 0 };

    #[must_use]
    pub const fn exactly(value: u64) -> Self {
        Self { min: value, max: value }
    }

    #[must_use]
    pub const fn up_to(max: u64) -> Self {
        Self { min: 0, max }
    }

    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self { min: self.min.saturating_add(other.min), max: self.max.saturating_add(other.max) }
    }

    #[must_use]
    pub const fn times(self, other: Self) -> Self {
        Self { min: self.min.saturating_mul(other.min), max: self.max.saturating_mul(other.max) }
    }

    /// Times a factor, rounded up.
    #[must_use]
    pub fn scaled(self, factor: f64) -> Self {
        Self { min: scale(self.min, factor), max: scale(self.max, factor) }
    }

    /// The smallest range that holds both.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self { min: self.min.min(other.min), max: self.max.max(other.max) }
    }
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an estimate, rounded as upstream rounds it; the cast to integers stops at their end"
)]
fn scale(value: u64, factor: f64) -> u64 {
    (value as f64 * factor).ceil() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_stops_at_the_end_of_the_numbers() {
        let most = Range::exactly(u64::MAX);
        assert_eq!(most.plus(Range::ONE), most);
        assert_eq!(most.times(Range::exactly(2)), most);
        assert_eq!(most.scaled(2.0), most);
        assert_eq!(Range::exactly(11).scaled(0.1), Range::exactly(2));
        assert_eq!(Range::ONE.or(Range::exactly(5)), Range { min: 1, max: 5 });
        assert_eq!(Range::EMPTY.or(Range::ONE), Range::ONE);
    }
}
