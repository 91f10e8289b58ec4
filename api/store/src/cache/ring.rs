//! Recent events in order, numbered without gaps, bounded by count and by bytes.

use std::collections::VecDeque;
use std::sync::Arc;

use super::event::Event;
use crate::kv::Revision;

/// Events that keep their ready-made line: by then all but the slow watchers have read it.
const LINES_KEPT: usize = 256;

#[derive(Debug)]
pub(super) struct Ring {
    events: VecDeque<Arc<Event>>,
    /// The number of the first event that is still here.
    first: u64,
    /// Events after this revision are all here.
    floor: Revision,
    bytes: usize,
    events_max: usize,
    bytes_max: usize,
}

impl Ring {
    pub(super) fn new(floor: Revision, events_max: usize, bytes_max: usize) -> Self {
        Self { events: VecDeque::new(), first: 0, floor, bytes: 0, events_max: events_max.max(1), bytes_max }
    }

    pub(super) fn len(&self) -> usize {
        self.events.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn floor(&self) -> Revision {
        self.floor
    }

    pub(super) fn first(&self) -> u64 {
        self.first
    }

    /// The number that the next event gets.
    pub(super) fn end(&self) -> u64 {
        self.first + self.events.len() as u64
    }

    /// Returns the event's number.
    pub(super) fn push(&mut self, event: Arc<Event>) -> u64 {
        let number = self.end();
        self.bytes += event.bytes();
        self.events.push_back(event);
        if let Some(late) = self.events.len().checked_sub(LINES_KEPT + 1) {
            self.events[late].drop_line();
        }
        number
    }

    /// Takes out the oldest event when the ring is over its bounds. The newest one stays.
    pub(super) fn evict(&mut self) -> Option<(u64, Arc<Event>)> {
        let is_over = self.events.len() > self.events_max || self.bytes > self.bytes_max;
        if !is_over || self.events.len() == 1 {
            return None;
        }
        let event = self.events.pop_front()?;
        let number = self.first;
        self.first += 1;
        self.bytes -= event.bytes();
        self.floor = event.revision();
        Some((number, event))
    }

    /// All events go; what follows comes after `floor`. Numbers go on.
    pub(super) fn clear(&mut self, floor: Revision) {
        self.first = self.end();
        self.events.clear();
        self.bytes = 0;
        self.floor = floor;
    }

    /// Events from a number on, with their numbers.
    pub(super) fn since_number(&self, number: u64) -> impl Iterator<Item = (u64, &Arc<Event>)> {
        let start = number.saturating_sub(self.first).min(self.events.len() as u64);
        // At most the length of a deque in memory.
        (self.first + start..).zip(self.events.range(start as usize..))
    }

    /// Events after a revision.
    pub(super) fn after(&self, revision: Revision) -> impl DoubleEndedIterator<Item = &Arc<Event>> {
        let start = self.events.partition_point(|event| event.revision() <= revision);
        self.events.range(start..)
    }

    pub(super) fn last_revision(&self) -> Option<Revision> {
        self.events.back().map(|event| event.revision())
    }
}
