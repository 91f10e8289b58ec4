//! Which ended tasks are kept: enough to tell what happened, and those that carry a back-off.

use std::cmp::Reverse;

use super::slots::Slots;
use super::{Observed, Plan, Why};

/// Ended tasks that are kept for an instance: the last, and the one before it to compare with.
const KEPT_PER_INSTANCE: usize = 2;
/// Ended tasks that are kept for a service: a screen full.
const KEPT_PER_SERVICE: usize = 20;

pub(super) fn ended(observed: &Observed, slots: &Slots<'_>, plan: &mut Plan) {
    let mut spare: Vec<usize> = vec![];
    let mut kept = 0;
    for (instance, slot) in slots.iter() {
        let desired = slots.desired.contains(&instance);
        let keep = if desired { KEPT_PER_INSTANCE } else { 0 };
        // While no newer task carries the count of failures, the last ended one is needed for the next decision.
        let needed = usize::from(desired && slot.new.is_empty());
        for (age, place) in slot.ended.iter().copied().enumerate() {
            if age < needed {
                kept += 1;
            } else if age < keep {
                spare.push(place);
            } else {
                plan.delete.push((place, Why::Ended));
            }
        }
    }
    let over = (kept + spare.len()).saturating_sub(KEPT_PER_SERVICE).min(spare.len());
    if over > 0 {
        spare.sort_by_key(|place| Reverse((observed.tasks[*place].created, *place)));
        plan.delete.extend(spare.iter().rev().take(over).map(|place| (*place, Why::Ended)));
    }
}
