//! Spends what the strategy allows: how many tasks may be made now, how many may be stopped, and which.

use std::cmp::Reverse;
use std::collections::HashSet;

use super::slots::{Slot, Slots};
use super::{NewTask, Observed, Plan, Strategy, Waiting, Why};

pub(super) fn spend(observed: &Observed, slots: &Slots<'_>, target: &str, plan: &mut Plan) {
    remove_surplus(slots, plan);
    remove_twins(observed, slots, plan);
    remove_outdated(observed, slots, plan);
    make(observed, slots, target, plan);
}

/// Instances beyond `replicas`.
fn remove_surplus(slots: &Slots<'_>, plan: &mut Plan) {
    for (_, slot) in slots.iter().filter(|(instance, _)| !slots.desired.contains(instance)) {
        plan.delete.extend(slot.live().map(|place| (place, Why::Surplus)));
    }
}

/// Second tasks of one instance, whoever made them. Outdated ones go with the rollout, unless that is paused.
fn remove_twins(observed: &Observed, slots: &Slots<'_>, plan: &mut Plan) {
    let mut spare = spare(observed, slots);
    for instance in &slots.desired {
        let slot = slots.get(*instance);
        let outdated = slot.old.iter().skip(1).filter(|_| observed.wanted.paused);
        for twin in slot.new.iter().skip(1).chain(outdated) {
            if slots.task(*twin).is_available(observed) {
                if spare == 0 {
                    continue;
                }
                spare -= 1;
            }
            plan.delete.push((*twin, Why::Surplus));
        }
    }
}

/// How many available tasks there are above the least.
fn spare(observed: &Observed, slots: &Slots<'_>) -> usize {
    let available =
        desired_slots(slots).flat_map(Slot::live).filter(|place| slots.task(*place).is_available(observed)).count();
    available.saturating_sub(observed.wanted.least_available() as usize)
}

fn desired_slots<'a>(slots: &'a Slots<'a>) -> impl Iterator<Item = &'a Slot> {
    slots.desired.iter().map(|instance| slots.get(*instance))
}

/// Tasks of older revisions, as far as the strategy allows.
fn remove_outdated(observed: &Observed, slots: &Slots<'_>, plan: &mut Plan) {
    if observed.wanted.paused {
        return;
    }
    let mut old: Vec<(bool, usize)> = desired_slots(slots)
        .flat_map(|slot| slot.old.iter().map(|p| (slot_is_updated(observed, slots, slot), *p)))
        .collect();
    if old.is_empty() {
        return;
    }
    let is_available = |place: usize| slots.task(place).is_available(observed);
    if observed.wanted.strategy == Strategy::Recreate {
        plan.delete.extend(old.iter().map(|(_, place)| (*place, Why::Outdated)));
        return;
    }
    // The worst go first; among equals those whose successor is available.
    old.sort_by_key(|(updated, place)| {
        (slots.task(*place).level(observed), Reverse(*updated), slots.task(*place).instance)
    });
    let gone: HashSet<usize> = plan.delete.iter().map(|(place, _)| *place).collect();
    let new: Vec<usize> =
        desired_slots(slots).flat_map(|slot| &slot.new).copied().filter(|place| !gone.contains(place)).collect();
    let new_unavailable = new.iter().filter(|place| !is_available(**place)).count();
    let least = observed.wanted.least_available() as usize;
    let mut may_go = (old.len() + new.len()).saturating_sub(least + new_unavailable);
    let available = old.iter().map(|(_, place)| place).chain(&new).filter(|place| is_available(**place)).count();
    let mut may_lose = available.saturating_sub(least);
    // When nothing of the old works, what has not even a node helps nobody: a first version that cannot be placed
    // must not hold up its mending.
    let old_is_useless = !old.iter().any(|(_, place)| is_available(*place));
    for (_, place) in old {
        if old_is_useless && !slots.task(place).bound {
            plan.delete.push((place, Why::Outdated));
            may_go = may_go.saturating_sub(1);
            continue;
        }
        if may_go == 0 {
            continue;
        }
        if is_available(place) {
            if may_lose == 0 {
                continue;
            }
            may_lose -= 1;
        }
        may_go -= 1;
        plan.delete.push((place, Why::Outdated));
    }
}

