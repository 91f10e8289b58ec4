//! Keys, values and changes: what the store holds and what a watch tells.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

/// The store's one counter. Every transaction that writes takes the next number; 0 is "never".
pub type Revision = u64;

/// Names a lease; 0 is never given out.
pub type LeaseId = u64;

/// A key, shared between maps, history and watchers.
pub type Key = Arc<str>;

/// A value as it was written, shared by everyone who holds it.
pub type Kv = Arc<KeyValue>;

/// One version of one key.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyValue {
    pub key: Key,
    pub value: Bytes,
    /// The revision in which this life of the key began.
    pub create_revision: Revision,
    /// The revision that wrote this version.
    pub mod_revision: Revision,
    /// 1 for a new key, one more for each later write.
    pub version: u64,
    /// When this lease ends the key is deleted.
    pub lease: Option<LeaseId>,
}

impl fmt::Debug for KeyValue {
    // The value may hold a secret, so only its size is printed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyValue")
            .field("key", &self.key)
            .field("value_bytes", &self.value.len())
            .field("create_revision", &self.create_revision)
            .field("mod_revision", &self.mod_revision)
            .field("version", &self.version)
            .field("lease", &self.lease)
            .finish()
    }
}

/// One change of one key: a put when `kv` is there, a deletion when it is not.
///
/// At least one of `kv` and `prev` is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub revision: Revision,
    /// The new version; `None` for a deletion.
    pub kv: Option<Kv>,
    /// The version before; `None` when the key was created.
    pub prev: Option<Kv>,
}

impl Change {
    /// The key that changed.
    pub fn key(&self) -> &Key {
        match (&self.kv, &self.prev) {
            (Some(kv), _) | (None, Some(kv)) => &kv.key,
            (None, None) => unreachable!("a change has a new or an old version"),
        }
    }

    pub fn is_create(&self) -> bool {
        self.kv.is_some() && self.prev.is_none()
    }

    pub fn is_delete(&self) -> bool {
        self.kv.is_none()
    }
}

/// Keys from `start` up to, and without, `end`; without `end` there is no upper bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRange {
    pub start: String,
    pub end: Option<String>,
}

impl KeyRange {
    /// Exactly one key.
    pub fn key(key: &str) -> Self {
        Self { start: key.to_owned(), end: Some(format!("{key}\0")) }
    }

    /// Every key that starts with `prefix`.
    pub fn prefix(prefix: &str) -> Self {
        Self { start: prefix.to_owned(), end: prefix_end(prefix) }
    }

    /// From `start` to before `end`.
    pub fn between(start: &str, end: &str) -> Self {
        Self { start: start.to_owned(), end: Some(end.to_owned()) }
    }

    /// Every key.
    pub fn all() -> Self {
        Self { start: String::new(), end: None }
    }

    /// The same range without `key` and all that sorts before it: the next page.
    #[must_use]
    pub fn after(mut self, key: &str) -> Self {
        let next = format!("{key}\0");
        if next > self.start {
            self.start = next;
        }
        self
    }

    pub fn contains(&self, key: &str) -> bool {
        key >= self.start.as_str() && self.end.as_deref().is_none_or(|end| key < end)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.end.as_deref().is_some_and(|end| end <= self.start.as_str())
    }
}

/// The smallest string that is above every string with this prefix, if there is one.
fn prefix_end(prefix: &str) -> Option<String> {
    let mut end: Vec<char> = prefix.chars().collect();
    while let Some(last) = end.pop() {
        if let Some(next) = next_char(last) {
            end.push(next);
            return Some(end.into_iter().collect());
        }
    }
    None
}

/// The next scalar value; UTF-8 sorts as scalar values do.
fn next_char(c: char) -> Option<char> {
    (u32::from(c) + 1..=u32::from(char::MAX)).find_map(char::from_u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_at_the_next_character() {
        assert_eq!(KeyRange::prefix("/a/").end.as_deref(), Some("/a0"));
        assert_eq!(KeyRange::prefix("").end, None);
        assert_eq!(KeyRange::prefix("a\u{10FFFF}").end.as_deref(), Some("b"));
        assert_eq!(KeyRange::prefix("\u{D7FF}").end.as_deref(), Some("\u{E000}"));
    }

    #[test]
    fn a_range_holds_what_it_says() {
        let range = KeyRange::prefix("/a/");
        assert!(range.contains("/a/") && range.contains("/a/zz"));
        assert!(!range.contains("/a") && !range.contains("/a0"));
        let rest = range.after("/a/b");
        assert!(!rest.contains("/a/b") && rest.contains("/a/b/") && rest.contains("/a/c"));
        assert!(KeyRange::key("k").contains("k") && !KeyRange::key("k").contains("kk"));
    }
}
