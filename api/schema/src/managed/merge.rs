//! Merging a configuration into a live object, and taking out what its manager gave up.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::element::{self, Element};
use super::set::FieldSet;
use super::typed::{Member, Shape, item_elements, item_node, items, member, members, shape};
use crate::structural::node::Node;

/// Lays `applied` over `live`.
pub(super) fn merge(node: Option<&Node>, live: &mut Value, applied: &Value) {
    match (shape(node, live), shape(node, applied)) {
        (Shape::Map, Shape::Map) => merge_map(node, live, applied),
        (Shape::List, Shape::List) => merge_list(node, live, applied),
        _ => *live = applied.clone(),
    }
}

fn merge_map(node: Option<&Node>, live: &mut Value, applied: &Value) {
    let (Value::Object(map), Some(members)) = (&mut *live, members(applied)) else {
        if members(live).is_none() {
            *live = applied.clone();
        }
        return;
    };
    for (name, value) in members {
        match map.get_mut(name) {
            Some(live) => merge(member(node, name).node, live, value),
            None => {
                map.insert(name.clone(), value.clone());
            }
        }
    }
}

/// Items that both lists name stand in the applied order; items of one list only keep their neighbours.
fn merge_list(node: Option<&Node>, live: &mut Value, applied: &Value) {
    if items(live).is_empty() || items(applied).is_empty() {
        if items(live).is_empty() {
            *live = applied.clone();
        }
        return;
    }
    let Value::Array(old) = std::mem::take(live) else { return };
    let old_keys = item_elements(node, &old);
    let new = items(applied);
    let new_keys = item_elements(node, new);
    let in_old: BTreeMap<&Element, usize> = old_keys.iter().enumerate().rev().map(|(i, key)| (key, i)).collect();
    let in_new: BTreeSet<&Element> = new_keys.iter().collect();
    let mut shared = new_keys.iter().filter(|key| in_old.contains_key(key)).peekable();
    let mut done: BTreeSet<&Element> = BTreeSet::new();
    let mut out = Vec::with_capacity(old.len() + new.len());
    let merged = |key: &Element, value: &Value| match in_old.get(key) {
        None => value.clone(),
        Some(at) => {
            let mut item = old[*at].clone();
            merge(item_node(node), &mut item, value);
            item
        }
    };
    let (mut l, mut r) = (0, 0);
    while l < old.len() || r < new.len() {
        if let Some(key) = old_keys.get(l) {
            if !in_new.contains(key) {
                out.push(old[l].clone());
                l += 1;
                continue;
            }
            // Its place is decided by the applied list: passed over unless it is the next one of both.
            if done.contains(key) || (r < new.len() && shared.peek().is_some_and(|next| *next != key)) {
                l += 1;
                continue;
            }
        }
        let Some(key) = new_keys.get(r) else { break };
        out.push(merged(key, &new[r]));
        done.insert(key);
        if shared.peek() == Some(&key) {
            shared.next();
        }
        if old_keys.get(l) == Some(key) {
            l += 1;
        }
        r += 1;
    }
    *live = Value::Array(out);
}

/// Takes out of `value` what is in `last` (the manager's former set) and in nobody's set now (`owned`).
pub(super) fn prune(node: Option<&Node>, value: &mut Value, last: &FieldSet, owned: &FieldSet) {
    if last.is_empty() {
        return;
    }
    let nobody = FieldSet::default();
    match (shape(node, value), value) {
        (Shape::Map, Value::Object(map)) => {
            retain_members(map, |name, value| {
                let member = member(node, name);
                keep(&element::field(name), &member, value, last, owned, &nobody)
            });
        }
        (Shape::List, Value::Array(list)) => {
            let keys = item_elements(node, list);
            let mut keys = keys.iter();
            let member = Member { node: item_node(node), declared: false, known: true };
            list.retain_mut(|item| keys.next().is_none_or(|key| keep(key, &member, item, last, owned, &nobody)));
        }
        _ => {}
    }
}

fn keep(
    element: &str,
    member: &Member<'_>,
    value: &mut Value,
    last: &FieldSet,
    owned: &FieldSet,
    nobody: &FieldSet,
) -> bool {
    let Some(was) = last.branch(element) else { return true };
    let now = owned.branch(element);
    // A named field belongs to those who own something below it; items and free keys must be owned themselves.
    let was_member = was.owned || member.declared;
    let is_member = now.is_some_and(|now| now.owned || member.declared);
    if was_member && !is_member {
        return false;
    }
    let was_empty = is_empty(value);
    prune(member.node, value, &was.below, now.map_or(nobody, |now| &now.below));
    // What became empty by pruning goes too, unless someone owns the container itself.
    was_empty || !is_empty(value) || now.is_some_and(|now| now.owned)
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Object(map) => map.is_empty(),
        Value::Array(list) => list.is_empty(),
        _ => false,
    }
}

fn retain_members(map: &mut Map<String, Value>, mut keep: impl FnMut(&str, &mut Value) -> bool) {
    map.retain(|name, value| keep(name, value));
}
