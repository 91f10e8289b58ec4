//! One object in the cache: the store's bytes, plus what selectors ask for.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use super::texts::Texts;
use crate::kv::{Key, Kv, Revision};

/// An object at a revision. Cloning costs a reference count.
#[derive(Clone)]
pub struct Entry {
    body: Arc<Body>,
    /// What the object says of itself; a deleted one carries the revision of its deletion.
    revision: Revision,
}

pub(super) struct Body {
    pub(super) kv: Kv,
    /// Where in the key the namespace begins; it ends one byte before the name.
    pub(super) namespace_start: u16,
    pub(super) name_start: u16,
    pub(super) splice: Splice,
    /// Names of the indexed fields, shared by all entries of the cache.
    pub(super) fields: Arc<[Box<str>]>,
    /// Label keys and values, then a value for each indexed field.
    pub(super) texts: Texts,
    pub(super) labels_count: u16,
}

/// Where the resource version goes: right behind the brace of `metadata`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Splice {
    /// The value is not an object with metadata: it is served as it is.
    Nowhere,
    At {
        offset: u32,
        is_alone: bool,
    },
}

const OPEN: &[u8] = b"\"resourceVersion\":\"";

impl Entry {
    pub(super) fn new(body: Body) -> Self {
        Self { revision: body.kv.mod_revision, body: Arc::new(body) }
    }

    /// The same state under another revision (a deletion's).
    pub(super) fn with_revision(&self, revision: Revision) -> Self {
        Self { body: Arc::clone(&self.body), revision }
    }

    /// The state as it was written.
    pub(super) fn as_written(&self) -> Self {
        self.with_revision(self.body.kv.mod_revision)
    }

    /// The key in the store.
    pub fn key(&self) -> &Key {
        &self.body.kv.key
    }

    pub fn kv(&self) -> &Kv {
        &self.body.kv
    }

    /// Empty for a cluster-scoped object.
    pub fn namespace(&self) -> &str {
        let Body { kv, namespace_start, name_start, .. } = &*self.body;
        let end = name_start.saturating_sub(1).max(*namespace_start);
        &kv.key[usize::from(*namespace_start)..usize::from(end)]
    }

    pub fn name(&self) -> &str {
        &self.body.kv.key[usize::from(self.body.name_start)..]
    }

    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// The order of lists.
    pub fn sort_key(&self) -> (&str, &str) {
        (self.namespace(), self.name())
    }

    pub fn labels(&self) -> impl Iterator<Item = (&str, &str)> {
        (0..usize::from(self.body.labels_count))
            .filter_map(|label| Some((self.body.texts.get(label * 2)?, self.body.texts.get(label * 2 + 1)?)))
    }

    pub fn label(&self, key: &str) -> Option<&str> {
        self.labels().find(|(other, _)| *other == key).map(|(_, value)| value)
    }

    /// An indexed field as text; empty when the object, or the cache, does not have it.
    pub fn field(&self, path: &str) -> &str {
        let index = self.body.fields.iter().position(|field| &**field == path);
        index.map_or("", |index| self.field_at(index))
    }

    pub(super) fn field_at(&self, index: usize) -> &str {
        self.body.texts.get(usize::from(self.body.labels_count) * 2 + index).unwrap_or("")
    }

    /// The object as a client sees it, `metadata.resourceVersion` included.
    pub fn json(&self) -> Bytes {
        let mut out = Vec::with_capacity(self.json_len_max());
        self.write_json(&mut out);
        Bytes::from(out)
    }

    /// Appends the object as a client sees it: lists need no copy of their own.
    pub fn write_json(&self, out: &mut Vec<u8>) {
        let value = &self.body.kv.value;
        let Splice::At { offset, is_alone } = self.body.splice else {
            out.extend_from_slice(value);
            return;
        };
        let (head, tail) = value.split_at(offset as usize);
        let mut digits = [0; 20];
        out.extend_from_slice(head);
        out.extend_from_slice(OPEN);
        out.extend_from_slice(decimal(self.revision, &mut digits));
        out.extend_from_slice(if is_alone { b"\"" } else { b"\"," });
        out.extend_from_slice(tail);
    }

    /// At least as much as [`write_json`](Self::write_json) writes.
    pub fn json_len_max(&self) -> usize {
        self.body.kv.value.len() + OPEN.len() + 22
    }
}

fn decimal(mut number: u64, digits: &mut [u8; 20]) -> &[u8] {
    let mut start = digits.len();
    loop {
        start -= 1;
        // Below 10, so it fits.
        digits[start] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return &digits[start..];
        }
    }
}

impl fmt::Debug for Entry {
    // Without the object: it may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry").field("key", self.key()).field("revision", &self.revision).finish_non_exhaustive()
    }
}
