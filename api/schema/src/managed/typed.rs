//! How a value is owned: as one leaf, member by member, or item by item. Where the schema is silent, maps are
//! granular and lists are leaves.

use serde_json::{Map, Value};

use super::element::{self, Element};
use super::set::FieldSet;
use crate::structural::node::{Additional, ListKind, Node, Type};

/// Problems told at most for one configuration.
const PROBLEMS_MAX: usize = 100;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Shape {
    Leaf,
    Map,
    List,
}

/// The shape of a value where `node` (or nothing) describes it.
pub(super) fn shape(node: Option<&Node>, value: &Value) -> Shape {
    let granular_map = |node: &Node| !node.map_atomic && matches!(node.ty, Type::Object | Type::Any);
    let keyed_list = |node: &Node| node.ty == Type::Array && node.list != ListKind::Atomic;
    match (value, node) {
        (Value::Object(_), None) => Shape::Map,
        (Value::Object(_), Some(node)) if granular_map(node) => Shape::Map,
        (Value::Array(_), Some(node)) if keyed_list(node) => Shape::List,
        // Null stands for an empty container where the schema wants one.
        (Value::Null, Some(node)) if node.ty == Type::Object && !node.map_atomic => Shape::Map,
        (Value::Null, Some(node)) if keyed_list(node) => Shape::List,
        _ => Shape::Leaf,
    }
}

/// What a map's member is.
pub(super) struct Member<'n> {
    pub(super) node: Option<&'n Node>,
    /// A property of the schema: named, as opposed to a key that the user chose.
    pub(super) declared: bool,
    pub(super) known: bool,
}

pub(super) fn member<'n>(node: Option<&'n Node>, name: &str) -> Member<'n> {
    let Some(node) = node else { return Member { node: None, declared: false, known: true } };
    if let Some(prop) = node.prop(name) {
        return Member { node: Some(prop), declared: true, known: true };
    }
    match &node.additional {
        Additional::Schema(child) => Member { node: Some(child), declared: false, known: true },
        Additional::Any => Member { node: None, declared: false, known: true },
        Additional::None => Member { node: None, declared: false, known: node.preserve },
    }
}

pub(super) fn members(value: &Value) -> Option<&Map<String, Value>> {
    value.as_object().filter(|map| !map.is_empty())
}

pub(super) fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

pub(super) fn list_kind(node: Option<&Node>) -> &ListKind {
    node.map_or(&ListKind::Atomic, |node| &node.list)
}

pub(super) fn item_node(node: Option<&Node>) -> Option<&Node> {
    node.and_then(|node| node.items.as_deref())
}

/// The steps to all items; items without one (a broken live list) get their index.
pub(super) fn item_elements(node: Option<&Node>, list: &[Value]) -> Vec<Element> {
    let at = |(i, item): (usize, &Value)| {
        element::item(list_kind(node), item_node(node), item).unwrap_or_else(|_| format!("i:{i}").into())
    };
    list.iter().enumerate().map(at).collect()
}

/// Everything that a configuration sets.
pub(super) fn to_set(node: Option<&Node>, value: &Value) -> FieldSet {
    let mut set = FieldSet::default();
    match shape(node, value) {
        Shape::Leaf => {}
        Shape::Map => {
            for (name, value) in members(value).into_iter().flatten() {
                let member = member(node, name);
                // kube-apiserver lets nobody own an empty list; then a repeated apply would not be one.
                let is_empty = members(value).is_none() && items(value).is_empty();
                let is_leaf = shape(member.node, value) == Shape::Leaf;
                let owned = is_leaf || is_empty || !member.declared;
                set.put(element::field(name), owned, to_set(member.node, value));
            }
        }
        Shape::List => {
            let list = items(value);
            for (element, item) in item_elements(node, list).into_iter().zip(list) {
                set.put(element, true, to_set(item_node(node), item));
            }
        }
    }
    set
}

/// What keeps a configuration from being applied; empty when it fits the schema.
pub(super) fn problems(node: &Node, value: &Value) -> Vec<String> {
    let mut out = Vec::new();
    check(Some(node), value, "", &mut out);
    out
}

fn check(node: Option<&Node>, value: &Value, path: &str, out: &mut Vec<String>) {
    if out.len() >= PROBLEMS_MAX {
        return;
    }
    if let Some(problem) = node.and_then(|node| wrong_type(node.ty, value)) {
        out.push(format!("{path}: {problem}"));
        return;
    }
    match value {
        Value::Object(map) => {
            for (name, value) in map {
                let member = member(node, name);
                if member.known {
                    check(member.node, value, &format!("{path}.{name}"), out);
                } else {
                    out.push(format!("{path}.{name}: field not declared in schema"));
                }
            }
        }
        Value::Array(list) => {
            if shape(node, value) == Shape::List {
                check_items(node, list, path, out);
            }
            for (i, item) in list.iter().enumerate() {
                let step = match shape(node, value) {
                    Shape::List => element::item(list_kind(node), item_node(node), item)
                        .map_or_else(|_| format!("[{i}]"), |e| element::display(&e)),
                    _ => format!("[{i}]"),
                };
                check(item_node(node), item, &format!("{path}{step}"), out);
            }
        }
        _ => {}
    }
}

fn check_items(node: Option<&Node>, list: &[Value], path: &str, out: &mut Vec<String>) {
    let mut seen = std::collections::BTreeSet::new();
    for (i, item) in list.iter().enumerate() {
        match element::item(list_kind(node), item_node(node), item) {
            Err(problem) => out.push(format!("{path}: element {i}: {problem}")),
            Ok(element) => {
                let shown = element::display(&element);
                if !seen.insert(element) {
                    out.push(format!("{path}: duplicate entries for key {shown}"));
                }
            }
        }
    }
}

/// Says the kind of what was found, never its value: it may be part of a Secret.
fn wrong_type(ty: Type, value: &Value) -> Option<String> {
    let kind = match value {
        Value::Null => return None,
        Value::Bool(_) => "bool",
        Value::Number(n) if n.is_f64() => "float64",
        Value::Number(_) => "int64",
        Value::String(_) => "string",
        Value::Array(_) => "list",
        Value::Object(_) => "map",
    };
    match ty {
        Type::Integer | Type::Number if !value.is_number() => {
            Some(format!("expected numeric (int or float), got {kind}"))
        }
        Type::String if !value.is_string() => Some(format!("expected string, got {kind}")),
        Type::Boolean if !value.is_boolean() => Some(format!("expected boolean, got {kind}")),
        Type::Object if !value.is_object() => Some(format!("expected map, got {kind}")),
        Type::Array if !value.is_array() => Some(format!("expected list, got {kind}")),
        Type::IntOrString if value.is_object() || value.is_array() => Some(format!("expected any scalar, got {kind}")),
        _ => None,
    }
}
