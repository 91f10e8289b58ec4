//! The book: what every node has, what is booked on it, and by whom.
//!
//! A booking is a task that has a node and has not ended, or one that was decided a moment ago and is being
//! written. Both count the same, so that nothing is given twice between a decision and its echo.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::compile::Compiled;
use crate::counts::Counts;
use crate::explain::Explanation;
use crate::fit;
use crate::model::{Node, Protocol, Shape};
use crate::resources::{Milli, Resources};
use crate::roles::{Role, RoleBook};

/// What one task holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Booking {
    /// The node's name; it need not be known (yet, or any more).
    pub node: String,
    /// Requests, owner and role.
    pub shape: Arc<Shape>,
    /// The node's ports that it was given.
    pub ports: Vec<(Protocol, u16)>,
}

/// Something that more is booked of than there is. Decisions never lead here; shrinking nodes, lowered limits
/// and bindings by others can.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Overbooked {
    /// A resource of a node.
    Resource {
        /// Name of the node.
        node: String,
        /// Name of the resource.
        resource: String,
    },
    /// A port of a node.
    Port {
        /// Name of the node.
        node: String,
        /// Its number.
        port: u16,
    },
    /// A limit of a role.
    Role {
        /// Name of the role.
        role: String,
        /// Name of the resource.
        resource: String,
    },
}

/// One node and what is booked on it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Slot {
    pub(crate) name: String,
    /// `None`: tasks are booked on a node that is not known.
    pub(crate) node: Option<Node>,
    /// By index of the resource's name, in thousandths.
    pub(crate) total: Vec<i64>,
    pub(crate) held: Vec<i128>,
    /// How many hold each port: above one only when others bound past us.
    pub(crate) ports: BTreeMap<(Protocol, u16), u32>,
    pub(crate) tasks: u32,
    /// Moves with every booking and every change of the node, so that a remembered score can be known as stale.
    pub(crate) version: u64,
    /// Position of the name among all nodes' names: the last tie-break.
    pub(crate) rank: u32,
    /// Where the next search for any port starts: after the last one given, so that a port rests after its use.
    pub(crate) next_port: Option<u16>,
}

/// Nodes, roles and bookings. Can be rebuilt at any time from nodes, roles and tasks that have a node.
#[derive(Clone, Debug, Default)]
pub struct Cluster {
    pub(crate) resource_names: Vec<String>,
    pub(crate) slots: Vec<Slot>,
    pub(crate) index: BTreeMap<String, u32>,
    free_slots: Vec<u32>,
    bookings: HashMap<String, Booking>,
    /// How many tasks of an owner stand on which slot.
    pub(crate) owners: HashMap<String, BTreeMap<u32, u32>>,
    pub(crate) roles: RoleBook,
    /// Of all known nodes, in thousandths.
    pub(crate) totals: BTreeMap<String, i128>,
    ranks_are_old: bool,
}

impl Cluster {
    /// An empty book.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a node or replaces what is known of it; its bookings stay.
    pub fn set_node(&mut self, node: Node) {
        let at = self.slot_for(&node.name);
        self.count_totals(at, -1);
        let mut total = vec![0i64; self.resource_names.len()];
        for (name, amount) in &node.total.0 {
            let resource = self.resource_index(name);
            if resource >= total.len() {
                total.resize(resource + 1, 0);
            }
            total[resource] = amount.0.max(0);
        }
        let slot = &mut self.slots[at as usize];
        slot.total = total;
        slot.node = Some(node);
        slot.version += 1;
        self.count_totals(at, 1);
    }

    /// Forgets a node. Its bookings stay until they are released.
    pub fn remove_node(&mut self, name: &str) {
        let Some(&at) = self.index.get(name) else { return };
        self.count_totals(at, -1);
        let slot = &mut self.slots[at as usize];
        slot.node = None;
        slot.total.clear();
        slot.version += 1;
        self.vacate(at);
    }

    /// What is known of a node.
    pub fn node(&self, name: &str) -> Option<&Node> {
        self.slots[*self.index.get(name)? as usize].node.as_ref()
    }

    /// Names of all known nodes, in order.
    pub fn node_names(&self) -> impl Iterator<Item = &str> {
        self.index.iter().filter(|(_, at)| self.slots[**at as usize].node.is_some()).map(|(name, _)| name.as_str())
    }

    /// Declares a role, or changes it.
    pub fn set_role(&mut self, name: impl Into<String>, role: Role) {
        self.roles.declare(name.into(), role);
    }

    /// Withdraws a role's declaration: nothing new is placed for it.
    pub fn remove_role(&mut self, name: &str) {
        self.roles.withdraw(name);
    }

    /// What the tasks of a role and its children hold; more than fits an amount is told as the largest one.
    pub fn role_allocated(&self, role: &str) -> Resources {
        let held = self.roles.held(role).into_iter();
        Resources(held.map(|(name, milli)| (name, Milli(i64::try_from(milli).unwrap_or(i64::MAX)))).collect())
    }

    /// Books a task's resources on its node, whether they fit or not: a task with a node is a fact. Replaces the
    /// task's earlier booking, so telling the same fact twice changes nothing.
    pub fn book(&mut self, task: impl Into<String>, booking: Booking) {
        let task = task.into();
        if self.bookings.get(&task) == Some(&booking) {
            return;
        }
        self.release(&task);
        let at = self.slot_for(&booking.node);
        self.apply(at, &booking, 1);
        self.bookings.insert(task, booking);
    }

