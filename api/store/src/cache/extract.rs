//! Reads what the cache needs of an object (labels, indexed fields, where `metadata` begins)
//! in one pass over its bytes, without building a tree.

use std::fmt;
use std::sync::Arc;

use serde::Deserializer;
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::entry::{Body, Entry, Splice};
use super::texts::TextsBuilder;
use crate::kv::Kv;

/// Labels kept of one object. Validation lets far fewer through; this bounds what it missed.
const LABELS_MAX: usize = 4_096;

#[derive(Debug)]
pub(super) struct Extractor {
    prefix_len: usize,
    fields: Arc<[Box<str>]>,
    root: Node,
}

/// The indexed paths as a tree.
#[derive(Debug, Default)]
struct Node {
    children: Vec<(Box<str>, Node)>,
    field: Option<usize>,
}

impl Extractor {
    pub(super) fn new(prefix: &str, fields: &[String]) -> Self {
        let mut root = Node::default();
        for (index, path) in fields.iter().enumerate() {
            root.add(path, index);
        }
        let fields = fields.iter().map(|field| field.as_str().into()).collect();
        Self { prefix_len: prefix.len(), fields, root }
    }

    pub(super) fn field_index(&self, path: &str) -> Option<usize> {
        self.fields.iter().position(|field| &**field == path)
    }

    pub(super) fn fields_count(&self) -> usize {
        self.fields.len()
    }

    pub(super) fn entry(&self, kv: &Kv) -> Entry {
        let namespace_start = self.prefix_len.min(kv.key.len());
        let rest = kv.key.get(namespace_start..).unwrap_or("");
        let name_start = rest.find('/').map_or(namespace_start, |slash| namespace_start + slash + 1);
        let found = self.read(&kv.value);
        // Keys are bounded by KEY_BYTES_MAX, well below 64 KiB.
        Entry::new(Body {
            kv: Kv::clone(kv),
            namespace_start: u16::try_from(namespace_start).unwrap_or(0),
            name_start: u16::try_from(name_start).unwrap_or(0),
            splice: found.splice,
            fields: Arc::clone(&self.fields),
            labels_count: u16::try_from(found.labels_count).unwrap_or(0),
            texts: found.texts.build(),
        })
    }

    fn read(&self, value: &[u8]) -> Found {
        let mut found = Found::default();
        let mut fields = vec![None; self.fields.len()];
        let mut json = serde_json::Deserializer::from_slice(value);
        let top = Top { base: value.as_ptr() as usize, root: &self.root, found: &mut found, fields: &mut fields };
        if json.deserialize_any(top).is_err() {
            // Only the store's own clients write here, and they write objects; anything else
            // is served as it is and matches no selector.
            return Found::default();
        }
        for field in fields {
            found.texts.push(field.as_deref().unwrap_or(""));
        }
        found
    }
}

impl Node {
    fn add(&mut self, path: &str, index: usize) {
        let (head, rest) = path.split_once('.').map_or((path, None), |(head, rest)| (head, Some(rest)));
        let at = self.child(head).unwrap_or_else(|| {
            self.children.push((head.into(), Self::default()));
            self.children.len() - 1
        });
        let child = &mut self.children[at].1;
        match rest {
            Some(rest) => child.add(rest, index),
            None => child.field = Some(index),
        }
    }

    fn child(&self, name: &str) -> Option<usize> {
        self.children.iter().position(|(other, _)| &**other == name)
    }

    fn child_node(&self, name: &str) -> Option<&Self> {
        self.child(name).map(|at| &self.children[at].1)
    }
}

#[derive(Debug)]
struct Found {
    splice: Splice,
    labels_count: usize,
    texts: TextsBuilder,
}

impl Default for Found {
    fn default() -> Self {
        Self { splice: Splice::Nowhere, labels_count: 0, texts: TextsBuilder::default() }
    }
}

