//! How many seats a level has: its share of all, less what it lends, more what it borrows.
//!
//! [`divide`] is done when the objects change, [`adjust`] every ten seconds from the demand of the levels.

use crate::spec::{EXEMPT, PriorityLevelSpec};

/// A target of less would make the proportions below meaningless.
const TARGET_MIN: f64 = 0.001;
/// Differences below it are errors of floating point.
const EPSILON: f64 = 1e-7;
/// One request may take this part of a level's seats.
const REQUEST_SEATS_PART: f64 = 0.15;

/// The seats of a level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    /// Its share.
    pub nominal: u32,
    /// What it keeps when others borrow.
    pub min: u32,
    /// What it has when it borrows as much as it may.
    pub max: u32,
    /// What it begins with.
    pub initial: u32,
    /// The most that one request may take; 0 is without limit of its own.
    pub request_max: u32,
    pub is_exempt: bool,
}

/// Divides `total` seats among the levels, by their shares.
pub fn divide(total: u32, levels: &[&PriorityLevelSpec]) -> Vec<Bounds> {
    let sum: f64 = levels.iter().map(|level| f64::from(shares(level))).sum();
    levels.iter().map(|level| bounds(total, sum, level)).collect()
}

fn shares(level: &PriorityLevelSpec) -> u32 {
    let shares = match (&level.limited, &level.exempt) {
        (Some(limited), _) if level.enablement != EXEMPT => limited.nominal_concurrency_shares,
        (_, Some(exempt)) => exempt.nominal_concurrency_shares.unwrap_or(0),
        _ => 0,
    };
    u32::try_from(shares).unwrap_or(0)
}

fn bounds(total: u32, sum: f64, level: &PriorityLevelSpec) -> Bounds {
    let is_exempt = level.enablement == EXEMPT;
    let limited = level.limited.as_ref().filter(|_| !is_exempt);
    let lendable = match limited {
        Some(limited) => limited.lendable_percent,
        None => level.exempt.as_ref().and_then(|exempt| exempt.lendable_percent),
    };
    // Rounded up: no level that has a share is without a seat, and the few seats too many do no harm.
    let nominal = (f64::from(total) * f64::from(shares(level)) / sum.max(1.0)).ceil() as u32;
    let percent = |percent: i32| (f64::from(nominal) * f64::from(percent.max(0)) / 100.0).round() as u32;
    let lendable = percent(lendable.unwrap_or(0)).min(nominal);
    let borrowing = limited.and_then(|limited| limited.borrowing_limit_percent).map_or(total, percent);
    let queuing = limited.and_then(|limited| limited.limit_response.queuing.as_ref());
    let request_max = queuing.map_or(0, |queuing| {
        let hand = u32::try_from(queuing.hand_size).unwrap_or(1).max(1);
        ((f64::from(nominal) * REQUEST_SEATS_PART).ceil() as u32).min(nominal / hand).max(1)
    });
    Bounds {
        nominal,
        min: nominal - lendable,
        max: nominal.saturating_add(borrowing),
        initial: nominal - lendable / 2,
        request_max,
        is_exempt,
    }
}

/// What a level has, wanted, and may have.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Claim {
    pub bounds: Bounds,
    /// The most seats it wanted at one time in the last period.
    pub high: u32,
    /// What it wants in the long run.
    pub smoothed: f64,
    /// What it has now: kept when the sums cannot be made to fit.
    pub current: u32,
}

impl Claim {
    /// No level is pushed below what it lately used, unless it used borrowed seats.
    fn floor(&self) -> u32 {
        if self.bounds.is_exempt {
            return self.bounds.min.max(self.high);
        }
        self.bounds.min.max(self.high.min(self.bounds.nominal))
    }
}

/// The seats of each level for the next period: who wants more borrows what others do not use.
pub fn adjust(claims: &[Claim]) -> Vec<u32> {
    let total: u32 = claims.iter().map(|claim| claim.bounds.nominal).sum();
    let exempt: u32 = claims.iter().filter(|claim| claim.bounds.is_exempt).map(Claim::floor).sum();
    let left = i64::from(total) - i64::from(exempt);
    let limited: Vec<&Claim> = claims.iter().filter(|claim| !claim.bounds.is_exempt).collect();
    let mins: i64 = limited.iter().map(|claim| i64::from(claim.bounds.min)).sum();
    let floors: i64 = limited.iter().map(|claim| i64::from(claim.floor())).sum();
    let shared: Vec<u32> = if left <= mins {
        limited.iter().map(|claim| claim.bounds.min).collect()
    } else if left <= floors {
        // Not enough for what all used lately: each gets the same part of what is above its minimum.
        let part = (left - mins) as f64 / (floors - mins) as f64;
        let above = |claim: &Claim| f64::from(claim.floor() - claim.bounds.min) * part;
        limited.iter().map(|claim| claim.bounds.min + above(claim).round() as u32).collect()
    } else {
        let wishes: Vec<Wish> = limited.iter().map(|claim| Wish::of(claim)).collect();
        match allocate(f64::from(total), &wishes) {
            Some(seats) => seats.into_iter().map(|seats| seats.round() as u32).collect(),
            None => limited.iter().map(|claim| claim.current).collect(),
        }
    };
    let mut shared = shared.into_iter();
    let of = |claim: &Claim| if claim.bounds.is_exempt { claim.floor() } else { shared.next().unwrap_or_default() };
    claims.iter().map(of).collect()
}

