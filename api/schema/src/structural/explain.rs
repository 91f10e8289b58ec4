//! What a schema says about a field, in words: for `explain`.

use super::node::{Additional, Node, Type};
use super::{Explained, ExplainedField};

pub(super) fn explain_node(root: &Node, path: &[&str]) -> Option<Explained> {
    let mut node = root;
    let mut required = true;
    for name in path {
        let object = innermost(node);
        required = object.is_required(name);
        node = object.prop(name)?;
    }
    let object = innermost(node);
    let children = object
        .props
        .iter()
        .map(|prop| ExplainedField {
            name: prop.name.to_string(),
            type_name: type_name(&prop.node),
            description: prop.node.description.to_string(),
            required: object.is_required(&prop.name),
        })
        .collect();
    Some(Explained { type_name: type_name(node), description: node.description.to_string(), required, children })
}

/// The object inside lists and maps: its fields are what a path goes on with.
fn innermost(mut node: &Node) -> &Node {
    loop {
        node = match (&node.items, &node.additional) {
            (Some(items), _) => items,
            (None, Additional::Schema(child)) if node.props.is_empty() => child,
            _ => return node,
        }
    }
}

fn type_name(node: &Node) -> String {
    match (node.ty, &node.items, &node.additional) {
        (Type::Array, Some(items), _) => format!("[]{}", type_name(items)),
        (Type::Array, None, _) => "[]Object".to_owned(),
        (Type::Object, _, Additional::Schema(child)) if node.props.is_empty() => {
            format!("map[string]{}", type_name(child))
        }
        (Type::Object, ..) => "Object".to_owned(),
        (Type::IntOrString, ..) => "IntOrString".to_owned(),
        (Type::Any, ..) => "Object".to_owned(),
        (scalar, ..) => scalar.name().to_owned(),
    }
}