fn slot_is_updated(observed: &Observed, slots: &Slots<'_>, slot: &Slot) -> bool {
    slot.new.iter().any(|place| slots.task(*place).is_available(observed))
}

/// New tasks, as far as there is room.
fn make(observed: &Observed, slots: &Slots<'_>, target: &str, plan: &mut Plan) {
    // Only the very first start waits for others.
    if !observed.missing.is_empty() && observed.tasks.is_empty() {
        return;
    }
    let wanted = &observed.wanted;
    let recreating = wanted.strategy == Strategy::Recreate && !wanted.paused;
    if recreating && is_old_there(observed, target) {
        return;
    }
    let mut restorable = restorable(observed, target);
    let mut due = vec![];
    for instance in &slots.desired {
        let slot = slots.get(*instance);
        if !slot.new.is_empty() || (wanted.paused && slot.has_live()) {
            continue;
        }
        let mut revision = target;
        if let Some(own) = own_revision(observed, slots, slot, target)
            && restorable > 0
        {
            restorable -= 1;
            revision = own;
        }
        match slots.standing(*instance, revision) {
            Some((standing, last)) if standing.due > observed.now => plan.waiting.push(Waiting {
                instance: *instance,
                failures: standing.failures,
                until: standing.due,
                last,
            }),
            standing => due.push((slot.has_live(), *instance, revision, standing.map_or(0, |(s, _)| s.failures))),
        }
    }
    // Instances without any task before those that merely have an old one.
    due.sort_by_key(|(has_live, instance, ..)| (*has_live, *instance));
    let taken = observed.tasks.iter().filter(|task| task.is_live() || task.is_stopping()).count();
    let room = (wanted.most() as usize).saturating_sub(taken + plan.waiting.len());
    plan.create.extend(due.into_iter().take(room).map(|(_, instance, revision, failures)| NewTask {
        instance,
        revision: revision.to_owned(),
        attempt: slots.next_attempt(instance, revision),
        failures,
    }));
    let next = plan.waiting.iter().map(|waiting| waiting.until).min();
    plan.next = [plan.next, next].into_iter().flatten().min();
}

fn is_old_there(observed: &Observed, target: &str) -> bool {
    observed.tasks.iter().any(|task| task.revision != target && (task.is_live() || task.is_stopping()))
}

/// How many ended tasks may be replaced by their own old revision. While nothing of the new revision works and the
/// old one does, the old one is what keeps the service up; but never more of it than must be available, or the
/// rollout would stop what was just made.
fn restorable(observed: &Observed, target: &str) -> usize {
    if observed.wanted.paused {
        return usize::MAX;
    }
    if observed.wanted.strategy == Strategy::Recreate {
        return 0;
    }
    let (mut old, mut old_works) = (0_usize, false);
    for task in observed.tasks.iter().filter(|task| task.is_live()) {
        let available = task.is_available(observed);
        if task.revision != target {
            old += 1;
            old_works |= available;
        } else if available {
            return 0;
        }
    }
    if old_works { (observed.wanted.least_available() as usize).saturating_sub(old) } else { 0 }
}

/// The old revision of the instance's last task, if that ended by itself or was lost and its template is known.
fn own_revision<'a>(observed: &'a Observed, slots: &Slots<'a>, slot: &Slot, target: &str) -> Option<&'a str> {
    if slot.has_live() || !slot.stopping.is_empty() {
        return None;
    }
    let last = slot.ended.iter().chain(&slot.lost).copied().max_by_key(|p| (slots.task(*p).created, *p))?;
    let own = slots.task(last).revision.as_str();
    let is_known = || observed.revisions.iter().any(|revision| revision.hash == own);
    (own != target && is_known()).then_some(own)
}
