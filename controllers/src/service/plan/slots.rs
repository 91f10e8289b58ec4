//! Sorts tasks into instances, and chooses the instances that are to be.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use k8s_openapi::jiff::Timestamp;

use super::backoff::{self, Standing};
use super::{Counts, Life, Observed, TaskView};

/// One instance: places of its tasks in the observed list.
#[derive(Debug, Default)]
pub(super) struct Slot {
    /// Live, of the newest revision, best first.
    pub(super) new: Vec<usize>,
    /// Live, of older revisions, best first.
    pub(super) old: Vec<usize>,
    /// Being stopped.
    pub(super) stopping: Vec<usize>,
    /// Given up: being deleted on nodes that are not heard of.
    pub(super) lost: Vec<usize>,
    /// Ended, not being deleted, newest first.
    pub(super) ended: Vec<usize>,
}

impl Slot {
    pub(super) fn has_live(&self) -> bool {
        !self.new.is_empty() || !self.old.is_empty()
    }

    pub(super) fn live(&self) -> impl Iterator<Item = usize> + '_ {
        self.new.iter().chain(&self.old).copied()
    }
}

/// All instances.
#[derive(Debug)]
pub(super) struct Slots<'a> {
    observed: &'a Observed,
    target: &'a str,
    all: BTreeMap<u32, Slot>,
    /// The instances that are to be: `replicas` of them.
    pub(super) desired: BTreeSet<u32>,
    /// The last attempt of an instance with a revision.
    attempts: HashMap<(u32, &'a str), u32>,
}

static EMPTY: Slot = Slot { new: vec![], old: vec![], stopping: vec![], lost: vec![], ended: vec![] };

impl<'a> Slots<'a> {
    pub(super) fn sort(observed: &'a Observed, target: &'a str) -> Self {
        let mut all: BTreeMap<u32, Slot> = BTreeMap::new();
        let mut attempts: HashMap<(u32, &str), u32> = HashMap::new();
        for (place, task) in observed.tasks.iter().enumerate() {
            let last = attempts.entry((task.instance, task.revision.as_str())).or_default();
            *last = (*last).max(task.attempt);
            let slot = all.entry(task.instance).or_default();
            match task.life {
                Life::Ended { .. } if task.deleting => {}
                Life::Ended { .. } => slot.ended.push(place),
                Life::Unknown if task.deleting => slot.lost.push(place),
                _ if task.deleting => slot.stopping.push(place),
                _ if task.revision == target => slot.new.push(place),
                _ => slot.old.push(place),
            }
        }
        let view = |place: &usize| &observed.tasks[*place];
        for slot in all.values_mut() {
            for live in [&mut slot.new, &mut slot.old] {
                live.sort_by_key(|p| (std::cmp::Reverse(view(p).level(observed)), view(p).created, view(p).attempt));
            }
            slot.ended.sort_by_key(|p| std::cmp::Reverse((view(p).created, view(p).attempt, *p)));
        }
        let desired = choose(observed, &all);
        Self { observed, target, all, desired, attempts }
    }

    pub(super) fn get(&self, instance: u32) -> &Slot {
        self.all.get(&instance).unwrap_or(&EMPTY)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &Slot)> {
        self.all.iter().map(|(instance, slot)| (*instance, slot))
    }

    pub(super) fn task(&self, place: usize) -> &'a TaskView {
        &self.observed.tasks[place]
    }

    /// The number of the next attempt of an instance with a revision.
    pub(super) fn next_attempt(&self, instance: u32, revision: &str) -> u32 {
        self.attempts.get(&(instance, revision)).copied().unwrap_or(0).saturating_add(1)
    }

    /// Where an instance stands with a revision, and the task that says so.
    pub(super) fn standing(&self, instance: u32, revision: &str) -> Option<(Standing, usize)> {
        let last = self.get(instance).ended.iter().copied().find(|place| self.task(*place).revision == revision)?;
        Some((backoff::after(self.task(last), &self.observed.wanted.backoff)?, last))
    }

    pub(super) fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for task in self.observed.tasks.iter().filter(|task| task.is_live()) {
            let (updated, available) = (task.revision == self.target, task.is_available(self.observed));
            counts.live += 1;
            counts.updated += u32::from(updated);
            counts.outdated += u32::from(!updated);
            counts.ready += u32::from(task.ready_since().is_some());
            counts.available += u32::from(available);
            counts.updated_available += u32::from(updated && available);
        }
        counts
    }

    /// When the next ready task will have been ready for long enough.
    pub(super) fn next_available(&self) -> Option<Timestamp> {
        let due = |task: &TaskView| Some(task.ready_since()? + self.observed.wanted.min_ready);
        self.observed.tasks.iter().filter_map(due).filter(|due| *due > self.observed.now).min()
    }
}

/// Chooses the instances that are to be. Those that live come first, the best of them when there are too many
/// (the surplus stops not-ready ones first, then the newest, then the highest index); then those whose task ended
/// and waits to be replaced; then the lowest free indexes.
fn choose(observed: &Observed, all: &BTreeMap<u32, Slot>) -> BTreeSet<u32> {
    let replicas = usize::try_from(observed.wanted.replicas).unwrap_or(usize::MAX);
    let mut living: Vec<u32> = all.iter().filter(|(_, slot)| slot.has_live()).map(|(i, _)| *i).collect();
    if living.len() > replicas {
        living.sort_by_cached_key(|instance| {
            let views = || all[instance].live().map(|place| &observed.tasks[place]);
            let best = views().map(|task| task.level(observed)).max().unwrap_or(0);
            let since = views().map(|task| task.created).min().unwrap_or(Timestamp::MAX);
            (std::cmp::Reverse(best), since, *instance)
        });
        living.truncate(replicas);
        return living.into_iter().collect();
    }
    let mut desired: BTreeSet<u32> = living.into_iter().collect();
    let ended = all.iter().filter(|(_, slot)| !slot.ended.is_empty() || !slot.lost.is_empty()).map(|(i, _)| *i);
    for instance in ended.chain(0..) {
        if desired.len() >= replicas {
            break;
        }
        desired.insert(instance);
    }
    desired
}
