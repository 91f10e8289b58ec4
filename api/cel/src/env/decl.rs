//! Declared types: types with the bounds on their sizes that a schema gives, for the cost estimator.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::types::Type;

/// A type with bounds. Bounds that a schema leaves out are those that a request's size implies, see
/// [`crate::cost::limits`].
#[derive(Clone, Debug, PartialEq)]
pub enum DeclType {
    Dyn,
    Null,
    Bool,
    Int,
    Uint,
    Double,
    /// `max_length` in characters.
    String {
        max_length: u64,
    },
    /// `max_length` in bytes.
    Bytes {
        max_length: u64,
    },
    Timestamp,
    /// A timestamp that a request writes as a date.
    Date,
    Duration,
    List {
        elem: Arc<Self>,
        max_items: u64,
    },
    Map {
        key: Arc<Self>,
        value: Arc<Self>,
        max_properties: u64,
    },
    Optional(Arc<Self>),
    Object(Arc<ObjectDecl>),
    /// One of [`crate::types::opaque`]'s names.
    Opaque(&'static str),
}

/// An object: its name, which messages and `type()` show, and its fields.
#[derive(Clone, Debug, PartialEq)]
pub struct ObjectDecl {
    pub name: Arc<str>,
    /// By the name that expressions use, escaped ([`crate::escape`]).
    pub fields: BTreeMap<Arc<str>, DeclField>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct DeclField {
    pub decl: DeclType,
    /// Every request must spell it out: it is required and has no default.
    pub required: bool,
}

impl DeclType {
    /// A string of any length.
    #[must_use]
    pub fn string() -> Self {
        Self::String { max_length: crate::cost::limits::LARGEST_REQUEST_STRING }
    }

    /// A list without a bound of its own.
    #[must_use]
    pub fn list(elem: Self) -> Self {
        let max_items = crate::cost::limits::unbounded_list(elem.min_size());
        Self::List { elem: Arc::new(elem), max_items }
    }

    /// A map from strings, without a bound of its own.
    #[must_use]
    pub fn map(value: Self) -> Self {
        let max_properties = crate::cost::limits::unbounded_map(value.min_size());
        Self::Map { key: Arc::new(Self::string()), value: Arc::new(value), max_properties }
    }

    /// An object with optional fields.
    #[must_use]
    pub fn object<'n>(name: &str, fields: impl IntoIterator<Item = (&'n str, Self)>) -> Self {
        let fields = fields.into_iter().map(|(name, decl)| (name.into(), DeclField { decl, required: false }));
        Self::Object(Arc::new(ObjectDecl { name: name.into(), fields: fields.collect() }))
    }

    /// The same, without bounds.
    #[must_use]
    pub fn as_type(&self) -> Type {
        match self {
            Self::Dyn => Type::Dyn,
            Self::Null => Type::Null,
            Self::Bool => Type::Bool,
            Self::Int => Type::Int,
            Self::Uint => Type::Uint,
            Self::Double => Type::Double,
            Self::String { .. } => Type::String,
            Self::Bytes { .. } => Type::Bytes,
            Self::Timestamp | Self::Date => Type::Timestamp,
            Self::Duration => Type::Duration,
            Self::List { elem, .. } => Type::list(elem.as_type()),
            Self::Map { key, value, .. } => Type::map(key.as_type(), value.as_type()),
            Self::Optional(value) => Type::optional(value.as_type()),
            Self::Object(object) => Type::Object(Arc::clone(&object.name)),
            Self::Opaque(name) => Type::Opaque(name),
        }
    }

    /// How large a value can be: characters, bytes, items or properties. Nothing when it has no size.
    #[must_use]
    pub fn max_size(&self) -> Option<u64> {
        match self {
            Self::String { max_length } | Self::Bytes { max_length } => Some(*max_length),
            Self::List { max_items, .. } => Some(*max_items),
            Self::Map { max_properties, .. } => Some(*max_properties),
            Self::Optional(value) => value.max_size(),
            Self::Timestamp => Some(crate::cost::limits::MAX_TIMESTAMP),
            Self::Date => Some(crate::cost::limits::DATE),
            Self::Duration => Some(crate::cost::limits::MAX_DURATION),
            // May be a string: an int-or-string field is declared so.
            Self::Dyn => Some(crate::cost::limits::LARGEST_REQUEST_STRING),
            _ => None,
        }
    }

    /// The fewest bytes a value takes in JSON.
    #[must_use]
    pub fn min_size(&self) -> u64 {
        use crate::cost::limits::{
            DATE, MIN_BOOL, MIN_COLLECTION, MIN_DURATION, MIN_NUMBER, MIN_STRING, MIN_TIMESTAMP,
        };
        match self {
            Self::Dyn | Self::Int | Self::Uint | Self::Double | Self::Opaque(_) | Self::Null => MIN_NUMBER,
            Self::Bool => MIN_BOOL,
            Self::String { .. } | Self::Bytes { .. } => MIN_STRING,
            Self::Timestamp => MIN_TIMESTAMP,
            Self::Date => DATE,
            Self::Duration => MIN_DURATION,
            Self::List { .. } | Self::Map { .. } => MIN_COLLECTION,
            Self::Optional(value) => value.min_size(),
            Self::Object(object) => {
                let required = object.fields.iter().filter(|(_, field)| field.required);
                // The name in quotes, a colon, the value, and a comma or brace.
                required.fold(MIN_COLLECTION, |sum, (name, field)| {
                    let name = crate::escape::unescape(name).map_or(name.len(), |plain| plain.len());
                    sum.saturating_add(name as u64).saturating_add(4).saturating_add(field.decl.min_size())
                })
            }
        }
    }
}
