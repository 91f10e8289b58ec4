//! One way to look at lists and at maps, whoever made them.

use serde_json::Value as Json;

use super::{ListKind, Map, MapKey, Shape, Value, json};
use crate::error::EvalError;
use crate::escape::{escape, unescape};

/// A list to read.
#[derive(Clone, Copy, Debug)]
pub enum ListView<'v, 'a> {
    Values(&'v [Value<'a>], &'v ListKind),
    Json(&'a [Json], &'a Shape),
}

impl<'v, 'a: 'v> ListView<'v, 'a> {
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Values(items, _) => items.len(),
            Self::Json(items, _) => items.len(),
        }
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The element at `index`.
    ///
    /// # Errors
    /// There is none, or the data does not fit its shape.
    pub fn get(&self, index: usize) -> Result<Value<'a>, EvalError> {
        match self {
            Self::Values(items, _) => items.get(index).cloned().ok_or_else(|| EvalError::out_of_bounds(index)),
            Self::Json(items, shape) => match items.get(index) {
                Some(item) => json::wrap(item, shape.items()),
                None => Err(EvalError::out_of_bounds(index)),
            },
        }
    }

    /// All elements, converted one by one.
    pub fn iter(self) -> impl Iterator<Item = Result<Value<'a>, EvalError>> + 'v {
        (0..self.len()).map(move |index| self.get(index))
    }

    /// True when an element equals `wanted`.
    pub(crate) fn contains(&self, wanted: &Value<'a>) -> Result<bool, EvalError> {
        let mut failed = None;
        for item in self.iter() {
            match item.and_then(|item| super::equal(&item, wanted)) {
                Ok(true) => return Ok(true),
                Ok(false) => {}
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        failed.map_or(Ok(false), Err)
    }

    pub(crate) fn kind(&self) -> &'v ListKind {
        match self {
            Self::Values(_, kind) => kind,
            Self::Json(_, shape) => shape.list_kind(),
        }
    }
}

/// A map (or object of JSON data) to read.
#[derive(Clone, Copy, Debug)]
pub enum MapView<'v, 'a> {
    Values(&'v Map<'a>),
    Json(&'a serde_json::Map<String, Json>, &'a Shape),
}

impl<'v, 'a: 'v> MapView<'v, 'a> {
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Values(map) => map.len(),
            Self::Json(map, _) => map.len(),
        }
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value of `key`, `None` when it is absent.
    ///
    /// # Errors
    /// The key cannot be one of this map, or the data does not fit its shape.
    pub fn find(&self, key: &Value<'a>) -> Result<Option<Value<'a>>, EvalError> {
        match self {
            Self::Values(map) => match MapKey::new(key) {
                Some(key) => Ok(map.get(&key).cloned()),
                None if matches!(key, Value::Double(_)) => Ok(None),
                None => Err(EvalError::no_such_overload()),
            },
            Self::Json(map, shape) => match key {
                Value::String(name) => find_json(map, shape, name),
                _ => Err(EvalError::no_such_overload()),
            },
        }
    }

    /// The keys, as expressions see them.
    pub fn keys(self) -> Box<dyn Iterator<Item = Value<'a>> + 'v> {
        match self {
            Self::Values(map) => Box::new(map.keys().map(MapKey::to_value)),
            Self::Json(map, shape) if shape.is_object() => {
                Box::new(map.keys().filter(|name| shape.field(name).is_some()).map(|name| match escape(name) {
                    Some(std::borrow::Cow::Owned(escaped)) => Value::from(escaped),
                    _ => Value::from(name.as_str()),
                }))
            }
            Self::Json(map, _) => Box::new(map.keys().map(|name| Value::from(name.as_str()))),
        }
    }
}

/// Looks up `name` as written in an expression.
pub(crate) fn find_json<'a>(
    map: &'a serde_json::Map<String, Json>,
    shape: &'a Shape,
    name: &str,
) -> Result<Option<Value<'a>>, EvalError> {
    if !shape.is_object() || !name.contains("__") {
        return find_raw(map, shape, name);
    }
    match unescape(name) {
        Some(raw) => find_raw(map, shape, &raw),
        None => Ok(None),
    }
}

/// Looks up the JSON field `name`.
#[inline]
pub(crate) fn find_raw<'a>(
    map: &'a serde_json::Map<String, Json>,
    shape: &'a Shape,
    name: &str,
) -> Result<Option<Value<'a>>, EvalError> {
    let Some(data) = map.get(name) else { return Ok(None) };
    if data.is_null() && shape.is_object() {
        return Ok(None);
    }
    match shape.field(name) {
        Some(field) => json::wrap(data, field).map(Some),
        None => Ok(None),
    }
}

impl<'a> Value<'a> {
    /// The value as a list.
    #[must_use]
    pub fn as_list(&self) -> Option<ListView<'_, 'a>> {
        match self {
            Self::List(items) => Some(ListView::Values(items, &ListKind::Atomic)),
            Self::KindedList(list) => Some(ListView::Values(&list.0, &list.1)),
            Self::JsonList(items, shape) => Some(ListView::Json(items, shape)),
            _ => None,
        }
    }

    /// The value as a map.
    #[must_use]
    pub fn as_map(&self) -> Option<MapView<'_, 'a>> {
        match self {
            Self::Map(map) => Some(MapView::Values(map)),
            Self::JsonMap(map, shape) => Some(MapView::Json(map, shape)),
            _ => None,
        }
    }
}
