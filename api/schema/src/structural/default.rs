//! Defaulting: fills what is absent, and treats `null` as absent where the schema does not allow it.

use serde_json::Value;

use super::node::{Additional, Node, PropCursor};

pub(super) fn default_node(node: &Node, value: &mut Value) {
    match value {
        Value::Object(map) => {
            for prop in &node.props {
                let Some(default) = &prop.node.default else { continue };
                let absent = match map.get(&*prop.name) {
                    None => true,
                    Some(value) => value.is_null() && !prop.node.nullable,
                };
                if absent {
                    map.insert(prop.name.to_string(), default.clone());
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
                    default_node(child, value);
                } else if !child.nullable {
                    match &child.default {
                        Some(default) => *value = default.clone(),
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
                    Some(default) if value.is_null() && !items.nullable => *value = default.clone(),
                    _ => default_node(items, value),
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
