//! All objects of a resource at one revision, for lists that take several requests.

use super::TooNew;
use super::chunks::Chunks;
use super::entry::Entry;
use super::event::EventType;
use super::state::Shared;
use super::watcher::Gone;
use crate::kv::Revision;

/// Does not change, and costs only what has changed since.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    pub(super) revision: Revision,
    pub(super) entries: Chunks,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// 410: list anew.
    #[error(transparent)]
    Gone(#[from] Gone),
    /// Wait for it first: [`Cache::wait_until`](super::Cache::wait_until).
    #[error(transparent)]
    TooNew(#[from] TooNew),
}

impl Snapshot {
    /// The revision that this is the state at.
    pub fn revision(&self) -> Revision {
        self.revision
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn get(&self, namespace: &str, name: &str) -> Option<&Entry> {
        self.entries.get(namespace, name)
    }

    /// In the order of namespace, then name.
    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }

    /// Of one namespace (or all), behind `after` (or from the first): a page.
    pub fn after<'a>(
        &'a self,
        namespace: Option<&'a str>,
        after: Option<(&'a str, &'a str)>,
    ) -> impl Iterator<Item = &'a Entry> {
        let first = (namespace.unwrap_or(""), "");
        let (start, is_exclusive) = match after {
            Some(after) if after >= first => (after, true),
            _ => (first, false),
        };
        let rest = self.entries.iter_from(start, is_exclusive);
        rest.take_while(move |entry| namespace.is_none_or(|namespace| namespace == entry.namespace()))
    }

    /// How many objects of one namespace (or of all) are behind `after`. Looks at few of them.
    pub fn count_after(&self, namespace: Option<&str>, after: (&str, &str)) -> usize {
        self.entries.count_after(namespace, after)
    }
}

/// The state at a revision: now, a kept one, or now with the events since undone.
pub(super) fn at(shared: &Shared, requested: Revision) -> Result<Snapshot, SnapshotError> {
    let (mut snapshot, events) = {
        let state = shared.state.read();
        let now = state.snapshot();
        if requested == 0 {
            return Ok(now);
        }
        if requested > now.revision {
            return Err(TooNew { requested, current: now.revision }.into());
        }
        if let Some(kept) = state.kept(requested) {
            return Ok(kept);
        }
        let oldest = state.ring.floor();
        if requested < oldest {
            return Err(Gone { requested, oldest }.into());
        }
        let events: Vec<_> = state.ring.after(requested).rev().cloned().collect();
        (now, events)
    };
    // Without the lock: the snapshot is our own.
    for event in events {
        match &event.prev {
            Some(prev) => drop(snapshot.entries.insert(prev.as_written())),
            None => {
                debug_assert!(event.kind == EventType::Added, "only a new object has no state before");
                snapshot.entries.remove(event.entry.namespace(), event.entry.name());
            }
        }
    }
    snapshot.revision = requested;
    Ok(snapshot)
}
