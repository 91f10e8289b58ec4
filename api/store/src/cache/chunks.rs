//! An ordered set of entries whose copies are cheap: chunks that are shared until one of the
//! copies changes. A snapshot costs a reference, the next write after it one chunk.

use std::sync::Arc;

use super::entry::Entry;

/// Entries in a chunk at most: a write after a snapshot copies so many references.
const CHUNK_MAX: usize = 128;

/// Fuller than half, so that filling in order does not split at once.
const CHUNK_FILL: usize = 96;

#[derive(Clone, Debug, Default)]
pub(super) struct Chunks {
    chunks: Arc<Vec<Arc<Vec<Entry>>>>,
    len: usize,
}

type SortKey<'a> = (&'a str, &'a str);

impl Chunks {
    /// From any order.
    pub(super) fn from_entries(mut entries: Vec<Entry>) -> Self {
        entries.sort_by(|a, b| a.sort_key().cmp(&b.sort_key()));
        let len = entries.len();
        let chunks = entries.chunks(CHUNK_FILL).map(|chunk| Arc::new(chunk.to_vec())).collect();
        Self { chunks: Arc::new(chunks), len }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn get(&self, namespace: &str, name: &str) -> Option<&Entry> {
        let key = (namespace, name);
        let chunk = self.chunks.get(self.chunk_of(key))?;
        let at = chunk.binary_search_by(|entry| entry.sort_key().cmp(&key)).ok()?;
        chunk.get(at)
    }

    /// Returns what was there under the same name.
    pub(super) fn insert(&mut self, entry: Entry) -> Option<Entry> {
        let index = self.chunk_of(entry.sort_key());
        let chunks = Arc::make_mut(&mut self.chunks);
        let Some(chunk) = chunks.get_mut(index) else {
            chunks.push(Arc::new(vec![entry]));
            self.len += 1;
            return None;
        };
        let chunk = Arc::make_mut(chunk);
        match chunk.binary_search_by(|other| other.sort_key().cmp(&entry.sort_key())) {
            Ok(at) => Some(std::mem::replace(&mut chunk[at], entry)),
            Err(at) => {
                let is_end = at == chunk.len();
                chunk.insert(at, entry);
                self.len += 1;
                if chunk.len() > CHUNK_MAX {
                    // Names often come in order: then the full part stays as it is.
                    let rest = chunk.split_off(if is_end { CHUNK_FILL } else { CHUNK_MAX / 2 });
                    chunks.insert(index + 1, Arc::new(rest));
                }
                None
            }
        }
    }

    pub(super) fn remove(&mut self, namespace: &str, name: &str) -> Option<Entry> {
        let key = (namespace, name);
        let index = self.chunk_of(key);
        let at = self.chunks.get(index)?.binary_search_by(|entry| entry.sort_key().cmp(&key)).ok()?;
        let chunks = Arc::make_mut(&mut self.chunks);
        let chunk = Arc::make_mut(&mut chunks[index]);
        let removed = chunk.remove(at);
        self.len -= 1;
        if chunk.is_empty() {
            chunks.remove(index);
        } else {
            merge_with_next(chunks, index);
        }
        Some(removed)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.chunks.iter().flat_map(|chunk| chunk.iter())
    }

    /// From the first entry that is not below `key` (or above it, when exclusive).
    pub(super) fn iter_from(&self, key: SortKey<'_>, is_exclusive: bool) -> impl Iterator<Item = &Entry> {
        let index = self.chunk_of(key);
        let at = self.chunks.get(index).map_or(0, |chunk| {
            chunk.partition_point(|entry| if is_exclusive { entry.sort_key() <= key } else { entry.sort_key() < key })
        });
        self.chunks.iter().skip(index).flat_map(|chunk| chunk.iter()).skip(at)
    }

    /// Entries above `key`, of one namespace or of all. Whole chunks are counted by their length.
    pub(super) fn count_after(&self, namespace: Option<&str>, key: SortKey<'_>) -> usize {
        let is_in = |entry: &Entry| namespace.is_none_or(|namespace| namespace == entry.namespace());
        let first = self.chunk_of(key);
        let mut count = 0;
        for (index, chunk) in self.chunks.iter().enumerate().skip(first) {
            let start = if index == first { chunk.partition_point(|entry| entry.sort_key() <= key) } else { 0 };
            let rest = &chunk[start..];
            match (rest.first(), rest.last()) {
                (Some(first), Some(last)) if is_in(first) && is_in(last) => count += rest.len(),
                (Some(first), _) if is_in(first) => {
                    return count + rest.iter().take_while(|entry| is_in(entry)).count();
                }
                (Some(_), _) => return count,
                // Behind the last entry of the chunk that the key is in.
                (None, _) => debug_assert!(index == first, "only the first chunk may end before the key"),
            }
        }
        count
    }

    /// The chunk that holds the key, or where it would go.
    fn chunk_of(&self, key: SortKey<'_>) -> usize {
        let begins_at_or_before = |chunk: &Arc<Vec<Entry>>| chunk.first().is_some_and(|first| first.sort_key() <= key);
        self.chunks.partition_point(begins_at_or_before).saturating_sub(1)
    }
}

/// Keeps chunks from staying small after many deletions.
fn merge_with_next(chunks: &mut Vec<Arc<Vec<Entry>>>, index: usize) {
    let Some(next) = chunks.get(index + 1) else { return };
    if chunks[index].len() + next.len() > CHUNK_MAX / 2 {
        return;
    }
    let next = chunks.remove(index + 1);
    Arc::make_mut(&mut chunks[index]).extend(next.iter().cloned());
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::cache::extract::Extractor;
    use crate::kv::{KeyValue, Kv};

    fn entry(namespace: u8, name: u16, revision: u64) -> Entry {
        let key = format!("/p/{}/n{name}", namespace_name(namespace)).into();
        let value = Bytes::from_static(b"{}");
        let kv = KeyValue { key, value, create_revision: 1, mod_revision: revision, version: 1, lease: None };
        Extractor::new("/p/", &[]).entry(&Kv::new(kv))
    }

    /// "a-b" sorts before "a/" as a key but after "a" as a namespace.
    fn namespace_name(namespace: u8) -> &'static str {
        ["a", "a-b", "b"][usize::from(namespace) % 3]
    }

