//! A watcher: a cursor over the ring, or over the slot of its interest.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::Notify;

use super::event::{Event, WatchItem};
use super::filter::Filter;
use super::slots::SlotKey;
use super::state::{Shared, State};
use crate::kv::Revision;

/// Events looked at in one go: bounds the time of the read lock and the size of a batch.
const BATCH_EVENTS_MAX: usize = 512;

/// 410: the events that were asked for, or were next, are no longer here. List and watch anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too old resource version: {requested} ({oldest})")]
pub struct Gone {
    pub requested: Revision,
    /// Watching after this revision is possible now.
    pub oldest: Revision,
}

/// Dropping it ends the watch.
#[derive(Debug)]
pub struct Watcher {
    shared: Arc<Shared>,
    filter: Filter,
    /// Its interest, when indexed.
    slot: Option<SlotKey>,
    signal: Arc<Notify>,
    epoch: u64,
    /// Only events after this are wanted (it may lie in the future).
    from: Revision,
    /// The last event that was looked at.
    seen: Revision,
    /// The number of the next event to look at.
    cursor: u64,
    /// Found, but not handed out yet: the past of a watcher with a slot, or what
    /// [`bookmark`](Self::bookmark) came across.
    found: VecDeque<Arc<Event>>,
}

impl Watcher {
    /// The caller holds the lock, so nothing falls between the past and what is to come.
    pub(super) fn start(shared: &Arc<Shared>, state: &mut State, from: Revision, filter: Filter) -> Result<Self, Gone> {
        let oldest = state.ring.floor();
        if from < oldest {
            return Err(Gone { requested: from, oldest });
        }
        let slot = state.slots.key_of(&filter, &shared.extractor);
        let past = || state.ring.after(from);
        let (signal, cursor, found) = match slot {
            Some(key) => {
                let found = past().filter(|event| event.seen_through(&filter).is_some()).cloned().collect();
                (state.slots.join(key), state.ring.end(), found)
            }
            None => (Arc::clone(&shared.events), state.ring.end() - past().count() as u64, VecDeque::new()),
        };
        state.watchers_count += 1;
        let epoch = state.epoch;
        Ok(Self { shared: Arc::clone(shared), filter, slot, signal, epoch, from, seen: from, cursor, found })
    }

    /// The next events that concern this watcher, at least one. Cancel safe: what was not
    /// returned is returned next time.
    pub async fn next_batch(&mut self) -> Result<Vec<WatchItem>, Gone> {
        loop {
            let signal = Arc::clone(&self.signal);
            let notified = signal.notified();
            tokio::pin!(notified);
            notified.as_mut().enable();
            let (items, is_end) = self.look()?;
            if !items.is_empty() {
                return Ok(items);
            }
            if is_end {
                notified.await;
            }
        }
    }

    /// What is there now, without waiting; empty when there is nothing.
    pub fn try_next_batch(&mut self) -> Result<Vec<WatchItem>, Gone> {
        loop {
            let (items, is_end) = self.look()?;
            if is_end || !items.is_empty() {
                return Ok(items);
            }
        }
    }

    /// A revision up to which this watcher has been given everything: what a bookmark says.
    /// `None` while there are events to read first.
    pub fn bookmark(&mut self) -> Result<Option<Revision>, Gone> {
        // Before looking: whatever comes in between is looked at, too.
        let revision = self.shared.state.read().revision();
        let items = self.try_next_batch()?;
        if items.is_empty() {
            return Ok(Some(revision));
        }
        for item in items.into_iter().rev() {
            self.found.push_front(item.event);
        }
        Ok(None)
    }

    pub fn filter(&self) -> &Filter {
        &self.filter
    }

    /// One step: what was found, else a stretch of the ring or slot. Also says whether that
    /// was all there is.
    fn look(&mut self) -> Result<(Vec<WatchItem>, bool), Gone> {
        let shared = Arc::clone(&self.shared);
        let state = shared.state.read();
        let oldest = state.ring.floor();
        let gone = Gone { requested: self.seen, oldest };
        if state.epoch != self.epoch {
            return Err(gone);
        }
        if !self.found.is_empty() {
            let count = self.found.len().min(BATCH_EVENTS_MAX);
            let events: Vec<_> = self.found.drain(..count).collect();
            drop(state);
            return Ok((events.into_iter().filter_map(|event| self.item(event)).collect(), false));
        }
        let end = state.ring.end();
        let events: Vec<(u64, Arc<Event>)> = match self.slot {
            None => {
                if self.cursor < state.ring.first() {
                    return Err(gone);
                }
                let events = state.ring.since_number(self.cursor).take(BATCH_EVENTS_MAX);
                events.map(|(number, event)| (number, Arc::clone(event))).collect()
            }
            Some(key) => {
                let Some(slot) = state.slots.get(key) else { return Err(gone) };
                if self.cursor < slot.lost_below {
                    return Err(gone);
                }
                let start = slot.events.partition_point(|(number, _)| *number < self.cursor);
                slot.events.range(start..).take(BATCH_EVENTS_MAX).cloned().collect()
            }
        };
        // Predicates are run without the lock.
        drop(state);
        let is_end = events.len() < BATCH_EVENTS_MAX;
        self.cursor = match events.last() {
            Some((number, _)) if !is_end => number + 1,
            _ => end,
        };
        Ok((events.into_iter().filter_map(|(_, event)| self.item(event)).collect(), is_end))
    }

    fn item(&mut self, event: Arc<Event>) -> Option<WatchItem> {
        let revision = event.revision();
        if revision <= self.from {
            return None;
        }
        self.seen = self.seen.max(revision);
        let kind = event.seen_through(&self.filter)?;
        Some(WatchItem { kind, event })
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let mut state = self.shared.state.write();
        state.watchers_count -= 1;
        if let Some(key) = self.slot {
            state.slots.leave(key);
        }
    }
}
