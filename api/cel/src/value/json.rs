//! From JSON data and its shape to values: what upstream's `UnstructuredToVal` does, one level at a time.

use serde_json::Value as Json;

use super::{Shape, ShapeKind, Str, Value};
use crate::error::EvalError;
use crate::library::{encoding, time};

/// The value of `data`; lists and objects stay borrowed.
///
/// # Errors
/// The data does not fit its shape (upstream's words).
pub(crate) fn wrap<'a>(data: &'a Json, shape: &'a Shape) -> Result<Value<'a>, EvalError> {
    if data.is_null() {
        return match shape.nullable {
            true => Ok(Value::Null),
            false => Err(EvalError::new("invalid data, got null for schema with nullable=false")),
        };
    }
    match (&shape.kind, data) {
        (ShapeKind::Any, _) => Ok(plain(data)),
        (ShapeKind::Bool, Json::Bool(value)) => Ok(Value::Bool(*value)),
        (ShapeKind::Int, Json::Number(number)) if number.is_i64() => Ok(number_value(number)),
        (ShapeKind::Double, Json::Number(number)) => Ok(Value::Double(number.as_f64().unwrap_or(f64::NAN))),
        (ShapeKind::IntOrString, Json::Number(number)) if number.is_i64() => Ok(number_value(number)),
        (ShapeKind::String | ShapeKind::IntOrString, Json::String(text)) => Ok(Value::String(Str::Borrowed(text))),
        (ShapeKind::Duration, Json::String(text)) => time::Duration::parse_strfmt(text)
            .map(Value::Duration)
            .map_err(|error| EvalError::new(format!("Invalid duration {text}: {error}"))),
        (ShapeKind::Date, Json::String(text)) => time::Timestamp::parse_date(text)
            .map(Value::Timestamp)
            .ok_or_else(|| EvalError::new(format!("Invalid date formatted string {text}"))),
        (ShapeKind::DateTime, Json::String(text)) => time::Timestamp::parse_lenient(text)
            .map(Value::Timestamp)
            .ok_or_else(|| EvalError::new(format!("Invalid date-time formatted string {text}"))),
        (ShapeKind::Bytes, Json::String(text)) => encoding::base64_decode(text)
            .map(|bytes| Value::Bytes(bytes.into()))
            .ok_or_else(|| EvalError::new(format!("Invalid byte formatted string {text}"))),
        (ShapeKind::Object(_) | ShapeKind::Map(_), Json::Object(map)) => Ok(Value::JsonMap(map, shape)),
        (ShapeKind::List { .. }, Json::Array(items)) => Ok(Value::JsonList(items, shape)),
        (ShapeKind::Unknown, _) => Ok(Value::JsonUnknown(data)),
        (kind, _) => Err(mismatch(kind, data)),
    }
}

/// Data without a declaration.
fn plain(data: &Json) -> Value<'_> {
    match data {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(number) => number_value(number),
        Json::String(text) => Value::String(Str::Borrowed(text)),
        Json::Array(items) => Value::JsonList(items, Shape::any()),
        Json::Object(map) => Value::JsonMap(map, Shape::any()),
    }
}

fn number_value(number: &serde_json::Number) -> Value<'static> {
    match number.as_i64() {
        Some(value) => Value::Int(value),
        None => Value::Double(number.as_f64().unwrap_or(f64::NAN)),
    }
}

fn mismatch(kind: &ShapeKind, data: &Json) -> EvalError {
    let got = match data {
        Json::Null => "<nil>",
        Json::Bool(_) => "bool",
        Json::Number(number) if number.is_i64() => "int64",
        Json::Number(_) => "float64",
        Json::String(_) => "string",
        Json::Array(_) => "[]interface {}",
        Json::Object(_) => "map[string]interface {}",
    };
    EvalError::new(match kind {
        ShapeKind::Bool => format!("invalid data, expected bool, got {got}"),
        ShapeKind::Int => format!("invalid data, expected int, got {got}"),
        ShapeKind::Double => format!("invalid data, expected float, got {got}"),
        ShapeKind::IntOrString => {
            "invalid data, expected XIntOrString value to be either a string or integer".to_owned()
        }
        ShapeKind::Object(_) | ShapeKind::Map(_) => {
            "invalid data, expected a map for the provided schema with type=object".to_owned()
        }
        ShapeKind::List { .. } => "invalid data, expected an array for the provided schema with type=array".to_owned(),
        _ => format!("invalid data, expected string, got {got}"),
    })
}
