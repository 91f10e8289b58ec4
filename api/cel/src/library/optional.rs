//! Optional values. `or` and `orValue` evaluate lazily and are part of the evaluator.

use super::arguments;
use crate::budget::Meter;
use crate::error::EvalError;
use crate::library::time::Duration;
use crate::value::Value;

type Result<'a> = std::result::Result<Value<'a>, EvalError>;

pub(super) fn of<'a>(args: &[Value<'a>], _: &mut Meter) -> Result<'a> {
    match args {
        [value] => Ok(Value::some(value.clone())),
        _ => Err(arguments("optional.of", args)),
    }
}

pub(super) fn none<'a>(_: &[Value<'a>], _: &mut Meter) -> Result<'a> {
    Ok(Value::NONE)
}

pub(super) fn of_non_zero<'a>(args: &[Value<'a>], _: &mut Meter) -> Result<'a> {
    match args {
        [value] if is_zero(value) => Ok(Value::NONE),
        [value] => Ok(Value::some(value.clone())),
        _ => Err(arguments("optional.ofNonZeroValue", args)),
    }
}

fn is_zero(value: &Value<'_>) -> bool {
    match value {
        Value::Null | Value::Bool(false) | Value::Int(0) | Value::Uint(0) | Value::Duration(Duration(0)) => true,
        Value::Double(double) => *double == 0.0,
        Value::String(text) => text.is_empty(),
        Value::Bytes(bytes) => bytes.is_empty(),
        Value::Object(object) => object.fields.is_empty(),
        Value::Optional(value) => value.is_none(),
        other => {
            other.as_list().is_some_and(|list| list.is_empty()) || other.as_map().is_some_and(|map| map.is_empty())
        }
    }
}

pub(super) fn value<'a>(args: &[Value<'a>], _: &mut Meter) -> Result<'a> {
    match args {
        [Value::Optional(Some(value))] => Ok((**value).clone()),
        [Value::Optional(None)] => Err(EvalError::new("optional.none() dereference")),
        _ => Err(arguments("value", args)),
    }
}

pub(super) fn has_value<'a>(args: &[Value<'a>], _: &mut Meter) -> Result<'a> {
    match args {
        [Value::Optional(value)] => Ok(Value::Bool(value.is_some())),
        _ => Err(arguments("hasValue", args)),
    }
}

/// `list.first()` and `list.last()`.
fn end<'a>(name: &'static str, args: &[Value<'a>]) -> Result<'a> {
    let list = args.first().and_then(Value::as_list).ok_or_else(|| arguments(name, args))?;
    if list.is_empty() {
        return Ok(Value::NONE);
    }
    list.get(if name == "first" { 0 } else { list.len() - 1 }).map(Value::some)
}

pub(super) fn first<'a>(args: &[Value<'a>], _: &mut Meter) -> Result<'a> {
    end("first", args)
}

pub(super) fn last<'a>(args: &[Value<'a>], _: &mut Meter) -> Result<'a> {
    end("last", args)
}

/// `optional.unwrap(list)` and `list.unwrapOpt()`: the values that are there.
pub(super) fn unwrap<'a>(args: &[Value<'a>], meter: &mut Meter) -> Result<'a> {
    let list = args.first().and_then(Value::as_list).ok_or_else(|| arguments("unwrapOpt", args))?;
    meter.allocate_list(list.len())?;
    let mut present = Vec::new();
    for item in list.iter() {
        match item? {
            Value::Optional(Some(value)) => present.push((*value).clone()),
            Value::Optional(None) => {}
            other => {
                return Err(EvalError::new(format!("value {other} is not optional")));
            }
        }
    }
    Ok(Value::list(present))
}