    /// Gives back what a task holds; false when it held nothing.
    pub fn release(&mut self, task: &str) -> bool {
        let Some(booking) = self.bookings.remove(task) else { return false };
        let at = self.index[&booking.node];
        self.apply(at, &booking, -1);
        self.vacate(at);
        true
    }

    /// What a task holds.
    pub fn booking(&self, task: &str) -> Option<&Booking> {
        self.bookings.get(task)
    }

    /// All bookings, in no order.
    pub fn bookings(&self) -> impl Iterator<Item = (&str, &Booking)> {
        self.bookings.iter().map(|(task, booking)| (task.as_str(), booking))
    }

    /// Why a task of this shape would fit nowhere now; `fitting` above zero and no `role` when it would fit.
    pub fn explain(&self, shape: &Arc<Shape>) -> Explanation {
        let compiled = Compiled::new(self, shape.clone());
        let mut counts = Counts::default();
        counts.learn(self, &compiled);
        self.explain_compiled(&compiled, &counts)
    }

    pub(crate) fn explain_compiled(&self, compiled: &Compiled, counts: &Counts) -> Explanation {
        let role = self.roles.obstacle(&compiled.shape.role, &compiled.shape.requests);
        let known = self.slots.iter().filter(|slot| slot.node.is_some());
        Explanation::new(known.map(|slot| fit::why_not(compiled, slot, counts)), role)
    }

    /// Everything that more is booked of than there is.
    pub fn overbooked(&self) -> Vec<Overbooked> {
        let mut found = Vec::new();
        for slot in self.slots.iter().filter(|slot| slot.node.is_some()) {
            for (resource, held) in slot.held.iter().enumerate() {
                if *held > i128::from(slot.total.get(resource).copied().unwrap_or(0)) {
                    let resource = self.resource_names[resource].clone();
                    found.push(Overbooked::Resource { node: slot.name.clone(), resource });
                }
            }
            let twice = slot.ports.iter().filter(|(_, holders)| **holders > 1);
            found.extend(twice.map(|((_, port), _)| Overbooked::Port { node: slot.name.clone(), port: *port }));
        }
        let roles = self.roles.over_limit().into_iter();
        found.extend(roles.map(|(role, resource)| Overbooked::Role { role, resource }));
        found
    }

    pub(crate) fn refresh_ranks(&mut self) {
        if std::mem::take(&mut self.ranks_are_old) {
            for (rank, at) in (0u32..).zip(self.index.values()) {
                self.slots[*at as usize].rank = rank;
            }
        }
    }

    pub(crate) fn find_resource(&self, name: &str) -> Option<usize> {
        // A handful of names at most: a scan beats a map.
        self.resource_names.iter().position(|known| known == name)
    }

    fn resource_index(&mut self, name: &str) -> usize {
        self.find_resource(name).unwrap_or_else(|| {
            self.resource_names.push(name.to_owned());
            self.resource_names.len() - 1
        })
    }

    fn slot_for(&mut self, name: &str) -> u32 {
        if let Some(at) = self.index.get(name) {
            return *at;
        }
        let at = self.free_slots.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            u32::try_from(self.slots.len() - 1).expect("fewer nodes than a u32 counts")
        });
        self.slots[at as usize].name = name.to_owned();
        self.index.insert(name.to_owned(), at);
        self.ranks_are_old = true;
        at
    }

    /// Frees the slot when neither a node nor a booking needs it.
    fn vacate(&mut self, at: u32) {
        let slot = &mut self.slots[at as usize];
        if slot.node.is_none() && slot.tasks == 0 {
            self.index.remove(&slot.name);
            *slot = Slot { version: slot.version + 1, ..Slot::default() };
            self.free_slots.push(at);
            self.ranks_are_old = true;
        }
    }

    fn apply(&mut self, at: u32, booking: &Booking, sign: i32) {
        let shape = &booking.shape;
        for (name, amount) in &shape.requests.0 {
            let resource = self.resource_index(name);
            let held = &mut self.slots[at as usize].held;
            if resource >= held.len() {
                held.resize(resource + 1, 0);
            }
            held[resource] += i128::from(sign) * i128::from(amount.0.max(0));
        }
        self.roles.charge(&shape.role, &shape.requests, i128::from(sign));
        let slot = &mut self.slots[at as usize];
        slot.version += 1;
        slot.tasks = slot.tasks.saturating_add_signed(sign);
        for port in &booking.ports {
            let holders = slot.ports.entry(*port).or_default();
            *holders = holders.saturating_add_signed(sign);
            if *holders == 0 {
                slot.ports.remove(port);
            }
        }
        if !self.owners.contains_key(&shape.owner) {
            self.owners.insert(shape.owner.clone(), BTreeMap::new());
        }
        let standing = self.owners.get_mut(&shape.owner).expect("inserted above if it was missing");
        let count = standing.entry(at).or_default();
        *count = count.saturating_add_signed(sign);
        if *count == 0 {
            standing.remove(&at);
            if standing.is_empty() {
                self.owners.remove(&shape.owner);
            }
        }
    }

    fn count_totals(&mut self, at: u32, sign: i128) {
        let slot = &self.slots[at as usize];
        for (resource, total) in slot.total.iter().enumerate().filter(|(_, total)| **total > 0) {
            *self.totals.entry(self.resource_names[resource].clone()).or_default() += sign * i128::from(*total);
        }
    }
}