impl Found {
    fn forget_labels(&mut self) {
        self.labels_count = 0;
        self.texts.truncate(0);
    }
}

/// The object itself.
struct Top<'a> {
    base: usize,
    root: &'a Node,
    found: &'a mut Found,
    fields: &'a mut [Option<String>],
}

impl<'de> Visitor<'de> for Top<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key_seed(KeyOf(self.root))? {
            match key {
                KeyIs::Metadata => {
                    let raw: &RawValue = map.next_value()?;
                    self.found.splice = splice(raw.get(), self.base);
                    self.found.forget_labels();
                    let node = self.root.child_node("metadata");
                    let metadata = Metadata { node, found: &mut *self.found, fields: &mut *self.fields };
                    // Something else than an object: no labels then.
                    let _ = serde_json::Deserializer::from_str(raw.get()).deserialize_any(metadata);
                    self.found.texts.truncate(self.found.labels_count * 2);
                }
                KeyIs::Child(at) => {
                    map.next_value_seed(Walk { node: &self.root.children[at].1, fields: &mut *self.fields })?;
                }
                KeyIs::Labels | KeyIs::Other => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

fn splice(metadata: &str, base: usize) -> Splice {
    let Some(inner) = metadata.strip_prefix('{') else { return Splice::Nowhere };
    match u32::try_from(metadata.as_ptr() as usize - base + 1) {
        Ok(offset) => Splice::At { offset, is_alone: inner.trim_start().starts_with('}') },
        Err(_) => Splice::Nowhere,
    }
}

struct Metadata<'a> {
    node: Option<&'a Node>,
    found: &'a mut Found,
    fields: &'a mut [Option<String>],
}

impl<'de> Visitor<'de> for Metadata<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object's metadata")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let nothing = Node::default();
        let node = self.node.unwrap_or(&nothing);
        while let Some(key) = map.next_key_seed(KeyOf(node))? {
            match key {
                KeyIs::Labels => {
                    // The last one wins, as in any JSON object.
                    self.found.forget_labels();
                    map.next_value_seed(Labels(&mut self.found.texts))?;
                    self.found.labels_count = self.found.texts.len() / 2;
                }
                KeyIs::Child(at) => {
                    map.next_value_seed(Walk { node: &node.children[at].1, fields: &mut *self.fields })?;
                }
                KeyIs::Metadata | KeyIs::Other => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

/// A key, told apart without copying it.
#[derive(Clone, Copy)]
enum KeyIs {
    Metadata,
    Labels,
    Child(usize),
    Other,
}

struct KeyOf<'a>(&'a Node);

impl<'de> DeserializeSeed<'de> for KeyOf<'_> {
    type Value = KeyIs;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<KeyIs, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for KeyOf<'_> {
    type Value = KeyIs;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<KeyIs, E> {
        // Both words are special at their own level only; elsewhere they are ignored or walked.
        Ok(match key {
            "metadata" => KeyIs::Metadata,
            "labels" => KeyIs::Labels,
            _ => self.0.child(key).map_or(KeyIs::Other, KeyIs::Child),
        })
    }
}

struct Labels<'a>(&'a mut TextsBuilder);

impl<'de> DeserializeSeed<'de> for Labels<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Labels<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("labels")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while map.next_key_seed(Text(&mut *self.0))?.is_some() {
            map.next_value_seed(Text(&mut *self.0))?;
            if self.0.len() > LABELS_MAX * 2 {
                let len = self.0.len() - 2;
                self.0.truncate(len);
            }
        }
        Ok(())
    }
}

/// A string, straight into the builder; anything else counts as empty.
struct Text<'a>(&'a mut TextsBuilder);

impl<'de> DeserializeSeed<'de> for Text<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Text<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.0.push(text);
        Ok(())
    }
}

/// Follows the indexed paths; skips all else.
struct Walk<'a> {
    node: &'a Node,
    fields: &'a mut [Option<String>],
}

