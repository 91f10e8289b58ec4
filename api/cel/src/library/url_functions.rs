//! Kubernetes' URL library.

use std::sync::Arc;

use super::arguments;
use super::url::Url;
use crate::budget::Meter;
use crate::error::EvalError;
use crate::value::{Map, MapKey, Opaque, Str, Value};

pub(super) fn parse<'a>(args: &[Value<'a>], meter: &mut Meter) -> Result<Value<'a>, EvalError> {
    let [Value::String(text)] = args else { return Err(arguments("url", args)) };
    meter.allocate(2 * text.len())?;
    match Url::parse(text) {
        Ok(url) => Ok(Value::Opaque(Opaque::Url(Arc::new(url)))),
        Err(error) => Err(EvalError::new(format!("URL parse error during conversion from string: {error}"))),
    }
}

pub(super) fn is_url<'a>(args: &[Value<'a>], _: &mut Meter) -> Result<Value<'a>, EvalError> {
    let [Value::String(text)] = args else { return Err(arguments("isURL", args)) };
    Ok(Value::Bool(Url::parse(text).is_ok()))
}

/// `getHost()` and its like.
pub(super) fn part<'a>(name: &'static str, args: &[Value<'a>]) -> Result<Value<'a>, EvalError> {
    let [Value::Opaque(Opaque::Url(url))] = args else { return Err(arguments(name, args)) };
    Ok(match name {
        "getScheme" => Value::string(url.scheme.as_str()),
        "getHost" => Value::string(url.host.as_str()),
        "getHostname" => Value::string(url.hostname()),
        "getPort" => Value::string(url.port()),
        _ => Value::from(url.escaped_path()),
    })
}

pub(super) fn query<'a>(args: &[Value<'a>], _: &mut Meter) -> Result<Value<'a>, EvalError> {
    let [Value::Opaque(Opaque::Url(url))] = args else { return Err(arguments("getQuery", args)) };
    let mut values: Map<'a> = Map::new();
    for (name, value) in url.query() {
        let entry = values.entry(MapKey::String(Str::Owned(name.into()))).or_insert_with(|| Value::list(Vec::new()));
        if let Value::List(items) = entry {
            Arc::make_mut(items).push(Value::from(value));
        }
    }
    Ok(Value::Map(Arc::new(values)))
}
