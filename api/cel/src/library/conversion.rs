//! Type conversions: `int()`, `string()`, `timestamp()` and the others.

use std::sync::Arc;

use super::{go, time};
use crate::budget::Meter;
use crate::error::EvalError;
use crate::value::Value;

type Result<'a> = std::result::Result<Value<'a>, EvalError>;

fn failed<'a>(value: &Value<'a>, to: &str) -> Result<'a> {
    Err(EvalError::new(format!("type conversion error from '{}' to '{to}'", value.type_name())))
}

fn one<'v, 'a>(args: &'v [Value<'a>]) -> std::result::Result<&'v Value<'a>, EvalError> {
    match args {
        [value] => Ok(value),
        _ => Err(EvalError::no_such_overload()),
    }
}

/// The bounds of whole doubles, which are exact powers of two.
const TWO_63: f64 = 9_223_372_036_854_775_808.0;
const TWO_64: f64 = 18_446_744_073_709_551_616.0;

pub(super) fn int<'a>(args: &[Value<'a>], _: &mut Meter) -> Result<'a> {
    let overflow = || EvalError::new("integer overflow");
    match one(args)? {
        Value::Int(value) => Ok(Value::Int(*value)),
        Value::Uint(value) => i64::try_from(*value).map(Value::Int).map_err(|_| overflow()),
        // upstream refuses the lower bound itself too
        Value::Double(value) if *value > -TWO_63 && *value < TWO_63 => Ok(Value::Int(*value as i64)),
        Value::Double(_) => Err(overflow()),
        Value::Timestamp(value) => Ok(Value::Int(value.seconds())),
        Value::Duration(value) => Ok(Value::Int(value.0)),
        value @ Value::String(text) => match text.parse() {
            Ok(number) => Ok(Value::Int(number)),
            Err(_) => failed(value, "int"),
        },
        other => failed(other, "int"),
    }
}

pub(super) fn uint<'a>(args: &[Value<'a>], _: &mut Meter) -> Result<'a> {
    let overflow = || EvalError::new("unsigned integer overflow");
    match one(args)? {
        Value::Uint(value) => Ok(Value::Uint(*value)),
        Value::Int(value) => u64::try_from(*value).map(Value::Uint).map_err(|_| overflow()),
        Value::Double(value) if *value >= 0.0 && *value < TWO_64 => Ok(Value::Uint(*value as u64)),
        Value::Double(_) => Err(overflow()),
        value @ Value::String(text) => match text.parse() {
            Ok(number) if !text.starts_with('+') => Ok(Value::Uint(number)),
            _ => failed(value, "uint"),
        },
        other => failed(other, "uint"),
    }
}

pub(super) fn double<'a>(args: &[Value<'a>], _: &mut Meter) -> Result<'a> {
    match one(args)? {
        Value::Double(value) => Ok(Value::Double(*value)),
        Value::Int(value) => Ok(Value::Double(*value as f64)),
        Value::Uint(value) => Ok(Value::Double(*value as f64)),
        value @ Value::String(text) => match text.parse::<f64>() {
            // Go refuses numbers beyond the range, where Rust says infinity
            Ok(number) if number.is_finite() || !text.contains(|c: char| c.is_ascii_digit()) => {
                Ok(Value::Double(number))
            }
            _ => failed(value, "double"),
        },
        other => failed(other, "double"),
    }
}

pub(super) fn string<'a>(args: &[Value<'a>], meter: &mut Meter) -> Result<'a> {
    let value = one(args)?;
    Ok(match value {
        Value::String(_) => value.clone(),
        Value::Bool(_) | Value::Int(_) | Value::Uint(_) | Value::Timestamp(_) | Value::Duration(_) | Value::Type(_) => {
            Value::from(value.to_string())
        }
        Value::Double(double) => Value::from(go::format_g(*double)),
        Value::Bytes(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => {
                meter.allocate(text.len())?;
                Value::string(text)
            }
            Err(_) => return Err(EvalError::new("invalid UTF-8 in bytes, cannot convert to string")),
        },
        Value::Opaque(opaque @ (crate::value::Opaque::Ip(_) | crate::value::Opaque::Cidr(_))) => {
            Value::from(opaque.to_text().unwrap_or_default())
        }
        other => return failed(other, "string"),
    })
}

pub(super) fn bytes<'a>(args: &[Value<'a>], meter: &mut Meter) -> Result<'a> {
    match one(args)? {
        value @ Value::Bytes(_) => Ok(value.clone()),
        Value::String(text) => {
            meter.allocate(text.len())?;
            Ok(Value::Bytes(Arc::from(text.as_bytes())))
        }
        other => failed(other, "bytes"),
    }
}

pub(super) fn bool<'a>(args: &[Value<'a>], _: &mut Meter) -> Result<'a> {
    match one(args)? {
        Value::Bool(value) => Ok(Value::Bool(*value)),
        value @ Value::String(text) => match &**text {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(Value::Bool(true)),
            "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(Value::Bool(false)),
            _ => failed(value, "bool"),
        },
        other => failed(other, "bool"),
    }
}

pub(super) fn timestamp<'a>(args: &[Value<'a>], _: &mut Meter) -> Result<'a> {
    match one(args)? {
        Value::Timestamp(value) => Ok(Value::Timestamp(*value)),
        Value::Int(seconds) => time::Timestamp::new(*seconds, 0).map(Value::Timestamp),
        Value::String(text) => time::Timestamp::from_text(text).map(Value::Timestamp),
        other => failed(other, "google.protobuf.Timestamp"),
    }
}

pub(super) fn duration<'a>(args: &[Value<'a>], _: &mut Meter) -> Result<'a> {
    match one(args)? {
        Value::Duration(value) => Ok(Value::Duration(*value)),
        Value::Int(nanos) => Ok(Value::Duration(time::Duration(*nanos))),
        value @ Value::String(text) => match time::Duration::parse(text) {
            Some(duration) => Ok(Value::Duration(duration)),
            None => failed(value, "google.protobuf.Duration"),
        },
        other => failed(other, "google.protobuf.Duration"),
    }
}

pub(super) fn dynamic<'a>(args: &[Value<'a>], _: &mut Meter) -> Result<'a> {
    one(args).cloned()
}

pub(super) fn type_of<'a>(args: &[Value<'a>], _: &mut Meter) -> Result<'a> {
    Ok(Value::Type(Arc::new(one(args)?.type_of())))
}
