//! cel-go's sets extension: lists as sets.

use super::arguments;
use crate::budget::Meter;
use crate::error::EvalError;
use crate::value::{ListView, Value};

type Lists<'v, 'a> = (ListView<'v, 'a>, ListView<'v, 'a>);

fn lists<'v, 'a>(name: &str, args: &'v [Value<'a>]) -> Result<Lists<'v, 'a>, EvalError> {
    match args {
        [a, b] => a.as_list().zip(b.as_list()).ok_or_else(|| arguments(name, args)),
        _ => Err(arguments(name, args)),
    }
}

fn contains_all<'a>(list: ListView<'_, 'a>, sublist: ListView<'_, 'a>) -> Result<bool, EvalError> {
    for item in sublist.iter() {
        if !list.contains(&item?)? {
            return Ok(false);
        }
    }
    Ok(true)
}

pub(super) fn contains<'a>(args: &[Value<'a>], _: &mut Meter) -> Result<Value<'a>, EvalError> {
    let (list, sublist) = lists("sets.contains", args)?;
    contains_all(list, sublist).map(Value::Bool)
}

pub(super) fn equivalent<'a>(args: &[Value<'a>], _: &mut Meter) -> Result<Value<'a>, EvalError> {
    let (a, b) = lists("sets.equivalent", args)?;
    Ok(Value::Bool(contains_all(a, b)? && contains_all(b, a)?))
}

pub(super) fn intersects<'a>(args: &[Value<'a>], _: &mut Meter) -> Result<Value<'a>, EvalError> {
    let (a, b) = lists("sets.intersects", args)?;
    for item in a.iter() {
        if b.contains(&item?).unwrap_or(false) {
            return Ok(Value::Bool(true));
        }
    }
    Ok(Value::Bool(false))
}
