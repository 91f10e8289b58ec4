//! How many tasks of an owner stand on each value of a field: what UNIQUE, CLUSTER, MAX_PER and GROUP_BY ask.

use std::collections::{BTreeMap, HashMap};

use crate::cluster::{Cluster, Slot};
use crate::compile::Compiled;

pub(crate) type ByValue = BTreeMap<String, u32>;

/// Counts for the owners and fields that a run has met. Kept in step with what the run books.
#[derive(Default)]
pub(crate) struct Counts {
    owners: HashMap<String, BTreeMap<String, ByValue>>,
}

impl Counts {
    /// Counts what stands, for each field that the shape's constraints count on.
    pub(crate) fn learn(&mut self, cluster: &Cluster, compiled: &Compiled) {
        for rule in compiled.rules.iter().filter(|rule| rule.test.counts()) {
            let fields = self.owners.entry(compiled.shape.owner.clone()).or_default();
            if fields.contains_key(&rule.field) {
                continue;
            }
            let mut by_value = ByValue::new();
            for (at, tasks) in cluster.owners.get(&compiled.shape.owner).into_iter().flatten() {
                if let Some(value) = field(&cluster.slots[*at as usize], &rule.field) {
                    *by_value.entry(value.to_owned()).or_default() += tasks;
                }
            }
            fields.insert(rule.field.clone(), by_value);
        }
    }

    /// One more task of the owner stands on the slot.
    pub(crate) fn add(&mut self, owner: &str, slot: &Slot) {
        for (name, by_value) in self.owners.get_mut(owner).into_iter().flatten() {
            if let Some(value) = field(slot, name) {
                *by_value.entry(value.to_owned()).or_default() += 1;
            }
        }
    }

    pub(crate) fn of(&self, owner: &str, field: &str) -> Option<&ByValue> {
        self.owners.get(owner)?.get(field)
    }
}

/// A field of a slot; of a node that is gone only its name is known.
pub(crate) fn field<'a>(slot: &'a Slot, name: &str) -> Option<&'a str> {
    match &slot.node {
        Some(node) => node.field(name),
        None if name == "hostname" || name == "@hostname" => Some(&slot.name),
        None => None,
    }
}
