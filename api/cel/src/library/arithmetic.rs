//! Operators on numbers, strings, lists and times; `size`.

use std::cmp::Ordering;

use super::{arguments, time};
use crate::budget::Meter;
use crate::error::EvalError;
use crate::value::{Value, add_lists, char_count, order};

type Result<'a> = std::result::Result<Value<'a>, EvalError>;

fn int<'a>(value: Option<i64>) -> Result<'a> {
    value.map(Value::Int).ok_or_else(|| EvalError::new("integer overflow"))
}

fn uint<'a>(value: Option<u64>) -> Result<'a> {
    value.map(Value::Uint).ok_or_else(|| EvalError::new("unsigned integer overflow"))
}

pub(crate) fn add<'a>(args: &[Value<'a>], meter: &mut Meter) -> Result<'a> {
    let [a, b] = args else { return Err(EvalError::no_such_overload()) };
    match (a, b) {
        (Value::Int(a), Value::Int(b)) => int(a.checked_add(*b)),
        (Value::Uint(a), Value::Uint(b)) => uint(a.checked_add(*b)),
        (Value::Double(a), Value::Double(b)) => Ok(Value::Double(a + b)),
        (Value::String(a), Value::String(b)) => {
            meter.allocate(a.len() + b.len())?;
            let mut joined = String::with_capacity(a.len() + b.len());
            joined.push_str(a);
            joined.push_str(b);
            Ok(Value::from(joined))
        }
        (Value::Bytes(a), Value::Bytes(b)) => {
            meter.allocate(a.len() + b.len())?;
            Ok(Value::Bytes([&**a, &**b].concat().into()))
        }
        _ => match time::add(a, b) {
            Some(sum) => sum,
            None => add_lists(a, b, meter),
        },
    }
}

pub(super) fn subtract<'a>(args: &[Value<'a>], _: &mut Meter) -> Result<'a> {
    match args {
        [Value::Int(a), Value::Int(b)] => int(a.checked_sub(*b)),
        [Value::Uint(a), Value::Uint(b)] => uint(a.checked_sub(*b)),
        [Value::Double(a), Value::Double(b)] => Ok(Value::Double(a - b)),
        [a, b] => time::subtract(a, b).unwrap_or_else(|| Err(EvalError::no_such_overload())),
        _ => Err(EvalError::no_such_overload()),
    }
}

pub(super) fn multiply<'a>(args: &[Value<'a>], _: &mut Meter) -> Result<'a> {
    match args {
        [Value::Int(a), Value::Int(b)] => int(a.checked_mul(*b)),
        [Value::Uint(a), Value::Uint(b)] => uint(a.checked_mul(*b)),
        [Value::Double(a), Value::Double(b)] => Ok(Value::Double(a * b)),
        _ => Err(EvalError::no_such_overload()),
    }
}

pub(super) fn divide<'a>(args: &[Value<'a>], _: &mut Meter) -> Result<'a> {
    match args {
        [Value::Int(_), Value::Int(0)] | [Value::Uint(_), Value::Uint(0)] => Err(EvalError::new("division by zero")),
        [Value::Int(a), Value::Int(b)] => int(a.checked_div(*b)),
        [Value::Uint(a), Value::Uint(b)] => uint(a.checked_div(*b)),
        [Value::Double(a), Value::Double(b)] => Ok(Value::Double(a / b)),
        _ => Err(EvalError::no_such_overload()),
    }
}

pub(super) fn modulo<'a>(args: &[Value<'a>], _: &mut Meter) -> Result<'a> {
    match args {
        [Value::Int(_), Value::Int(0)] | [Value::Uint(_), Value::Uint(0)] => Err(EvalError::new("modulus by zero")),
        [Value::Int(a), Value::Int(b)] => int(a.checked_rem(*b)),
        [Value::Uint(a), Value::Uint(b)] => uint(a.checked_rem(*b)),
        _ => Err(EvalError::no_such_overload()),
    }
}

pub(super) fn negate<'a>(args: &[Value<'a>], _: &mut Meter) -> Result<'a> {
    match args {
        [Value::Int(value)] => int(value.checked_neg()),
        [Value::Double(value)] => Ok(Value::Double(-value)),
        [Value::Duration(value)] => time::duration(value.0.checked_neg()),
        _ => Err(EvalError::no_such_overload()),
    }
}