/// What a level should get, in proportion to the others, within bounds.
#[derive(Clone, Copy, Debug)]
struct Wish {
    target: f64,
    low: f64,
    high: f64,
}

impl Wish {
    fn of(claim: &Claim) -> Self {
        let low = f64::from(claim.floor());
        Self { target: low.max(claim.smoothed).max(TARGET_MIN), low, high: f64::from(claim.bounds.max).max(low) }
    }

    fn at(&self, proportion: f64) -> f64 {
        (proportion * self.target).clamp(self.low, self.high)
    }
}

/// Finds the one proportion of their targets at which all wishes, each within its bounds, add up to `total`.
fn allocate(total: f64, wishes: &[Wish]) -> Option<Vec<f64>> {
    let sum = |of: fn(&Wish) -> f64| wishes.iter().map(of).sum::<f64>();
    let (low, high) = (sum(|wish| wish.low), sum(|wish| wish.high));
    if low - total > EPSILON || total - high > EPSILON {
        return None;
    }
    // The sum grows with the proportion, in straight pieces that end where a wish meets one of its bounds.
    let mut ends: Vec<f64> = wishes.iter().flat_map(|w| [w.low / w.target, w.high / w.target]).collect();
    ends.sort_by(f64::total_cmp);
    let sum_at = |proportion: f64| wishes.iter().map(|wish| wish.at(proportion)).sum::<f64>();
    let mut from = 0.0;
    for end in ends {
        let (below, above) = (sum_at(from), sum_at(end));
        if above + EPSILON >= total {
            let part = if above > below { ((total - below) / (above - below)).clamp(0.0, 1.0) } else { 0.0 };
            from += (end - from) * part;
            break;
        }
        from = end;
    }
    Some(wishes.iter().map(|wish| wish.at(from)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bootstrap;

    /// Of the levels that every server has: (name, bounds).
    fn defaults() -> Vec<(String, Bounds)> {
        let levels = bootstrap::levels();
        let specs: Vec<_> = levels.iter().map(|level| &level.spec).collect();
        levels.iter().map(|level| level.name.clone()).zip(divide(600, &specs)).collect()
    }

    fn claims(high: &[(&str, u32)]) -> Vec<Claim> {
        let wanted = |name: &str| high.iter().find(|(level, _)| *level == name).map_or(0, |(_, high)| *high);
        defaults()
            .into_iter()
            .map(|(name, bounds)| Claim {
                bounds,
                high: wanted(&name),
                smoothed: f64::from(wanted(&name)),
                current: bounds.initial,
            })
            .collect()
    }

    fn adjusted(high: &[(&str, u32)], level: &str) -> u32 {
        let at = defaults().iter().position(|(name, _)| name == level).unwrap();
        adjust(&claims(high))[at]
    }

    #[test]
    fn the_seats_of_a_server_are_divided_by_shares() {
        let brief: Vec<String> =
            defaults().iter().map(|(n, b)| format!("{n} {} {} {}", b.nominal, b.min, b.request_max)).collect();
        assert_eq!(
            brief,
            [
                "exempt 0 0 0",
                "catch-all 13 13 0",
                "system 74 50 12",
                "node-high 98 73 15",
                "leader-election 25 25 4",
                "workload-high 98 49 15",
                "workload-low 245 24 37",
                "global-default 49 24 8",
            ]
        );
    }

    #[test]
    fn who_wants_more_borrows_what_others_do_not_use() {
        let alone = adjusted(&[("global-default", 600)], "global-default");
        assert!(alone > 250, "it has borrowed: {alone}");
        let both = [("global-default", 600), ("workload-low", 600)];
        assert!(adjusted(&both, "workload-low") >= 245, "its own seats come back to it");
        assert!(adjusted(&both, "global-default") >= 49);
    }

    #[test]
    fn nobody_falls_below_what_it_does_not_lend_and_all_seats_are_given() {
        for high in [&[][..], &[("workload-low", 900), ("system", 20)], &[("catch-all", 3), ("node-high", 90)]] {
            let claims = claims(high);
            let seats = adjust(&claims);
            for (claim, seats) in claims.iter().zip(&seats) {
                assert!(*seats >= claim.bounds.min && *seats <= claim.bounds.max, "{claim:?} {seats}");
            }
            let (sum, total) = (seats.iter().sum::<u32>(), claims.iter().map(|c| c.bounds.nominal).sum::<u32>());
            assert!(sum.abs_diff(total) <= 4, "{sum} of {total}");
        }
    }

    #[test]
    fn the_exempt_take_what_they_take_and_the_others_share_the_rest() {
        let claims = claims(&[("exempt", 550), ("workload-low", 200)]);
        let seats = adjust(&claims);
        assert_eq!(seats[0], 550);
        assert!(claims.iter().zip(&seats).skip(1).all(|(claim, seats)| *seats == claim.bounds.min));
    }
}
