//! The decisions about all pending tasks at once.
//!
//! Tasks of one shape are a group: one pass over the nodes finds those that fit and makes a heap of them, best
//! first; each task takes the top and puts it back with its new score. Scores only get worse while a run books,
//! so an entry that another group made stale is found out when it comes to the top. Cost: O((nodes + tasks) log
//! nodes) for each group.
//!
//! Which group is next: the role with the smallest weighted dominant share, one task at a time; within the role
//! the highest priority, then the oldest. A group that fits nowhere does not hold up the ones behind it.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, VecDeque};
use std::sync::Arc;

use crate::cluster::{Booking, Cluster, Slot};
use crate::compile::{Compiled, Test};
use crate::counts::{Counts, field};
use crate::explain::Explanation;
use crate::fit;
use crate::model::{Protocol, Shape};
use crate::ports;
use crate::roles::Share;

/// A task that waits for a node.
#[derive(Clone, Debug)]
pub struct Pending {
    /// Unique name.
    pub task: String,
    /// Lower goes first among equals: the time of creation.
    pub order: u64,
    /// What it asks for.
    pub shape: Arc<Shape>,
}

/// What becomes of a pending task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It gets this node; booked already.
    Bind {
        /// The task.
        task: String,
        /// The node's name.
        node: String,
        /// Ports, in the order of the shape's wishes.
        ports: Vec<(Protocol, u16)>,
    },
    /// No node fits, or its role stands in the way.
    Unplaceable {
        /// The task.
        task: String,
        /// Why; shared by all tasks of the shape.
        explanation: Arc<Explanation>,
    },
}

/// How good a node is for a shape: smaller is better, fields in the order of their weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Score {
    soft_taints: u32,
    /// Tasks of the same owner there.
    owner_tasks: u32,
    /// The largest part of any resource that would be in use, in millionths.
    use_ppm: u32,
    tasks: u32,
    rank: u32,
    slot: u32,
    version: u64,
}

/// Tasks of one shape, in the order in which they are served.
struct Group<'a> {
    shape: &'a Arc<Shape>,
    tasks: VecDeque<&'a Pending>,
    heaps: Option<Heaps>,
}

/// Nodes that fit a shape, by what GROUP_BY tells apart; one heap when nothing does.
struct Heaps {
    compiled: Compiled,
    by_domain: BTreeMap<Vec<String>, BinaryHeap<Reverse<Score>>>,
}

impl Cluster {
    /// Decides about every pending task and books what it places. Tasks that are booked already are left out.
    ///
    /// `port_offset` is where the search for ports begins on nodes that have given none yet: hand in something
    /// that differs after a restart, so that ports freed just before are not given at once. The same book, tasks
    /// and offset lead to the same decisions, in whatever order the tasks are handed in.
    pub fn place(&mut self, pending: &[Pending], port_offset: u32) -> Vec<Decision> {
        self.refresh_ranks();
        let mut run = Run { cluster: self, counts: Counts::default(), decisions: Vec::new(), port_offset };
        let mut waiting = run.groups(pending);
        loop {
            let placed_before = run.decisions.len();
            let failed = run.place_all(waiting);
            let is_stuck = run.decisions.len() == placed_before;
            // GROUP_BY may let a group on when another one of the same owner has moved: ask again while that helps.
            // All are asked again, because what is placed meanwhile changes the reasons of the others.
            let is_open = failed.iter().any(|(_, why)| why.role.is_none() && why.fitting > 0);
            if is_stuck || !is_open {
                for (group, why) in failed {
                    run.give_up(&group, &Arc::new(why));
                }
                return run.decisions;
            }
            waiting = failed.into_iter().map(|(group, _)| group).collect();
        }
    }
}

struct Run<'c> {
    cluster: &'c mut Cluster,
    counts: Counts,
    decisions: Vec<Decision>,
    port_offset: u32,
}

