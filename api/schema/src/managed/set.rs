//! A set of field paths, as a trie: what one manager owns, or what a write changed.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::element::{self, Element};

/// Stored sets nested deeper are no sets of ours.
const SET_DEPTH_MAX: usize = 200;

/// Paths below one place. No branch is without a path: an empty set has no branches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct FieldSet {
    branches: BTreeMap<Element, Branch>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Branch {
    /// The path that ends here is in the set.
    pub(super) owned: bool,
    pub(super) below: FieldSet,
}

impl FieldSet {
    pub(super) fn is_empty(&self) -> bool {
        self.branches.is_empty()
    }

    pub(super) fn branch(&self, element: &str) -> Option<&Branch> {
        self.branches.get(element)
    }

    /// Adds a step with what lies below it; nothing is added when there is nothing.
    pub(super) fn put(&mut self, element: Element, owned: bool, below: FieldSet) {
        if !owned && below.is_empty() {
            return;
        }
        let branch = self.branches.entry(element).or_default();
        branch.owned |= owned;
        branch.below.add(below);
    }

    /// Union in place.
    pub(super) fn add(&mut self, other: FieldSet) {
        if self.is_empty() {
            *self = other;
            return;
        }
        for (element, branch) in other.branches {
            self.put(element, branch.owned, branch.below);
        }
    }

    /// What is here and not in `other`.
    pub(super) fn without(&self, other: &FieldSet) -> FieldSet {
        let mut out = FieldSet::default();
        for (element, branch) in &self.branches {
            match other.branches.get(element) {
                None => out.put(element.clone(), branch.owned, branch.below.clone()),
                Some(gone) => {
                    let owned = branch.owned && !gone.owned;
                    out.put(element.clone(), owned, branch.below.without(&gone.below));
                }
            }
        }
        out
    }

    /// What is in both.
    pub(super) fn common(&self, other: &FieldSet) -> FieldSet {
        let mut out = FieldSet::default();
        for (element, branch) in &self.branches {
            if let Some(also) = other.branches.get(element) {
                out.put(element.clone(), branch.owned && also.owned, branch.below.common(&also.below));
            }
        }
        out
    }

    /// Takes out a step with everything below it.
    pub(super) fn cut(&mut self, element: &str) {
        self.branches.remove(element);
    }

    /// Takes out the identity of an object: it is nobody's to own.
    pub(super) fn strip_identity(&mut self) {
        for name in ["f:apiVersion", "f:kind"] {
            self.cut(name);
        }
        let Some(metadata) = self.branches.get_mut("f:metadata") else { return };
        metadata.owned = false;
        for name in super::IDENTITY_FIELDS {
            metadata.below.cut(&element::field(name));
        }
        if metadata.below.is_empty() {
            self.cut("f:metadata");
        }
    }

    /// Keeps the named top-level field only.
    pub(super) fn keep_only(&mut self, element: &str) {
        self.branches.retain(|e, _| **e == *element);
    }

    /// Every path as text: `.spec.ports[name="a"].port`.
    pub(super) fn paths(&self) -> Vec<String> {
        let mut out = Vec::new();
        self.collect_paths("", &mut out);
        out
    }

    fn collect_paths(&self, prefix: &str, out: &mut Vec<String>) {
        for (element, branch) in &self.branches {
            let here = format!("{prefix}{}", element::display(element));
            if branch.owned {
                out.push(here.clone());
            }
            branch.below.collect_paths(&here, out);
        }
    }

    /// The wire form, `fieldsV1`.
    pub(super) fn to_fields_v1(&self) -> Value {
        let members = self.branches.iter().map(|(element, branch)| {
            let mut below = match branch.below.to_fields_v1() {
                Value::Object(map) => map,
                _ => Map::new(),
            };
            if branch.owned && !below.is_empty() {
                below.insert(".".to_owned(), Value::Object(Map::new()));
            }
            (element.to_string(), Value::Object(below))
        });
        Value::Object(members.collect())
    }

    /// Reads the wire form; `None` when it is broken.
    pub(super) fn from_fields_v1(value: &Value) -> Option<Self> {
        Self::read(value, 0)
    }

    fn read(value: &Value, depth: usize) -> Option<Self> {
        if depth > SET_DEPTH_MAX {
            return None;
        }
        let mut set = Self::default();
        for (text, below) in value.as_object()? {
            if text == "." {
                continue;
            }
            let members = below.as_object()?;
            let owned = members.is_empty() || members.contains_key(".");
            set.put(element::parse(text)?, owned, Self::read(below, depth + 1)?);
        }
        Some(set)
    }
}
