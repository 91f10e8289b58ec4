//! How many seats a request takes, and for how long after its answer.

/// Objects that a list reads for one seat.
const OBJECTS_PER_SEAT: u64 = 100;
/// Watches that one seat's worth of work is done for after a write.
const WATCHES_PER_SEAT: u64 = 10;
/// How long the work for the watches of a write goes on after the write.
const EVENT_NANOS: u64 = 5_000_000;
/// No request takes more seats than this, whatever its level would allow.
const SEATS_MAX: u32 = 10;

/// What a request costs, as far as it can be told before it is done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cost {
    /// One object.
    #[default]
    One,
    /// So many objects are read.
    List { objects: u64 },
    /// A write that so many watches will be told of.
    Write { watches: u64 },
}

impl Cost {
    /// The cost of a list, or of the list that a watch begins with: with a selector all objects are looked at,
    /// without one no more than the page.
    pub fn list(stored: u64, limit: Option<u64>, has_selector: bool, names_one: bool) -> Self {
        let objects = match limit {
            _ if names_one => 1,
            Some(limit) if limit > 0 && !has_selector => limit.min(stored),
            _ => stored,
        };
        Self::List { objects }
    }
}

/// The seats that a request holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Width {
    /// While it is worked on.
    pub initial: u32,
    /// After its answer, for `extra`.
    pub last: u32,
    /// Nanoseconds for which seats are held after the answer.
    pub extra: u64,
}

impl Width {
    pub const ONE: Self = Self { initial: 1, last: 0, extra: 0 };

    /// The seats that a cost takes on a level that allows `seats_max` for one request (0: no limit of its own).
    pub fn of(cost: Cost, seats_max: u32) -> Self {
        let seats_max = if seats_max == 0 { SEATS_MAX } else { seats_max.min(SEATS_MAX) };
        let fit = |seats: u64| u32::try_from(seats).unwrap_or(u32::MAX).clamp(1, seats_max);
        match cost {
            Cost::One => Self::ONE,
            Cost::List { objects } => Self { initial: fit(objects.div_ceil(OBJECTS_PER_SEAT)), last: 0, extra: 0 },
            // Below this the work is less than that of counting it.
            Cost::Write { watches } if watches < WATCHES_PER_SEAT => Self::ONE,
            Cost::Write { watches } => {
                let wanted = watches.div_ceil(WATCHES_PER_SEAT);
                let last = fit(wanted);
                // The same work in fewer seats takes longer.
                Self { initial: 1, last, extra: wanted.saturating_mul(EVENT_NANOS) / u64::from(last) }
            }
        }
    }

    /// The seats that are held from the start: it could not get more later.
    pub fn seats(&self) -> u32 {
        self.initial.max(self.last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_takes_a_seat_for_each_hundred_objects() {
        let seats = |objects| Width::of(Cost::List { objects }, 0).initial;
        assert_eq!([seats(0), seats(1), seats(100), seats(101), seats(1_000_000)], [1, 1, 1, 2, 10]);
        assert_eq!(Width::of(Cost::List { objects: 1_000 }, 3).initial, 3, "the level allows fewer");
    }

    #[test]
    fn a_page_costs_its_own_objects_unless_all_are_searched() {
        assert_eq!(Cost::list(1_000, Some(50), false, false), Cost::List { objects: 50 });
        assert_eq!(Cost::list(1_000, Some(50), true, false), Cost::List { objects: 1_000 });
        assert_eq!(Cost::list(1_000, None, true, true), Cost::List { objects: 1 });
        assert_eq!(Cost::list(10, Some(0), false, false), Cost::List { objects: 10 });
    }

    #[test]
    fn a_write_that_many_watch_holds_seats_for_longer() {
        assert_eq!(Width::of(Cost::Write { watches: 9 }, 0), Width::ONE);
        assert_eq!(Width::of(Cost::Write { watches: 25 }, 0), Width { initial: 1, last: 3, extra: 5_000_000 });
        assert_eq!(Width::of(Cost::Write { watches: 400 }, 0), Width { initial: 1, last: 10, extra: 20_000_000 });
    }
}
