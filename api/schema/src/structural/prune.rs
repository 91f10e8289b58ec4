//! Pruning: drops the members that the schema does not know and reports each with the name that was meant.

use serde_json::Value;

use super::UnknownField;
use super::node::{Additional, Node, PropCursor, Type};
use super::suggest::nearest;
use crate::error::Path;

/// More reports help nobody, and a hostile body must not make a long answer.
const REPORTS_MAX: usize = 1_000;

pub(super) fn prune_node(node: &Node, value: &mut Value, path: &Path<'_>, out: &mut Vec<UnknownField>) {
    match value {
        Value::Object(map) => {
            let keeps_unknown = node.preserve || matches!(node.additional, Additional::Any);
            if keeps_unknown && node.props.is_empty() && !matches!(node.additional, Additional::Schema(_)) {
                return;
            }
            let mut cursor = PropCursor::new(node);
            let mut unknown = false;
            for (name, value) in map.iter_mut() {
                let child = cursor.find(name).or(match &node.additional {
                    Additional::Schema(child) => Some(&**child),
                    _ => None,
                });
                match child {
                    Some(child) if value.is_object() || value.is_array() => {
                        prune_node(child, value, &path.field(name), out);
                    }
                    Some(_) => {}
                    None => unknown = true,
                }
            }
            // A string where an object stands is a type error; it is told as one, not as many unknown fields.
            let is_object = matches!(node.ty, Type::Object | Type::Any);
            if unknown && !keeps_unknown && is_object {
                map.retain(|name, _| {
                    let known = node.member(name).is_some();
                    if !known && out.len() < REPORTS_MAX {
                        out.push(report(node, name, path));
                    }
                    known
                });
            }
        }
        Value::Array(list) => {
            let Some(items) = &node.items else { return };
            for (i, value) in list.iter_mut().enumerate() {
                if value.is_object() || value.is_array() {
                    prune_node(items, value, &path.index(i), out);
                }
            }
        }
        _ => {}
    }
}

fn report(node: &Node, name: &str, path: &Path<'_>) -> UnknownField {
    let known = node.props.iter().map(|p| &*p.name);
    UnknownField { path: path.field(name).text(), suggestion: nearest(name, known).map(str::to_owned) }
}
