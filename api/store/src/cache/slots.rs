//! Who is woken by which event. A watcher with an indexed interest has a slot that it shares
//! with others of the same interest; it holds their events of the ring, and nobody else's.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use tokio::sync::Notify;

use super::entry::Entry;
use super::event::Event;
use super::extract::Extractor;
use super::filter::Filter;

/// The hash of an interest. Two interests with one hash share a slot: the filter, which is
/// always applied, keeps them apart.
pub(super) type SlotKey = u64;

#[derive(Debug, Default)]
pub(super) struct Slots {
    by_key: HashMap<SlotKey, Slot>,
    hasher: RandomState,
}

#[derive(Debug, Default)]
pub(super) struct Slot {
    pub(super) signal: Arc<Notify>,
    /// Events of this slot that are in the ring, with their numbers.
    pub(super) events: VecDeque<(u64, Arc<Event>)>,
    /// Events with a number below are gone.
    pub(super) lost_below: u64,
    watchers: usize,
}

#[derive(Clone, Copy, Hash)]
enum Interest<'a> {
    Field(usize, &'a str),
    Name(&'a str),
    Namespace(&'a str),
}

impl Slots {
    /// The narrowest interest of a filter, if it has one that is indexed.
    pub(super) fn key_of(&self, filter: &Filter, extractor: &Extractor) -> Option<SlotKey> {
        let field = filter.field.as_ref().and_then(|(path, value)| {
            let index = extractor.field_index(path)?;
            Some(Interest::Field(index, value))
        });
        let name = || filter.name.as_deref().map(Interest::Name);
        let namespace = || filter.namespace.as_deref().map(Interest::Namespace);
        field.or_else(name).or_else(namespace).map(|interest| self.hasher.hash_one(interest))
    }

    pub(super) fn join(&mut self, key: SlotKey) -> Arc<Notify> {
        let slot = self.by_key.entry(key).or_default();
        slot.watchers += 1;
        Arc::clone(&slot.signal)
    }

    pub(super) fn leave(&mut self, key: SlotKey) {
        let Some(slot) = self.by_key.get_mut(&key) else { return };
        slot.watchers -= 1;
        if slot.watchers == 0 {
            self.by_key.remove(&key);
        }
    }

    pub(super) fn get(&self, key: SlotKey) -> Option<&Slot> {
        self.by_key.get(&key)
    }

    /// Puts an event into the slots it concerns; their signals are added to `woken`.
    pub(super) fn push(&mut self, number: u64, event: &Arc<Event>, fields: usize, woken: &mut Vec<Arc<Notify>>) {
        for key in self.keys_of(event, fields) {
            let Some(slot) = self.by_key.get_mut(&key) else { continue };
            if slot.events.back().is_some_and(|(last, _)| *last == number) {
                continue;
            }
            slot.events.push_back((number, Arc::clone(event)));
            // Several events of a batch wake a slot once.
            if !woken.iter().rev().take(WOKEN_LOOK_BACK).any(|other| Arc::ptr_eq(other, &slot.signal)) {
                woken.push(Arc::clone(&slot.signal));
            }
        }
    }

    /// The ring has dropped an event.
    pub(super) fn evict(&mut self, number: u64, event: &Arc<Event>, fields: usize) {
        for key in self.keys_of(event, fields) {
            let Some(slot) = self.by_key.get_mut(&key) else { continue };
            while slot.events.pop_front_if(|(first, _)| *first <= number).is_some() {
                slot.lost_below = number + 1;
            }
        }
    }

    pub(super) fn clear(&mut self) -> Vec<Arc<Notify>> {
        self.by_key.values_mut().for_each(|slot| slot.events.clear());
        self.by_key.values().map(|slot| Arc::clone(&slot.signal)).collect()
    }

    /// Slots of the state before and of the state after.
    fn keys_of(&self, event: &Event, fields: usize) -> Vec<SlotKey> {
        if self.by_key.is_empty() {
            return Vec::new();
        }
        let mut keys = Vec::with_capacity(fields * 2 + 2);
        let entry = &event.entry;
        keys.push(self.hasher.hash_one(Interest::Name(entry.name())));
        keys.push(self.hasher.hash_one(Interest::Namespace(entry.namespace())));
        let mut add_fields = |entry: &Entry| {
            for index in 0..fields {
                keys.push(self.hasher.hash_one(Interest::Field(index, entry.field_at(index))));
            }
        };
        add_fields(entry);
        if let Some(prev) = &event.prev {
            add_fields(prev);
        }
        keys
    }
}

/// How far back the list of woken signals is searched for one that is there already: waking
/// twice is harmless, searching all of a long list is not.
const WOKEN_LOOK_BACK: usize = 16;
