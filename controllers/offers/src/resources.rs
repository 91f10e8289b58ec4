//! Exact amounts: thousandths in integers, as Mesos keeps its scalars, so that sums never drift.

use std::collections::BTreeMap;
use std::fmt;

/// An amount of a resource in thousandths of its unit (cores, bytes, …).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Milli(pub i64);

impl Milli {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// The sum, or `None` when it does not fit.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// The sum; what does not fit stays at the largest amount, which no node has.
    pub fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// The difference; what does not fit stays at the end of the range.
    pub fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl fmt::Display for Milli {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 % 1000 == 0 { write!(f, "{}", self.0 / 1000) } else { write!(f, "{}m", self.0) }
    }
}

/// Amounts by resource name. A resource that is missing is zero.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Resources(pub BTreeMap<String, Milli>);

impl Resources {
    /// From pairs of name and thousandths.
    pub fn from_milli<'a>(pairs: impl IntoIterator<Item = (&'a str, i64)>) -> Self {
        Self(pairs.into_iter().map(|(name, milli)| (name.to_owned(), Milli(milli))).collect())
    }

    /// The amount of one resource.
    pub fn amount(&self, name: &str) -> Milli {
        self.0.get(name).copied().unwrap_or_default()
    }

    /// Adds the other's amounts, saturating.
    pub fn add(&mut self, other: &Self) {
        for (name, amount) in &other.0 {
            let mine = self.0.entry(name.clone()).or_default();
            *mine = mine.saturating_add(*amount);
        }
    }

    /// For each resource the larger of both.
    pub fn raise_to(&mut self, other: &Self) {
        for (name, amount) in &other.0 {
            let mine = self.0.entry(name.clone()).or_default();
            *mine = (*mine).max(*amount);
        }
    }
}

/// Shown in tenths from here on: nobody reads `998210m`.
const LARGE_MILLI: i128 = 10_000;

/// An amount for people: bytes in binary units rounded up to a tenth, everything else as a quantity.
pub(crate) fn show(resource: &str, milli: i128) -> String {
    let is_bytes = matches!(resource, "memory" | "disk" | "ephemeral-storage") || resource.starts_with("hugepages-");
    if !is_bytes {
        let (tenths, is_large) = ((milli + 99).div_euclid(100), milli >= LARGE_MILLI);
        return match (milli % 1000, is_large) {
            (0, _) => (milli / 1000).to_string(),
            (_, true) if tenths % 10 == 0 => (tenths / 10).to_string(),
            (_, true) => format!("{}.{}", tenths / 10, tenths % 10),
            (_, false) => format!("{milli}m"),
        };
    }
    let bytes = (milli + 999).div_euclid(1000);
    for (suffix, factor) in [("Ti", 1i128 << 40), ("Gi", 1 << 30), ("Mi", 1 << 20), ("Ki", 1 << 10)] {
        if bytes >= factor {
            let tenths = (bytes * 10 + factor - 1) / factor;
            let (whole, part) = (tenths / 10, tenths % 10);
            return if part == 0 { format!("{whole}{suffix}") } else { format!("{whole}.{part}{suffix}") };
        }
    }
    bytes.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_exact_where_floats_are_not() {
        let tenth = Milli(100);
        let sum = (0..10).fold(Milli::ZERO, |sum, _| sum.saturating_add(tenth));
        assert_eq!(sum, Milli(1000));
        assert_eq!(Milli(i64::MAX).checked_add(Milli(1)), None);
        assert_eq!(Milli(i64::MAX).saturating_add(Milli(1)), Milli(i64::MAX));
    }

    #[test]
    fn amounts_read_as_people_write_them() {
        assert_eq!(show("cpu", 500), "500m");
        assert_eq!(show("cpu", 2000), "2");
        assert_eq!(show("memory", 64 * (1 << 20) * 1000), "64Mi");
        assert_eq!(show("memory", (1 << 30) * 1000 + 1), "1.1Gi");
        assert_eq!(show("memory", 5000), "5");
    }

    #[test]
    fn resources_add_and_raise() {
        let mut a = Resources::from_milli([("cpu", 100)]);
        a.add(&Resources::from_milli([("cpu", 50), ("memory", 1)]));
        assert_eq!(a, Resources::from_milli([("cpu", 150), ("memory", 1)]));
        a.raise_to(&Resources::from_milli([("cpu", 120), ("memory", 7)]));
        assert_eq!(a, Resources::from_milli([("cpu", 150), ("memory", 7)]));
    }
}
