//! Out of the language: values as JSON.

use std::sync::Arc;

use serde_json::{Map as JsonMap, Number, Value as Json};

use super::{Object, Str, Value};
use crate::library::encoding::base64_encode;

/// Values that expressions make nest at most this deep when they become JSON (JSON parsers stop at 128).
const DEPTH_MAX: usize = 128;

impl Value<'_> {
    /// The value as JSON: bytes as base64, timestamps and durations as text.
    ///
    /// # Errors
    /// Types, errors and most library values have no JSON; neither have NaN and infinities.
    pub fn to_json(&self) -> Result<Json, String> {
        self.to_json_at(0)
    }

    fn to_json_at(&self, depth: usize) -> Result<Json, String> {
        if depth > DEPTH_MAX {
            return Err(format!("value nests deeper than {DEPTH_MAX} levels"));
        }
        Ok(match self {
            Self::Null => Json::Null,
            Self::Bool(value) => Json::Bool(*value),
            Self::Int(value) => Json::from(*value),
            Self::Uint(value) => Json::from(*value),
            Self::Double(value) => match Number::from_f64(*value) {
                Some(number) => Json::Number(number),
                None => return Err(format!("unsupported value: {value}")),
            },
            Self::String(text) => Json::String(text.to_string()),
            Self::Bytes(bytes) => Json::String(base64_encode(bytes)),
            Self::Timestamp(value) => Json::String(value.to_string()),
            Self::Duration(value) => Json::String(value.to_string()),
            // the data itself: no need to convert what came from there
            Self::JsonList(items, _) => Json::Array(items.to_vec()),
            Self::JsonMap(map, _) => Json::Object((*map).clone()),
            Self::JsonUnknown(data) => (*data).clone(),
            Self::List(items) => items.iter().map(|item| item.to_json_at(depth + 1)).collect::<Result<_, _>>()?,
            Self::KindedList(list) => list.0.iter().map(|item| item.to_json_at(depth + 1)).collect::<Result<_, _>>()?,
            Self::Map(map) => {
                let mut json = JsonMap::new();
                for (key, value) in map.iter() {
                    json.insert(key.to_json(), value.to_json_at(depth + 1)?);
                }
                Json::Object(json)
            }
            Self::Object(object) => {
                let mut json = JsonMap::new();
                for (name, value) in &object.fields {
                    let raw =
                        crate::escape::unescape(name).map_or_else(|| name.to_string(), std::borrow::Cow::into_owned);
                    json.insert(raw, value.to_json_at(depth + 1)?);
                }
                Json::Object(json)
            }
            Self::Optional(None) => Json::Null,
            Self::Optional(Some(value)) => value.to_json_at(depth + 1)?,
            Self::Type(_) => return Err("type conversion not supported for 'type'".to_owned()),
            Self::Opaque(value) => match value.to_text() {
                Some(text) => Json::String(text),
                None => return Err(format!("{} has no JSON form", value.type_name())),
            },
        })
    }

    /// The same value without borrowed parts; `None` for values that hold on to JSON data or to an authorizer.
    /// Used for what a program computes when it is made.
    pub(crate) fn into_owned(self) -> Option<Value<'static>> {
        Some(match self {
            Self::Null => Value::Null,
            Self::Bool(value) => Value::Bool(value),
            Self::Int(value) => Value::Int(value),
            Self::Uint(value) => Value::Uint(value),
            Self::Double(value) => Value::Double(value),
            Self::String(Str::Borrowed(text)) => Value::string(text),
            Self::String(Str::Owned(text)) => Value::String(Str::Owned(text)),
            Self::Bytes(bytes) => Value::Bytes(bytes),
            Self::Timestamp(value) => Value::Timestamp(value),
            Self::Duration(value) => Value::Duration(value),
            Self::Type(value) => Value::Type(value),
            Self::List(items) => {
                Value::list(items.iter().map(|item| item.clone().into_owned()).collect::<Option<_>>()?)
            }
            Self::Map(map) => {
                let owned =
                    map.iter().map(|(key, value)| Some((key.clone().into_owned(), value.clone().into_owned()?)));
                Value::Map(Arc::new(owned.collect::<Option<_>>()?))
            }
            Self::Object(object) => {
                let fields =
                    object.fields.iter().map(|(name, value)| Some((name.clone(), value.clone().into_owned()?)));
                let fields = fields.collect::<Option<_>>()?;
                Value::Object(Arc::new(Object { type_name: object.type_name.clone(), fields }))
            }
            Self::Optional(None) => Value::NONE,
            Self::Optional(Some(value)) => Value::some((*value).clone().into_owned()?),
            Self::KindedList(_) | Self::JsonList(..) | Self::JsonMap(..) | Self::JsonUnknown(_) | Self::Opaque(_) => {
                return None;
            }
        })
    }
}
