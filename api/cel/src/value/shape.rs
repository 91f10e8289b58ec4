//! What JSON data is declared to be, so that a view of it converts its elements without copying them.
//!
//! A shape follows a structural schema (`openAPIV3Schema`) the way upstream's `UnstructuredToVal` reads one.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value as Json;

/// The declared shape of a piece of JSON data.
#[derive(Clone, Debug)]
pub struct Shape {
    pub kind: ShapeKind,
    /// Null is a value of its own here; elsewhere it is an error (or, in a field of an object, absence).
    pub nullable: bool,
}

#[derive(Clone, Debug)]
pub enum ShapeKind {
    /// Nothing is declared: the data speaks for itself.
    Any,
    Bool,
    Int,
    Double,
    String,
    /// A string in Go's duration notation, or the longer one of `strfmt`.
    Duration,
    /// `2006-01-02`.
    Date,
    /// RFC 3339.
    DateTime,
    /// Base64.
    Bytes,
    IntOrString,
    /// Declared fields by their JSON names; expressions use the escaped ones.
    Object(BTreeMap<Box<str>, Arc<Shape>>),
    /// Any key, one shape of values; keys are not escaped.
    Map(Arc<Shape>),
    List {
        items: Arc<Shape>,
        kind: ListKind,
    },
    /// No type, fields preserved: only equality works.
    Unknown,
}

/// `x-kubernetes-list-type`: how lists are compared and added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListKind {
    Atomic,
    /// Order does not matter for equality; `+` is the union.
    Set,
    /// Order does not matter for equality; `+` replaces the elements with the same keys. JSON names of the keys.
    Map(Arc<[Box<str>]>),
}

static ANY: Shape = Shape { kind: ShapeKind::Any, nullable: true };

/// Schemas nest at most this deep; deeper parts are of unknown type.
const DEPTH_MAX: usize = 128;

impl Shape {
    /// The shape of data about which nothing is declared.
    #[must_use]
    pub fn any() -> &'static Self {
        &ANY
    }

    #[must_use]
    pub fn new(kind: ShapeKind) -> Self {
        Self { kind, nullable: false }
    }

    /// The shape of the data of a structural schema. At the root of a custom resource and in embedded resources
    /// `apiVersion`, `kind` and `metadata` (with `name` and `generateName`) are there in any case.
    #[must_use]
    pub fn from_schema(schema: &Json, is_resource_root: bool) -> Self {
        Self::read(schema, is_resource_root, 0)
    }

    fn read(schema: &Json, is_resource_root: bool, depth: usize) -> Self {
        let flag = |name: &str| schema.get(name).and_then(Json::as_bool).unwrap_or(false);
        let text = |name: &str| schema.get(name).and_then(Json::as_str).unwrap_or_default();
        let nullable = flag("nullable");
        if depth > DEPTH_MAX {
            return Self { kind: ShapeKind::Unknown, nullable: true };
        }
        let kind = if flag("x-kubernetes-int-or-string") {
            ShapeKind::IntOrString
        } else {
            match (text("type"), text("format")) {
                ("object", _) => {
                    let is_resource = is_resource_root || flag("x-kubernetes-embedded-resource");
                    return Self { kind: Self::read_object(schema, is_resource, depth), nullable };
                }
                ("array", _) => Self::read_list(schema, text("x-kubernetes-list-type"), depth),
                ("string", "duration") => ShapeKind::Duration,
                ("string", "date") => ShapeKind::Date,
                ("string", "date-time") => ShapeKind::DateTime,
                ("string", "byte") => ShapeKind::Bytes,
                ("string", _) => ShapeKind::String,
                ("number", _) => ShapeKind::Double,
                ("integer", _) => ShapeKind::Int,
                ("boolean", _) => ShapeKind::Bool,
                _ => ShapeKind::Unknown,
            }
        };
        Self { kind, nullable }
    }

    fn read_object(schema: &Json, is_resource: bool, depth: usize) -> ShapeKind {
        let properties = schema.get("properties").and_then(Json::as_object);
        if properties.is_none() && !is_resource {
            return match schema.get("additionalProperties") {
                Some(values @ Json::Object(_)) => ShapeKind::Map(Arc::new(Self::read(values, false, depth + 1))),
                _ => ShapeKind::Object(BTreeMap::new()),
            };
        }
        let mut fields: BTreeMap<Box<str>, Arc<Self>> = BTreeMap::new();
        for (name, child) in properties.into_iter().flatten() {
            fields.insert(name.as_str().into(), Arc::new(Self::read(child, false, depth + 1)));
        }
        if is_resource {
            let text = Arc::new(Self::new(ShapeKind::String));
            fields.insert("apiVersion".into(), text.clone());
            fields.insert("kind".into(), text.clone());
            let names = ["name", "generateName"].map(|name| (name.into(), text.clone()));
            fields.insert("metadata".into(), Arc::new(Self::new(ShapeKind::Object(names.into()))));
        }
        ShapeKind::Object(fields)
    }

    fn read_list(schema: &Json, list_type: &str, depth: usize) -> ShapeKind {
        let Some(items) = schema.get("items") else { return ShapeKind::Unknown };
        let keys = || {
            let names = schema.get("x-kubernetes-list-map-keys").and_then(Json::as_array);
            names.into_iter().flatten().filter_map(Json::as_str).map(Box::from).collect()
        };
        let kind = match list_type {
            "set" => ListKind::Set,
            "map" => ListKind::Map(keys()),
            _ => ListKind::Atomic,
        };
        ShapeKind::List { items: Arc::new(Self::read(items, false, depth + 1)), kind }
    }

    /// The shape of the field `name` (as in JSON); `None` when it is not declared.
    pub(crate) fn field(&self, name: &str) -> Option<&Self> {
        match &self.kind {
            ShapeKind::Any => Some(&ANY),
            ShapeKind::Object(fields) => fields.get(name).map(|shape| &**shape),
            ShapeKind::Map(values) => Some(values),
            _ => None,
        }
    }

    /// The shape of the elements of a list.
    pub(crate) fn items(&self) -> &Self {
        match &self.kind {
            ShapeKind::List { items, .. } => items,
            _ => &ANY,
        }
    }

    /// How a list of this shape is compared and added.
    pub(crate) fn list_kind(&self) -> &ListKind {
        match &self.kind {
            ShapeKind::List { kind, .. } => kind,
            _ => &ListKind::Atomic,
        }
    }

    /// True for objects with declared fields: their names are escaped, and null is absence.
    pub(crate) fn is_object(&self) -> bool {
        matches!(self.kind, ShapeKind::Object(_))
    }
}
