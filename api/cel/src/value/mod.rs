//! The values of the language.
//!
//! JSON data is never copied: a list or an object is a [`Value::JsonList`] or [`Value::JsonMap`] that borrows it, and
//! its elements are converted one by one when they are asked for, as their [`Shape`] says.

mod compare;
mod convert;
mod json;
mod map;
mod object;
mod opaque;
mod shape;
mod views;

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use serde_json::Value as Json;

pub(crate) use self::compare::{add_lists, equal, order};
pub use self::map::{Map, MapKey};
pub use self::object::Object;
pub use self::opaque::{Attributes, Authorizer, Check, CheckKind, Decision, Opaque, Prefix};
pub use self::shape::{ListKind, Shape, ShapeKind};
pub use self::views::{ListView, MapView};
pub(crate) use self::views::{find_json, find_raw};
pub use crate::library::time::{Duration, Timestamp};
use crate::types::Type;

/// A value; cloning is cheap (at most one reference counter).
#[derive(Clone, Debug)]
pub enum Value<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    String(Str<'a>),
    Bytes(Arc<[u8]>),
    Timestamp(Timestamp),
    Duration(Duration),
    Type(Arc<Type>),
    /// A list of values made by the expression.
    List(Arc<Vec<Value<'a>>>),
    /// A list made by `+` from a list with `x-kubernetes-list-type` set or map: it goes on behaving as such.
    KindedList(Arc<(Vec<Value<'a>>, ListKind)>),
    Map(Arc<Map<'a>>),
    JsonList(&'a [Json], &'a Shape),
    JsonMap(&'a serde_json::Map<String, Json>, &'a Shape),
    /// Data of no declared type (`x-kubernetes-preserve-unknown-fields`): can be compared, nothing else.
    JsonUnknown(&'a Json),
    Object(Arc<Object<'a>>),
    Optional(Option<Arc<Value<'a>>>),
    Opaque(Opaque<'a>),
}

/// A string, borrowed from the data or the program, or made by the expression.
#[derive(Clone)]
pub enum Str<'a> {
    Borrowed(&'a str),
    Owned(Arc<str>),
}

impl Deref for Str<'_> {
    type Target = str;

    #[inline]
    fn deref(&self) -> &str {
        match self {
            Self::Borrowed(text) => text,
            Self::Owned(text) => text,
        }
    }
}

impl fmt::Debug for Str<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl<'a> Value<'a> {
    /// A string that the value owns.
    #[must_use]
    pub fn string(text: impl Into<Arc<str>>) -> Self {
        Self::String(Str::Owned(text.into()))
    }

    #[must_use]
    pub fn list(items: Vec<Self>) -> Self {
        Self::List(Arc::new(items))
    }

    #[must_use]
    pub fn some(value: Self) -> Self {
        Self::Optional(Some(Arc::new(value)))
    }

    pub const NONE: Self = Self::Optional(None);

    /// JSON data without a declared type: numbers are ints when they are whole and written so, else doubles.
    #[must_use]
    pub fn json(data: &'a Json) -> Self {
        Self::json_as(data, Shape::any())
    }

    /// JSON data of a declared shape. Data that does not match its shape gives the unknown value, on which every
    /// operation but equality fails.
    #[must_use]
    pub fn json_as(data: &'a Json, shape: &'a Shape) -> Self {
        json::wrap(data, shape).unwrap_or(Self::JsonUnknown(data))
    }

    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            _ => None,
        }
    }

    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    #[must_use]
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Self::Int(value) => Some(*value),
            _ => None,
        }
    }

    /// The type that `type(x)` gives: without parameters of lists, maps and optionals.
    #[must_use]
    pub fn type_of(&self) -> Type {
        match self {
            Self::Null => Type::Null,
            Self::Bool(_) => Type::Bool,
            Self::Int(_) => Type::Int,
            Self::Uint(_) => Type::Uint,
            Self::Double(_) => Type::Double,
            Self::String(_) => Type::String,
            Self::Bytes(_) => Type::Bytes,
            Self::Timestamp(_) => Type::Timestamp,
            Self::Duration(_) => Type::Duration,
            Self::Type(_) => Type::type_of(Type::Dyn),
            Self::List(_) | Self::KindedList(_) | Self::JsonList(..) => Type::list(Type::Dyn),
            Self::Map(_) | Self::JsonMap(..) => Type::map(Type::Dyn, Type::Dyn),
            Self::JsonUnknown(_) => Type::Dyn,
            Self::Object(object) => Type::Object(object.type_name.clone()),
            Self::Optional(_) => Type::optional(Type::Dyn),
            Self::Opaque(value) => Type::Opaque(value.type_name()),
        }
    }

    /// The name of the type, for messages.
    #[must_use]
    pub fn type_name(&self) -> &str {
        match self {
            Self::Null => "null_type",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Uint(_) => "uint",
            Self::Double(_) => "double",
            Self::String(_) => "string",
            Self::Bytes(_) => "bytes",
            Self::Timestamp(_) => "google.protobuf.Timestamp",
            Self::Duration(_) => "google.protobuf.Duration",
            Self::Type(_) => "type",
            Self::List(_) | Self::KindedList(_) | Self::JsonList(..) => "list",
            Self::Map(_) | Self::JsonMap(..) => "map",
            Self::JsonUnknown(_) => "unknown",
            Self::Object(object) => &object.type_name,
            Self::Optional(_) => "optional_type",
            Self::Opaque(value) => value.type_name(),
        }
    }

    /// The size that costs are counted by: characters, bytes, elements, entries; 1 for all else.
    #[must_use]
    pub(crate) fn size(&self) -> u64 {
        match self {
            Self::String(text) => char_count(text),
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::List(items) => items.len() as u64,
            Self::KindedList(list) => list.0.len() as u64,
            Self::JsonList(items, _) => items.len() as u64,
            Self::Map(map) => map.len() as u64,
            Self::JsonMap(map, _) => map.len() as u64,
            Self::Optional(Some(value)) => value.size(),
            Self::Opaque(value) => value.size(),
            _ => 1,
        }
    }
}

/// Characters of a string; the length in bytes when all are ASCII.
pub(crate) fn char_count(text: &str) -> u64 {
    if text.is_ascii() { text.len() as u64 } else { text.chars().count() as u64 }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::String(Str::Borrowed(text))
    }
}

impl From<bool> for Value<'_> {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for Value<'_> {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<String> for Value<'_> {
    fn from(text: String) -> Self {
        Self::string(text)
    }
}

/// As cel-go prints values in messages (Go's `%v`).
impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Int(value) => write!(f, "{value}"),
            Self::Uint(value) => write!(f, "{value}"),
            Self::Double(value) => f.write_str(&crate::library::go::format_g(*value)),
            Self::String(text) => f.write_str(text),
            Self::Bytes(bytes) => write!(f, "{bytes:?}"),
            Self::Timestamp(value) => write!(f, "{value}"),
            Self::Duration(value) => write!(f, "{value}"),
            Self::Type(value) => f.write_str(value.runtime_name()),
            other => write!(f, "<{}>", other.type_name()),
        }
    }
}
