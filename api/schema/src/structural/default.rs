//! Defaulting: fills what is absent, and treats `null` as absent where the schema does not allow it.
//!
//! A default below a list or a map is given once for each item: a small object and a small schema make a huge one
//! together. What defaults may add is therefore bounded.

use serde_json::Value;

use super::node::{Additional, Node, PropCursor};

/// Bytes (roughly) that all defaults of one object may add: as much as a whole body may have.
const DEFAULTS_BYTES_MAX: usize = 3 << 20;
/// What a value costs beside its text.
const VALUE_BYTES: usize = 32;

/// What defaults may still add to an object.
pub(super) struct Budget {
    left: usize,
    exceeded: bool,
}

impl Budget {
    pub(super) fn new() -> Self {
        Self { left: DEFAULTS_BYTES_MAX, exceeded: false }
    }

    /// Whether every default found room.
    pub(super) fn is_kept(&self) -> bool {
        !self.exceeded
    }

    /// A copy of a default, if there is room for it.
    fn take(&mut self, default: &Value) -> Option<Value> {
        match self.left.checked_sub(weight(default)) {
            Some(left) => {
                self.left = left;
                Some(default.clone())
            }
            None => {
                self.left = 0;
                self.exceeded = true;
                None
            }
        }
    }
}

fn weight(value: &Value) -> usize {
    VALUE_BYTES
        + match value {
            Value::String(text) => text.len(),
            Value::Array(list) => list.iter().map(weight).sum(),
            Value::Object(map) => map.iter().map(|(name, value)| name.len() + weight(value)).sum(),
            _ => 0,
        }
}

pub(super) fn default_node(node: &Node, value: &mut Value, budget: &mut Budget) {
    match value {
        Value::Object(map) => {
            for prop in &node.props {
                let Some(default) = &prop.node.default else { continue };
                let absent = match map.get(&*prop.name) {
                    None => true,
                    Some(value) => value.is_null() && !prop.node.nullable,
                };
                if absent && let Some(value) = budget.take(default) {
                    map.insert(prop.name.to_string(), value);
                }
            }
            if node.props.is_empty() && !matches!(node.additional, Additional::Schema(_)) {
                return;
            }
            let mut cursor = PropCursor::new(node);
            let mut nulls = false;
            for (name, value) in map.iter_mut() {
                let Some(child) = cursor.find(name).or(match &node.additional {
                    Additional::Schema(child) => Some(child),
                    _ => None,
                }) else {
                    continue;
                };
                if !value.is_null() {
                    default_node(child, value, budget);
                } else if !child.nullable {
                    match &child.default {
                        Some(default) => {
                            if let Some(default) = budget.take(default) {
                                *value = default;
                            }
                        }
                        None => nulls = true,
                    }
                }
            }
            if nulls {
                map.retain(|name, value| !value.is_null() || node.member(name).is_none_or(|child| child.nullable));
            }
        }
        Value::Array(list) => {
            let Some(items) = &node.items else { return };
            for value in list {
                match &items.default {
                    Some(default) if value.is_null() && !items.nullable => {
                        if let Some(default) = budget.take(default) {
                            *value = default;
                        }
                    }
                    _ => default_node(items, value, budget),
                }
            }
        }
        _ => {}
    }
}

/// Only the second half of [`default_node`]: members that are `null` without being nullable go.
pub(super) fn drop_nulls(node: &Node, value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|name, value| match node.member(name) {
                Some(child) if value.is_null() => child.nullable,
                Some(child) => {
                    drop_nulls(child, value);
                    true
                }
                None => true,
            });
        }
        Value::Array(list) => {
            if let Some(items) = &node.items {
                list.iter_mut().for_each(|value| drop_nulls(items, value));
            }
        }
        _ => {}
    }
}