impl Run<'_> {
    fn groups<'a>(&self, pending: &'a [Pending]) -> Vec<Group<'a>> {
        let mut by_shape: HashMap<&Arc<Shape>, Vec<&Pending>> = HashMap::new();
        for task in pending.iter().filter(|task| self.cluster.booking(&task.task).is_none()) {
            by_shape.entry(&task.shape).or_default().push(task);
        }
        let mut groups: Vec<Group<'a>> = by_shape
            .into_iter()
            .map(|(shape, mut tasks)| {
                tasks.sort_by_key(|task| (task.order, task.task.as_str()));
                tasks.dedup_by_key(|task| task.task.as_str());
                Group { shape, tasks: tasks.into(), heaps: None }
            })
            .collect();
        let first = |group: &Group<'a>| group.tasks.front().map(|task| (task.order, task.task.as_str()));
        groups.sort_by(|a, b| b.shape.priority.cmp(&a.shape.priority).then_with(|| first(a).cmp(&first(b))));
        groups
    }

    /// Serves all groups, the poorest role first; gives back those with tasks left over, and why.
    fn place_all<'a>(&mut self, groups: Vec<Group<'a>>) -> Vec<(Group<'a>, Explanation)> {
        let mut lines: BTreeMap<&'a str, VecDeque<Group<'a>>> = BTreeMap::new();
        for group in groups {
            lines.entry(group.shape.role.as_str()).or_default().push_back(group);
        }
        let mut failed = Vec::new();
        let mut turn: BTreeSet<(Share, u64, &'a str)> = lines.keys().map(|role| (self.share(role), 0, *role)).collect();
        while let Some((_, mut served, role)) = turn.pop_first() {
            let line = lines.get_mut(role).expect("every role in the queue has a line");
            let Some(group) = line.front_mut() else { continue };
            if self.place_one(group) {
                served += 1;
            } else if let Some(mut group) = line.pop_front()
                && !group.tasks.is_empty()
            {
                // The heaps go: one live group a role is what bounds the memory of a run.
                group.heaps = None;
                failed.push(group);
            }
            turn.insert((self.share(role), served, role));
        }
        // Explained at the end, when all is booked: until then a reason could still change.
        let explain = |group: Group<'a>| {
            let compiled = Compiled::new(self.cluster, group.shape.clone());
            self.counts.learn(self.cluster, &compiled);
            let why = self.cluster.explain_compiled(&compiled, &self.counts);
            (group, why)
        };
        failed.into_iter().map(explain).collect()
    }

    /// Places the group's next task; false when it has none or fits nowhere.
    fn place_one(&mut self, group: &mut Group<'_>) -> bool {
        let Some(task) = group.tasks.front() else { return false };
        let shape = group.shape;
        if self.cluster.roles.obstacle(&shape.role, &shape.requests).is_some() {
            return false;
        }
        if group.heaps.is_none() {
            group.heaps = Some(self.heaps(shape));
        }
        let heaps = group.heaps.as_mut().expect("made above if it was missing");
        let Some((at, ports)) = self.take_best(heaps) else { return false };

        let slot = &mut self.cluster.slots[at as usize];
        let node = slot.name.clone();
        let mut any = shape.ports.iter().zip(&ports).filter(|(wish, _)| wish.fixed.is_none());
        if let Some((_, (_, last))) = any.next_back() {
            slot.next_port = Some(last.wrapping_add(1));
        }
        self.counts.add(&shape.owner, slot);
        let booking = Booking { node: node.clone(), shape: shape.clone(), ports: ports.clone() };
        self.cluster.book(task.task.clone(), booking);
        self.decisions.push(Decision::Bind { task: task.task.clone(), node, ports });
        group.tasks.pop_front();
        self.put_back(heaps, at);
        true
    }

    fn heaps(&mut self, shape: &Arc<Shape>) -> Heaps {
        let compiled = Compiled::new(self.cluster, shape.clone());
        self.counts.learn(self.cluster, &compiled);
        let mut scores: BTreeMap<Vec<String>, Vec<Reverse<Score>>> = BTreeMap::new();
        for (at, slot) in (0u32..).zip(&self.cluster.slots) {
            if !fit::fits_node(&compiled, slot) || !fit::fits_bookings(&compiled, slot, &self.counts) {
                continue;
            }
            if let Some(domain) = domain(&compiled, slot) {
                scores.entry(domain).or_default().push(Reverse(self.score(&compiled, at)));
            }
        }
        Heaps { compiled, by_domain: scores.into_iter().map(|(domain, list)| (domain, list.into())).collect() }
    }

    /// The best node of all open domains, with the ports that the task gets there. It is off its heap.
    fn take_best(&mut self, heaps: &mut Heaps) -> Option<(u32, Vec<(Protocol, u16)>)> {
        loop {
            let mut best: Option<(u32, Score, &Vec<String>)> = None;
            let Heaps { compiled, by_domain } = &mut *heaps;
            for (domain, heap) in by_domain.iter_mut() {
                let Some(standing) = self.domain_tasks(compiled, domain) else { continue };
                let Some(top) = self.fresh_top(compiled, heap) else { continue };
                if best.is_none_or(|(least, score, _)| (standing, top) < (least, score)) {
                    best = Some((standing, top, domain));
                }
            }
            let (_, score, domain) = best?;
            let domain = domain.clone();
            by_domain.get_mut(&domain)?.pop();
            let slot = &self.cluster.slots[score.slot as usize];
            if let Ok(ports) = ports::allot(compiled, slot, self.port_offset) {
                return Some((score.slot, ports));
            }
            debug_assert!(false, "a node that fits has the ports");
        }
    }

    /// The top of a heap, after entries that are no longer true were renewed or dropped.
    fn fresh_top(&self, compiled: &Compiled, heap: &mut BinaryHeap<Reverse<Score>>) -> Option<Score> {
        loop {
            let Reverse(top) = *heap.peek()?;
            let slot = &self.cluster.slots[top.slot as usize];
            let is_fresh = slot.version == top.version;
            let has_counts = compiled.rules.iter().any(|rule| rule.test.counts());
            if (!is_fresh || has_counts) && !fit::fits_bookings(compiled, slot, &self.counts) {
                heap.pop();
            } else if is_fresh {
                return Some(top);
            } else {
                heap.pop();
                heap.push(Reverse(self.score(compiled, top.slot)));
            }
        }
    }

    fn put_back(&self, heaps: &mut Heaps, at: u32) {
        let slot = &self.cluster.slots[at as usize];
        if !fit::fits_bookings(&heaps.compiled, slot, &self.counts) {
            return;
        }
        let score = self.score(&heaps.compiled, at);
        if let Some(heap) = domain(&heaps.compiled, slot).and_then(|domain| heaps.by_domain.get_mut(&domain)) {
            heap.push(Reverse(score));
        }
    }

    /// How many of the owner's tasks stand in the domain, or `None` when GROUP_BY keeps it closed.
    fn domain_tasks(&self, compiled: &Compiled, domain: &[String]) -> Option<u32> {
        let groups = compiled.rules.iter().filter_map(|rule| match rule.test {
            Test::GroupBy { values_min } => Some((rule, values_min)),
            _ => None,
        });
        let mut standing = 0u32;
        for ((rule, values_min), value) in groups.zip(domain) {
            let by_value = self.counts.of(&compiled.shape.owner, &rule.field)?;
            if !fit::group_is_open(by_value, value, values_min) {
                return None;
            }
            standing = standing.saturating_add(by_value.get(value).copied().unwrap_or(0));
        }
        Some(standing)
    }

    fn score(&self, compiled: &Compiled, at: u32) -> Score {
        let slot = &self.cluster.slots[at as usize];
        let owner = self.cluster.owners.get(&compiled.shape.owner);
        Score {
            soft_taints: slot.node.as_ref().map_or(0, |node| fit::soft_taints(compiled, node)),
            owner_tasks: owner.and_then(|standing| standing.get(&at)).copied().unwrap_or(0),
            use_ppm: use_after(compiled, slot),
            tasks: slot.tasks,
            rank: slot.rank,
            slot: at,
            version: slot.version,
        }
    }

    fn share(&self, role: &str) -> Share {
        self.cluster.roles.share(role, &self.cluster.totals)
    }

    fn give_up(&mut self, group: &Group<'_>, explanation: &Arc<Explanation>) {
        let tasks = group.tasks.iter().map(|task| task.task.clone());
        let explanation = || explanation.clone();
        self.decisions.extend(tasks.map(|task| Decision::Unplaceable { task, explanation: explanation() }));
    }
}

/// The values that GROUP_BY tells apart, one a rule; `None` when the node lacks one.
fn domain(compiled: &Compiled, slot: &Slot) -> Option<Vec<String>> {
    let groups = compiled.rules.iter().filter(|rule| rule.test.may_open());
    groups.map(|rule| field(slot, &rule.field).map(str::to_owned)).collect()
}

/// The largest part of any resource that is in use once the task is there, in millionths. Floats are good enough
/// to rank nodes; whether a task fits is decided in integers.
fn use_after(compiled: &Compiled, slot: &Slot) -> u32 {
    let mut most = 0f64;
    for (resource, total) in slot.total.iter().enumerate().filter(|(_, total)| **total > 0) {
        let held = slot.held.get(resource).copied().unwrap_or(0) as f64;
        let asked = compiled.requests.iter().find(|(at, _)| *at == Some(resource)).map_or(0, |(_, asked)| *asked);
        most = most.max((held + asked as f64) / *total as f64);
    }
    (most.clamp(0.0, 1000.0) * 1e6) as u32
}