impl Walk<'_> {
    fn keep(self, text: impl FnOnce() -> String) {
        if let Some(index) = self.node.field {
            self.fields[index] = Some(text());
        }
    }
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key_seed(PlainKey(self.node))? {
            match key {
                Some(at) => map.next_value_seed(Walk { node: &self.node.children[at].1, fields: &mut *self.fields })?,
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.keep(|| text.to_owned());
        Ok(())
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        self.keep(|| value.to_string());
        Ok(())
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        self.keep(|| value.to_string());
        Ok(())
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        self.keep(|| value.to_string());
        Ok(())
    }

    fn visit_f64<E>(self, value: f64) -> Result<(), E> {
        self.keep(|| value.to_string());
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

/// A key below the top, where no word is special.
struct PlainKey<'a>(&'a Node);

impl<'de> DeserializeSeed<'de> for PlainKey<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<usize>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for PlainKey<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Option<usize>, E> {
        Ok(self.0.child(key))
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::kv::KeyValue;

    fn entry(json: &str) -> Entry {
        let fields = ["spec.nodeName", "spec.count", "spec.on", "type", "metadata.uid"].map(str::to_owned);
        let extractor = Extractor::new("/registry/g/things/", &fields);
        extractor.entry(&Kv::new(KeyValue {
            key: "/registry/g/things/shop/web".into(),
            value: Bytes::copy_from_slice(json.as_bytes()),
            create_revision: 3,
            mod_revision: 17,
            version: 2,
            lease: None,
        }))
    }

    fn text(entry: &Entry) -> String {
        String::from_utf8(entry.json().to_vec()).unwrap()
    }

    #[test]
    fn the_resource_version_goes_into_metadata() {
        let with = entry(r#"{"kind":"T","metadata":{"name":"web"},"spec":{"metadata":{}}}"#);
        assert_eq!(
            text(&with),
            r#"{"kind":"T","metadata":{"resourceVersion":"17","name":"web"},"spec":{"metadata":{}}}"#
        );
        assert_eq!(text(&entry(r#"{"metadata": { } }"#)), r#"{"metadata": {"resourceVersion":"17" } }"#);
        assert_eq!(with.json().len(), with.json_len());
    }

    #[test]
    fn labels_and_fields_are_read_in_one_pass() {
        let entry = entry(
            r#"{"metadata":{"uid":"u-1","labels":{"app":"web","a\"b":"\u00e9"},"name":"web"},"type":"Opaque",
               "spec":{"list":[1,{"nodeName":"no"}],"nodeName":"n1","deep":{"nodeName":"no"},"count":3,"on":true}}"#,
        );
        assert_eq!(entry.labels().collect::<Vec<_>>(), [("app", "web"), ("a\"b", "é")]);
        assert_eq!(entry.label("app"), Some("web"));
        assert_eq!(entry.label("nope"), None);
        let fields = ["spec.nodeName", "spec.count", "spec.on", "type", "metadata.uid", "spec.other"];
        assert_eq!(fields.map(|path| entry.field(path)), ["n1", "3", "true", "Opaque", "u-1", ""]);
        assert_eq!(entry.sort_key(), ("shop", "web"));
    }

    #[test]
    fn what_is_not_an_object_is_served_as_it_is() {
        for json in ["", "7", "null", "[1]", r#"{"metadata":3}"#, r#"{"metadata":{"name":"#, "\u{0}"] {
            let entry = entry(json);
            assert_eq!(text(&entry), json);
            assert_eq!(entry.labels().count(), 0);
            assert_eq!(entry.field("spec.nodeName"), "");
        }
    }

    #[test]
    fn odd_labels_are_no_trouble() {
        let entry = entry(r#"{"metadata":{"labels":null},"spec":null}"#);
        assert_eq!(entry.labels().count(), 0);
        assert!(text(&entry).contains("resourceVersion"));
    }
}