    proptest! {
        #[test]
        fn chunks_are_an_ordered_map_and_copies_do_not_change(
            steps in prop::collection::vec((0_u8..3, 0_u16..400, prop::bool::weighted(0.6)), 1..1500),
        ) {
            let mut chunks = Chunks::default();
            let mut model = BTreeMap::new();
            let mut copy = None;
            for (revision, (namespace, name, is_put)) in steps.iter().copied().enumerate() {
                let key = (namespace_name(namespace).to_owned(), format!("n{name}"));
                if is_put {
                    let entry = entry(namespace, name, revision as u64);
                    let old = chunks.insert(entry.clone()).map(|old| old.revision());
                    prop_assert_eq!(old, model.insert(key, revision as u64));
                } else {
                    let old = chunks.remove(&key.0, &key.1).map(|old| old.revision());
                    prop_assert_eq!(old, model.remove(&key));
                }
                prop_assert_eq!(chunks.len(), model.len());
                if revision == steps.len() / 2 {
                    copy = Some((chunks.clone(), model.clone()));
                }
            }
            let listed = |chunks: &Chunks| chunks.iter().map(|e| ((e.namespace().to_owned(), e.name().to_owned()), e.revision())).collect::<Vec<_>>();
            prop_assert_eq!(listed(&chunks), model.clone().into_iter().collect::<Vec<_>>());
            let (copy, copied) = copy.expect("half way was passed");
            prop_assert_eq!(listed(&copy), copied.into_iter().collect::<Vec<_>>());
            for (namespace, name, _) in &steps {
                let (namespace, name) = (namespace_name(*namespace), format!("n{name}"));
                let key = (namespace.to_owned(), name.clone());
                prop_assert_eq!(chunks.get(namespace, &name).map(Entry::revision), model.get(&key).copied());
                let rest = chunks.iter_from((namespace, &name), true).count();
                let after = (std::ops::Bound::Excluded(key), std::ops::Bound::Unbounded);
                prop_assert_eq!(rest, model.range(after.clone()).count());
                prop_assert_eq!(chunks.count_after(None, (namespace, &name)), rest);
                let same = model.range(after).take_while(|((ns, _), _)| ns == namespace).count();
                prop_assert_eq!(chunks.count_after(Some(namespace), (namespace, &name)), same);
            }
        }
    }
}
