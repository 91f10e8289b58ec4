//! One object in the cache: the store's bytes, plus what selectors ask for.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::value::RawValue;

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
        let mut out = Vec::with_capacity(self.json_len());
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
        splice(value, offset as usize, is_alone, self.revision, out);
    }

    /// Appends only the object's `metadata`, as a client sees it; `false` when it has none that is an object.
    pub fn write_metadata_json(&self, out: &mut Vec<u8>) -> bool {
        let Splice::At { offset, is_alone } = self.body.splice else { return false };
        let from_brace = offset as usize - 1;
        let rest = self.body.kv.value.get(from_brace..).unwrap_or_default();
        // Reads one value and stops behind it.
        let mut values = serde_json::Deserializer::from_slice(rest).into_iter::<&RawValue>();
        let Some(Ok(metadata)) = values.next() else { return false };
        splice(metadata.get().as_bytes(), 1, is_alone, self.revision, out);
        true
    }

    /// Exactly as much as [`write_json`](Self::write_json) writes.
    pub fn json_len(&self) -> usize {
        let len = self.body.kv.value.len();
        match self.body.splice {
            Splice::Nowhere => len,
            Splice::At { is_alone, .. } => {
                let digits = self.revision.checked_ilog10().map_or(1, |power| power as usize + 1);
                len + OPEN.len() + digits + if is_alone { 1 } else { 2 }
            }
        }
    }
}

/// The value with the revision put in at the offset.
pub(super) fn splice(value: &[u8], offset: usize, is_alone: bool, revision: Revision, out: &mut Vec<u8>) {
    let (head, tail) = value.split_at(offset);
    let mut digits = [0; 20];
    out.extend_from_slice(head);
    out.extend_from_slice(OPEN);
    out.extend_from_slice(decimal(revision, &mut digits));
    out.extend_from_slice(if is_alone { b"\"" } else { b"\"," });
    out.extend_from_slice(tail);
}

/// Where the metadata's members begin, when only short texts stand before it, as in most objects: found without
/// reading the rest. `None` says nothing.
fn early_metadata(value: &[u8]) -> Option<usize> {
    /// apiVersion and kind, and something to spare.
    const MEMBERS_MAX: usize = 4;
    let text = |at: usize| {
        let rest = value.get(at..)?.strip_prefix(b"\"")?;
        let end = rest.iter().position(|byte| matches!(byte, b'"' | b'\\'))?;
        (rest[end] == b'"').then_some((&rest[..end], at + end + 2))
    };
    let mut at = 1;
    value.strip_prefix(b"{")?;
    for _ in 0..MEMBERS_MAX {
        let (name, end) = text(at)?;
        if *value.get(end)? != b':' {
            return None;
        }
        if name == b"metadata" {
            return (*value.get(end + 1)? == b'{').then_some(end + 2);
        }
        let (_, end) = text(end + 1)?;
        if *value.get(end)? != b',' {
            return None;
        }
        at = end + 1;
    }
    None
}

/// The object as a client sees it, straight from the store's bytes; `None` when that takes a closer look.
pub(super) fn early_json(kv: &Kv) -> Option<Bytes> {
    let offset = early_metadata(&kv.value)?;
    // A brace, and then maybe white space before the next one: a closer look tells.
    let is_alone = match kv.value.get(offset)? {
        b'"' => false,
        b'}' => true,
        _ => return None,
    };
    let mut out = Vec::with_capacity(kv.value.len() + OPEN.len() + 22);
    splice(&kv.value, offset, is_alone, kv.mod_revision, &mut out);
    Some(out.into())
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::extract::Extractor;
    use crate::kv::KeyValue;

    fn kv(value: &str) -> Kv {
        let value = Bytes::copy_from_slice(value.as_bytes());
        Kv::new(KeyValue { key: "/p/n/a".into(), value, create_revision: 1, mod_revision: 70, version: 1, lease: None })
    }

    #[test]
    fn the_short_way_to_an_objects_json_gives_the_same_bytes() {
        let extractor = Extractor::new("/p/", &[]);
        for (value, is_short) in [
            (r#"{"apiVersion":"v1","kind":"K","metadata":{"name":"a"},"spec":{"metadata":{}}}"#, true),
            (r#"{"apiVersion":"v1","kind":"K","metadata":{}}"#, true),
            (r#"{"metadata":{"name":"a"}}"#, true),
            (r#"{"apiVersion":"v1","data":{"metadata":{"x":1}},"kind":"K","metadata":{"name":"a"}}"#, false),
            (r#"{"apiVersion":"a\"b","metadata":{"name":"a"}}"#, false),
            (r#"{ "metadata":{"name":"a"}}"#, false),
            (r#"{"metadata":{ }}"#, false),
            (r#"{"metadata":null}"#, false),
            (r#"{"kind":"metadata","metadata":{"name":"a"}}"#, true),
            ("[]", false),
            ("", false),
        ] {
            let kv = kv(value);
            let entry = extractor.entry(&kv);
            let json = entry.json();
            assert_eq!(json.len(), entry.json_len(), "{value}");
            let early = early_json(&kv);
            assert_eq!(early.is_some(), is_short, "{value}");
            assert!(early.is_none_or(|early| early == json), "{value}");
        }
    }

    #[test]
    fn metadata_comes_without_the_rest() {
        let entry = |value: &str| Extractor::new("/p/", &[]).entry(&kv(value));
        let mut out = Vec::new();
        assert!(entry(r#"{"data":{"x":"}"},"metadata":{"name":"a}"},"spec":1}"#).write_metadata_json(&mut out));
        assert_eq!(out, br#"{"resourceVersion":"70","name":"a}"}"#);
        out.clear();
        assert!(entry(r#"{"metadata":{}}"#).write_metadata_json(&mut out));
        assert_eq!(out, br#"{"resourceVersion":"70"}"#);
        assert!(!entry(r#"{"metadata":7}"#).write_metadata_json(&mut out));
    }
}
