//! Lists that are sets or maps: no item, or no key, may be there twice.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use super::node::ListKind;
use crate::error::{FieldError, Path};

/// Up to here comparing each with each is quicker than hashing.
const PAIRWISE_ITEMS_MAX: usize = 16;

/// Reports each item that repeats an earlier one.
pub(super) fn check_unique(kind: &ListKind, list: &[Value], path: &Path<'_>, out: &mut Vec<FieldError>) {
    match kind {
        ListKind::Atomic => {}
        ListKind::Set => {
            for i in repeated(list, |a, b| a == b, Value::to_string) {
                out.push(FieldError::duplicate(path.index(i).to_string(), &list[i]));
            }
        }
        ListKind::Map(keys) => {
            let same = |a: &Value, b: &Value| keys.iter().all(|k| a.get(&**k) == b.get(&**k));
            for i in repeated(list, same, |item| key_of(keys, item).to_string()) {
                if list[i].is_object() {
                    out.push(FieldError::duplicate(path.index(i).to_string(), &key_of(keys, &list[i])));
                }
            }
        }
    }
}

/// Indexes of items that are equal to an earlier one.
fn repeated(list: &[Value], same: impl Fn(&Value, &Value) -> bool, text: impl Fn(&Value) -> String) -> Vec<usize> {
    if list.len() <= PAIRWISE_ITEMS_MAX {
        return (1..list.len()).filter(|i| list[..*i].iter().any(|other| same(other, &list[*i]))).collect();
    }
    let mut seen = HashSet::with_capacity(list.len());
    (0..list.len()).filter(|i| !seen.insert(text(&list[*i]))).collect()
}

fn key_of(keys: &[Box<str>], item: &Value) -> Value {
    let members = keys.iter().filter_map(|k| Some((k.to_string(), item.get(&**k)?.clone())));
    Value::Object(Map::from_iter(members))
}

/// Finds the items of an old list by their keys.
pub(crate) struct KeyIndex<'v> {
    list: &'v [Value],
    keys: &'v [Box<str>],
    /// Of long lists: where the first item with these keys stands.
    places: Option<HashMap<String, usize>>,
}

impl<'v> KeyIndex<'v> {
    pub(crate) fn new(list: &'v [Value], keys: &'v [Box<str>]) -> Self {
        let places = (list.len() > PAIRWISE_ITEMS_MAX).then(|| {
            let mut places = HashMap::with_capacity(list.len());
            for (place, item) in list.iter().enumerate() {
                places.entry(key_of(keys, item).to_string()).or_insert(place);
            }
            places
        });
        Self { list, keys, places }
    }

    /// The old item with the same keys as `item`.
    pub(crate) fn find(&self, item: &Value) -> Option<&'v Value> {
        match &self.places {
            Some(places) => places.get(&key_of(self.keys, item).to_string()).map(|place| &self.list[*place]),
            None => self.list.iter().find(|other| self.keys.iter().all(|k| other.get(&**k) == item.get(&**k))),
        }
    }
}