pub(super) fn not<'a>(args: &[Value<'a>], _: &mut Meter) -> Result<'a> {
    match args {
        [Value::Bool(value)] => Ok(Value::Bool(!value)),
        _ => Err(EvalError::no_such_overload()),
    }
}

fn compare<'a>(args: &[Value<'a>], wanted: fn(Ordering) -> bool) -> Result<'a> {
    match args {
        [a, b] => order(a, b).map(|order| Value::Bool(wanted(order))),
        _ => Err(EvalError::no_such_overload()),
    }
}

pub(super) fn less<'a>(args: &[Value<'a>], _: &mut Meter) -> Result<'a> {
    compare(args, Ordering::is_lt)
}

pub(super) fn less_equals<'a>(args: &[Value<'a>], _: &mut Meter) -> Result<'a> {
    compare(args, Ordering::is_le)
}

pub(super) fn greater<'a>(args: &[Value<'a>], _: &mut Meter) -> Result<'a> {
    compare(args, Ordering::is_gt)
}

pub(super) fn greater_equals<'a>(args: &[Value<'a>], _: &mut Meter) -> Result<'a> {
    compare(args, Ordering::is_ge)
}

/// `element in list` and `key in map`.
pub(super) fn contained<'a>(args: &[Value<'a>], _: &mut Meter) -> Result<'a> {
    let [element, container] = args else { return Err(EvalError::no_such_overload()) };
    if let Some(list) = container.as_list() {
        return list.contains(element).map(Value::Bool);
    }
    match container.as_map() {
        Some(map) => Ok(Value::Bool(map.find(element)?.is_some())),
        None => Err(EvalError::no_such_overload()),
    }
}

pub(super) fn size<'a>(args: &[Value<'a>], _: &mut Meter) -> Result<'a> {
    let [value] = args else { return Err(arguments("size", args)) };
    let size = match value {
        Value::String(text) => char_count(text),
        Value::Bytes(bytes) => bytes.len() as u64,
        other => match (other.as_list(), other.as_map()) {
            (Some(list), _) => list.len() as u64,
            (_, Some(map)) => map.len() as u64,
            _ => return Err(arguments("size", args)),
        },
    };
    Ok(Value::Int(i64::try_from(size).unwrap_or(i64::MAX)))
}

/// `cel.@mapInsert(map, key, value)` and `cel.@mapInsert(map, map)`.
pub(crate) fn map_insert<'a>(args: &[Value<'a>], meter: &mut Meter) -> Result<'a> {
    use crate::value::MapKey;
    let mut map = match args.first() {
        Some(Value::Map(map)) => (**map).clone(),
        Some(other) => {
            let mut copy = crate::value::Map::new();
            let view = other.as_map().ok_or_else(EvalError::no_such_overload)?;
            for key in view.keys() {
                if let (Some(value), Some(key)) = (view.find(&key)?, MapKey::new(&key)) {
                    copy.insert(key, value);
                }
            }
            copy
        }
        None => return Err(EvalError::no_such_overload()),
    };
    meter.allocate_list(2 * (map.len() + 1))?;
    match &args[1..] {
        [key, value] => insert(&mut map, key, value.clone())?,
        [entries] => {
            let view = entries.as_map().ok_or_else(EvalError::no_such_overload)?;
            for key in view.keys() {
                if let Some(value) = view.find(&key)? {
                    insert(&mut map, &key, value)?;
                }
            }
        }
        _ => return Err(EvalError::no_such_overload()),
    }
    Ok(Value::Map(std::sync::Arc::new(map)))
}

/// Adds an entry whose key must be new.
pub(crate) fn insert<'a>(
    map: &mut crate::value::Map<'a>,
    key: &Value<'a>,
    value: Value<'a>,
) -> std::result::Result<(), EvalError> {
    let entry = crate::value::MapKey::new(key).ok_or_else(|| EvalError::new("unsupported key type"))?;
    if map.contains_key(&entry) {
        return Err(EvalError::new(format!("insert failed: key {key} already exists")));
    }
    map.insert(entry, value);
    Ok(())
}
