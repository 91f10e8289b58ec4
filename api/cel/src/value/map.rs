//! Maps made by expressions, and their keys.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use super::{Str, Value};

/// A map made by an expression; iterates in the order of its keys.
pub type Map<'a> = BTreeMap<MapKey<'a>, Value<'a>>;

/// A key: numbers are equal across their types, as everywhere in the language.
#[derive(Clone, Debug)]
pub enum MapKey<'a> {
    Bool(bool),
    /// An int or a uint.
    Number {
        value: i128,
        unsigned: bool,
    },
    String(Str<'a>),
}

impl<'a> MapKey<'a> {
    /// The key that `value` makes; `None` for types that cannot be keys. A whole double is the key of that int.
    #[must_use]
    pub fn new(value: &Value<'a>) -> Option<Self> {
        match value {
            Value::Bool(value) => Some(Self::Bool(*value)),
            Value::Int(value) => Some(Self::Number { value: i128::from(*value), unsigned: false }),
            Value::Uint(value) => Some(Self::Number { value: i128::from(*value), unsigned: true }),
            // the range in which every whole double has an exact counterpart
            Value::Double(value) if value.fract() == 0.0 && value.abs() < 1e19 => {
                Some(Self::Number { value: *value as i128, unsigned: false })
            }
            Value::String(text) => Some(Self::String(text.clone())),
            _ => None,
        }
    }

    #[must_use]
    pub fn text(text: &'a str) -> Self {
        Self::String(Str::Borrowed(text))
    }

    /// The key as a value, with the type it had when it was inserted.
    #[must_use]
    pub fn to_value(&self) -> Value<'a> {
        match self {
            Self::Bool(value) => Value::Bool(*value),
            Self::Number { value, unsigned: true } => Value::Uint(u64::try_from(*value).unwrap_or(u64::MAX)),
            Self::Number { value, unsigned: false } => Value::Int(i64::try_from(*value).unwrap_or(i64::MAX)),
            Self::String(text) => Value::String(text.clone()),
        }
    }

    /// As the key of a JSON object.
    pub(crate) fn to_json(&self) -> String {
        match self {
            Self::Bool(value) => value.to_string(),
            Self::Number { value, .. } => value.to_string(),
            Self::String(text) => text.to_string(),
        }
    }

    pub(crate) fn into_owned(self) -> MapKey<'static> {
        match self {
            Self::Bool(value) => MapKey::Bool(value),
            Self::Number { value, unsigned } => MapKey::Number { value, unsigned },
            Self::String(text) => MapKey::String(Str::Owned(Arc::from(&*text))),
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Bool(_) => 0,
            Self::Number { .. } => 1,
            Self::String(_) => 2,
        }
    }
}

impl Ord for MapKey<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Bool(a), Self::Bool(b)) => a.cmp(b),
            (Self::Number { value: a, .. }, Self::Number { value: b, .. }) => a.cmp(b),
            (Self::String(a), Self::String(b)) => (**a).cmp(&**b),
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

impl PartialOrd for MapKey<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for MapKey<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for MapKey<'_> {}

impl Hash for MapKey<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Self::Bool(value) => value.hash(state),
            Self::Number { value, .. } => value.hash(state),
            Self::String(text) => (**text).hash(state),
        }
    }
}
