//! One change of one object, as watchers see it.

use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;

use super::entry::Entry;
use super::filter::Filter;
use crate::kv::Revision;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventType {
    Added,
    Modified,
    Deleted,
}

impl EventType {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Added => "ADDED",
            Self::Modified => "MODIFIED",
            Self::Deleted => "DELETED",
        }
    }
}

#[derive(Debug)]
pub struct Event {
    /// What it is to someone who sees all objects.
    pub kind: EventType,
    /// The new state; of a deleted object the last one, under the deletion's revision.
    pub entry: Entry,
    /// The state before, under the revision of this event; `None` for a new object.
    pub prev: Option<Entry>,
    line: Mutex<Option<Bytes>>,
}

impl Event {
    pub(super) fn put(entry: Entry, prev: Option<Entry>) -> Self {
        let kind = if prev.is_some() { EventType::Modified } else { EventType::Added };
        let prev = prev.map(|prev| prev.with_revision(entry.revision()));
        Self { kind, entry, prev, line: Mutex::default() }
    }

    pub(super) fn deleted(last: &Entry, revision: Revision) -> Self {
        let entry = last.with_revision(revision);
        Self { kind: EventType::Deleted, prev: Some(entry.clone()), entry, line: Mutex::default() }
    }

    pub fn revision(&self) -> Revision {
        self.entry.revision()
    }

    /// Bytes that only the ring holds on to.
    pub(super) fn bytes(&self) -> usize {
        const EVENT_BYTES: usize = 256;
        EVENT_BYTES + self.prev.as_ref().map_or(0, |prev| prev.kv().value.len())
    }

    /// What the event is to someone who sees only what the filter lets through: an object that
    /// begins to match is added, one that ceases to is deleted.
    pub fn seen_through(&self, filter: &Filter) -> Option<EventType> {
        let was = self.prev.as_ref().is_some_and(|prev| filter.matches(prev));
        let is = self.kind != EventType::Deleted && filter.matches(&self.entry);
        match (was, is) {
            (false, false) => None,
            (false, true) => Some(EventType::Added),
            (true, false) => Some(EventType::Deleted),
            (true, true) => Some(EventType::Modified),
        }
    }

    /// The event's line under its own kind, made once for all watchers.
    fn line(&self) -> Bytes {
        let mut line = self.line.lock();
        line.get_or_insert_with(|| make_line(self.kind, &self.entry)).clone()
    }

    /// Most watchers have read it: whoever is late makes the line again.
    pub(super) fn drop_line(&self) {
        *self.line.lock() = None;
    }
}

/// An event as one watcher sees it.
#[derive(Clone, Debug)]
pub struct WatchItem {
    pub kind: EventType,
    pub event: Arc<Event>,
}

impl WatchItem {
    /// The state to show. When deleted: the last one that matched, under the event's revision.
    pub fn entry(&self) -> &Entry {
        match (self.kind, &self.event.prev) {
            (EventType::Deleted, Some(prev)) => prev,
            _ => &self.event.entry,
        }
    }

    pub fn revision(&self) -> Revision {
        self.event.revision()
    }

    /// `{"type":"ADDED","object":{…}}` and a newline.
    pub fn line(&self) -> Bytes {
        if self.kind == self.event.kind {
            return self.event.line();
        }
        make_line(self.kind, self.entry())
    }
}

fn make_line(kind: EventType, entry: &Entry) -> Bytes {
    let (open, middle, close) = ("{\"type\":\"", "\",\"object\":", "}\n");
    let mut line = Vec::with_capacity(entry.json_len() + 40);
    line.extend_from_slice(open.as_bytes());
    line.extend_from_slice(kind.as_str().as_bytes());
    line.extend_from_slice(middle.as_bytes());
    entry.write_json(&mut line);
    line.extend_from_slice(close.as_bytes());
    Bytes::from(line)
}
