//! The compiled form: a tree of nodes, one for each place that a schema speaks of.

use std::sync::Arc;

use regex::Regex;
use serde_json::Value;

use super::format::Format;

/// What the schema says of one place in an object.
#[derive(Clone, Debug, Default)]
pub(crate) struct Node {
    pub(crate) ty: Type,
    pub(crate) nullable: bool,
    /// Unknown fields stay (x-kubernetes-preserve-unknown-fields).
    pub(crate) preserve: bool,
    /// A whole object within the object (x-kubernetes-embedded-resource).
    pub(crate) embedded: bool,
    /// Owned as one value (x-kubernetes-map-type: atomic).
    pub(crate) map_atomic: bool,
    pub(crate) list: ListKind,
    /// Sorted by name.
    pub(crate) props: Vec<Prop>,
    pub(crate) required: Vec<Box<str>>,
    pub(crate) additional: Additional,
    pub(crate) items: Option<Box<Node>>,
    pub(crate) default: Option<Value>,
    pub(crate) checks: Option<Box<Checks>>,
    pub(crate) description: Box<str>,
}

#[derive(Clone, Debug)]
pub(crate) struct Prop {
    pub(crate) name: Box<str>,
    pub(crate) node: Node,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Type {
    #[default]
    Any,
    Object,
    Array,
    String,
    Integer,
    Number,
    Boolean,
    IntOrString,
}

impl Type {
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "object" => Self::Object,
            "array" => Self::Array,
            "string" => Self::String,
            "integer" => Self::Integer,
            "number" => Self::Number,
            "boolean" => Self::Boolean,
            _ => return None,
        })
    }

    /// As error messages name it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Any => "",
            Self::Object => "object",
            Self::Array => "array",
            Self::String => "string",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::IntOrString => "integer,string",
        }
    }
}

#[derive(Clone, Debug, Default)]
pub(crate) enum Additional {
    /// Names that are no property are unknown.
    #[default]
    None,
    /// Any name with any value.
    Any,
    /// Any name with a value of this form.
    Schema(Box<Node>),
}

/// How a list's items are told apart (x-kubernetes-list-type).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum ListKind {
    #[default]
    Atomic,
    Set,
    /// Keyed by these fields of each item.
    Map(Vec<Box<str>>),
}

/// Rules on values. Most nodes have none, so they are kept aside.
#[derive(Clone, Debug, Default)]
pub(crate) struct Checks {
    pub(crate) allowed: Vec<Value>,
    pub(crate) pattern: Option<Arc<Regex>>,
    pub(crate) format: Option<Format>,
    pub(crate) minimum: Option<Bound>,
    pub(crate) maximum: Option<Bound>,
    pub(crate) multiple_of: Option<f64>,
    pub(crate) length: Span,
    pub(crate) item_count: Span,
    pub(crate) property_count: Span,
    pub(crate) all_of: Vec<Node>,
    pub(crate) any_of: Vec<Node>,
    pub(crate) one_of: Vec<Node>,
    pub(crate) not: Option<Box<Node>>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Bound {
    pub(crate) value: f64,
    pub(crate) exclusive: bool,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Span {
    pub(crate) min: Option<u64>,
    pub(crate) max: Option<u64>,
}

impl Span {
    pub(crate) fn is_set(self) -> bool {
        self.min.is_some() || self.max.is_some()
    }
}

impl Node {
    pub(crate) fn prop(&self, name: &str) -> Option<&Node> {
        let at = self.props.binary_search_by(|p| (*p.name).cmp(name)).ok()?;
        Some(&self.props[at].node)
    }

    /// The node of the member `name`: a property, or what additionalProperties says.
    pub(crate) fn member(&self, name: &str) -> Option<&Node> {
        self.prop(name).or(match &self.additional {
            Additional::Schema(node) => Some(node),
            _ => None,
        })
    }

    pub(crate) fn is_required(&self, name: &str) -> bool {
        self.required.iter().any(|r| &**r == name)
    }

    /// Adds or replaces a property, keeping the order.
    pub(crate) fn set_prop(&mut self, name: &str, node: Node) {
        match self.props.binary_search_by(|p| (*p.name).cmp(name)) {
            Ok(at) => self.props[at].node = node,
            Err(at) => self.props.insert(at, Prop { name: name.into(), node }),
        }
    }
}

/// Finds the properties of members that arrive in sorted order, which is how `serde_json` keeps them, without a
/// search for each; other orders are found too, only slower.
pub(crate) struct PropCursor<'n> {
    node: &'n Node,
    next: usize,
}

impl<'n> PropCursor<'n> {
    pub(crate) fn new(node: &'n Node) -> Self {
        Self { node, next: 0 }
    }

    pub(crate) fn find(&mut self, name: &str) -> Option<&'n Node> {
        let props = &self.node.props;
        // Looking a few ahead beats a binary search on the short gaps that real objects have.
        for step in 0..4 {
            match props.get(self.next + step) {
                Some(prop) if &*prop.name == name => {
                    self.next += step + 1;
                    return Some(&prop.node);
                }
                Some(_) => {}
                None => break,
            }
        }
        let at = props.binary_search_by(|p| (*p.name).cmp(name)).ok()?;
        self.next = at + 1;
        Some(&props[at].node)
    }
}
