//! Sets of ports as ranges: sorted, disjoint, adjacent ones joined (Mesos's canonical form).

use std::fmt;

/// Ports, kept as inclusive ranges.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Ranges(Vec<(u16, u16)>);

impl Ranges {
    /// From inclusive pairs in any order; a pair that ends before it begins holds nothing.
    pub fn new(pairs: impl IntoIterator<Item = (u16, u16)>) -> Self {
        let mut pairs: Vec<_> = pairs.into_iter().filter(|(begin, end)| begin <= end).collect();
        pairs.sort_unstable();
        let mut joined: Vec<(u16, u16)> = Vec::with_capacity(pairs.len());
        for (begin, end) in pairs {
            match joined.last_mut() {
                Some(last) if u32::from(begin) <= u32::from(last.1) + 1 => last.1 = last.1.max(end),
                _ => joined.push((begin, end)),
            }
        }
        Self(joined)
    }

    /// How many ports.
    pub fn count(&self) -> u32 {
        self.0.iter().map(|(begin, end)| u32::from(end - begin) + 1).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the port is one of them.
    pub fn contains(&self, port: u16) -> bool {
        let after = self.0.partition_point(|(begin, _)| *begin <= port);
        after > 0 && self.0[after - 1].1 >= port
    }

    /// The `index`th port, counted from the lowest, round and round; `None` when there is none.
    pub fn nth_cyclic(&self, index: u32) -> Option<u16> {
        let count = self.count();
        if count == 0 {
            return None;
        }
        let mut left = index % count;
        for (begin, end) in &self.0 {
            let length = u32::from(end - begin) + 1;
            if left < length {
                return u16::try_from(u32::from(*begin) + left).ok();
            }
            left -= length;
        }
        None
    }

    /// All ports once, in rising order from `start` (or the next one above it), then from the lowest up to it.
    pub fn cycle_from(&self, start: u16) -> impl Iterator<Item = u16> + '_ {
        let ports = move || self.0.iter().flat_map(|(begin, end)| *begin..=*end);
        // Ranges that end before `start` are skipped whole: the walk is as long as what it yields.
        let first = self.0.partition_point(|(_, end)| *end < start);
        let upper = self.0[first..].iter().flat_map(move |(begin, end)| (*begin).max(start)..=*end);
        upper.chain(ports().take_while(move |port| *port < start))
    }

    /// What is in `self` but not in `other`.
    pub fn subtract(&self, other: &Self) -> Self {
        let mut left = Vec::new();
        for (begin, end) in &self.0 {
            let mut from = u32::from(*begin);
            for (cut_begin, cut_end) in other.0.iter().filter(|(b, e)| e >= begin && b <= end) {
                if u32::from(*cut_begin) > from {
                    left.push((from as u16, cut_begin - 1));
                }
                from = u32::from(*cut_end) + 1;
            }
            if from <= u32::from(*end) {
                left.push((from as u16, *end));
            }
        }
        Self(left)
    }
}

impl fmt::Display for Ranges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (i, (begin, end)) in self.0.iter().enumerate() {
            write!(f, "{}{begin}-{end}", if i == 0 { "" } else { "," })?;
        }
        f.write_str("]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_joined_when_they_touch() {
        assert_eq!(Ranges::new([(5, 9), (1, 4), (20, 20), (12, 10)]).to_string(), "[1-9,20-20]");
        assert_eq!(Ranges::new([(0, u16::MAX), (3, 4)]).count(), 65_536);
    }

    #[test]
    fn subtraction_splits() {
        let all = Ranges::new([(1, 10), (20, 30)]);
        let cut = Ranges::new([(3, 4), (10, 22), (30, 40)]);
        assert_eq!(all.subtract(&cut).to_string(), "[1-2,5-9,23-29]");
        assert!(all.subtract(&all).is_empty());
    }

    #[test]
    fn a_walk_starts_anywhere_and_sees_each_port_once() {
        let ranges = Ranges::new([(10, 12), (20, 21)]);
        assert_eq!(ranges.cycle_from(12).collect::<Vec<_>>(), [12, 20, 21, 10, 11]);
        assert_eq!(ranges.cycle_from(15).collect::<Vec<_>>(), [20, 21, 10, 11, 12]);
        assert_eq!(ranges.cycle_from(99).collect::<Vec<_>>(), [10, 11, 12, 20, 21]);
        assert_eq!(ranges.nth_cyclic(8), Some(20));
        assert!(ranges.contains(20) && !ranges.contains(13));
    }
}
