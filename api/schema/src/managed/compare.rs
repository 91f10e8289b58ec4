//! What changed between two objects, as sets of paths.

use std::collections::BTreeMap;

use serde_json::Value;

use super::element::{self, Element};
use super::set::FieldSet;
use super::typed::{Shape, item_elements, item_node, items, member, members, shape};
use crate::structural::node::Node;

/// Paths that were added, changed or removed. Containers that appear or vanish are paths of their own.
#[derive(Clone, Debug, Default)]
pub(super) struct Changes {
    pub(super) added: FieldSet,
    pub(super) modified: FieldSet,
    pub(super) removed: FieldSet,
}

/// What happened to the place itself.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Own {
    Nothing,
    Added,
    Modified,
    Removed,
}

impl Changes {
    /// What the writer now owns.
    pub(super) fn written(&self) -> FieldSet {
        let mut set = self.added.clone();
        set.add(self.modified.clone());
        set
    }

    fn put(&mut self, element: impl Fn() -> Element, own: Own, below: Changes) {
        let Changes { added, modified, removed } = below;
        for (into, kind, set) in [
            (&mut self.added, Own::Added, added),
            (&mut self.modified, Own::Modified, modified),
            (&mut self.removed, Own::Removed, removed),
        ] {
            if own == kind || !set.is_empty() {
                into.put(element(), own == kind, set);
            }
        }
    }
}

/// Compares two whole objects.
pub(super) fn compare(node: &Node, old: &Value, new: &Value) -> Changes {
    let mut changes = Changes::default();
    diff(Some(node), Some(old), Some(new), &mut changes);
    changes
}

fn diff(node: Option<&Node>, old: Option<&Value>, new: Option<&Value>, out: &mut Changes) -> Own {
    let of = |value: Option<&Value>| value.map(|value| shape(node, value));
    match (of(old), of(new)) {
        (Some(a), Some(b)) if a != b => {
            inside(a, node, old, None, out);
            inside(b, node, None, new, out);
            Own::Modified
        }
        (a, b) => match a.or(b) {
            None => Own::Nothing,
            Some(shape) => inside(shape, node, old, new, out),
        },
    }
}

fn inside(shape: Shape, node: Option<&Node>, old: Option<&Value>, new: Option<&Value>, out: &mut Changes) -> Own {
    let is_empty = match shape {
        Shape::Leaf => true,
        Shape::Map => old.and_then(members).is_none() && new.and_then(members).is_none(),
        Shape::List => old.map_or(&[][..], items).is_empty() && new.map_or(&[][..], items).is_empty(),
    };
    match shape {
        Shape::Map if !is_empty => diff_map(node, old, new, out),
        Shape::List if !is_empty => diff_list(node, old, new, out),
        _ => {}
    }
    match (old, new) {
        (None, Some(_)) => Own::Added,
        (Some(_), None) => Own::Removed,
        (Some(old), Some(new)) if is_empty && old != new => Own::Modified,
        _ => Own::Nothing,
    }
}

fn diff_map(node: Option<&Node>, old: Option<&Value>, new: Option<&Value>, out: &mut Changes) {
    let old = old.and_then(members);
    let new = new.and_then(members);
    let mut visit = |name: &str, old: Option<&Value>, new: Option<&Value>| {
        let mut below = Changes::default();
        let own = diff(member(node, name).node, old, new, &mut below);
        out.put(|| element::field(name), own, below);
    };
    for (name, value) in old.into_iter().flatten() {
        visit(name, Some(value), new.and_then(|new| new.get(name)));
    }
    for (name, value) in new.into_iter().flatten() {
        if old.is_none_or(|old| !old.contains_key(name)) {
            visit(name, None, Some(value));
        }
    }
}

fn diff_list(node: Option<&Node>, old: Option<&Value>, new: Option<&Value>, out: &mut Changes) {
    // Items by key, old and new; more than one of a key is a broken list that is compared as a whole.
    let mut by_key: BTreeMap<Element, (Vec<&Value>, Vec<&Value>)> = BTreeMap::new();
    let old = old.map_or(&[][..], items);
    let new = new.map_or(&[][..], items);
    for (element, item) in item_elements(node, old).into_iter().zip(old) {
        by_key.entry(element).or_default().0.push(item);
    }
    for (element, item) in item_elements(node, new).into_iter().zip(new) {
        by_key.entry(element).or_default().1.push(item);
    }
    for (element, (old, new)) in by_key {
        let mut below = Changes::default();
        let own = if old.len() <= 1 && new.len() <= 1 {
            diff(item_node(node), old.first().copied(), new.first().copied(), &mut below)
        } else if old == new {
            Own::Nothing
        } else if old.is_empty() {
            Own::Added
        } else if new.is_empty() {
            Own::Removed
        } else {
            Own::Modified
        };
        out.put(|| element.clone(), own, below);
    }
}
