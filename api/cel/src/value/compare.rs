//! Equality, order and the addition of lists.
//!
//! Numbers compare across their types by value. Lists with `x-kubernetes-list-type` set or map compare without regard
//! to order and add up as unions, when such a list stands on the left.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::{ListKind, ListView, MapKey, MapView, Value};
use crate::budget::Meter;
use crate::error::EvalError;

/// `a == b`. Values of different types are different; NaN differs from itself.
pub(crate) fn equal<'a>(a: &Value<'a>, b: &Value<'a>) -> Result<bool, EvalError> {
    use Value::{
        Bool, Bytes, Double, Duration, Int, JsonUnknown, Null, Object, Opaque, Optional, String, Timestamp, Type, Uint,
    };
    Ok(match (a, b) {
        (Null, Null) => true,
        (Null, _) | (_, Null) => false,
        (Bool(a), Bool(b)) => a == b,
        (Int(a), Int(b)) => a == b,
        (Uint(a), Uint(b)) => a == b,
        (Double(a), Double(b)) => a == b,
        (Int(_) | Uint(_) | Double(_), Int(_) | Uint(_) | Double(_)) => order(a, b).is_ok_and(Ordering::is_eq),
        (String(a), String(b)) => **a == **b,
        (Bytes(a), Bytes(b)) => a == b,
        (Timestamp(a), Timestamp(b)) => a == b,
        (Duration(a), Duration(b)) => a == b,
        (Type(a), Type(b)) => a.runtime_name() == b.runtime_name(),
        (Optional(None), Optional(None)) => true,
        (Optional(Some(a)), Optional(Some(b))) => equal(a, b)?,
        (JsonUnknown(a), JsonUnknown(b)) => a == b,
        (JsonUnknown(data), other) | (other, JsonUnknown(data)) => other.to_json().is_ok_and(|json| json == **data),
        (Object(a), Object(b)) => {
            if a.type_name != b.type_name || a.fields.len() != b.fields.len() {
                return Ok(false);
            }
            for (name, value) in &a.fields {
                match b.fields.get(name) {
                    Some(other) if equal(value, other)? => {}
                    _ => return Ok(false),
                }
            }
            true
        }
        (Opaque(a), Opaque(b)) => return a.equal(b),
        _ => match (a.as_list(), b.as_list()) {
            (Some(a), Some(b)) => return equal_lists(a, b),
            _ => match (a.as_map(), b.as_map()) {
                (Some(a), Some(b)) => return equal_maps(a, b),
                _ => false,
            },
        },
    })
}

fn equal_lists<'a>(a: ListView<'_, 'a>, b: ListView<'_, 'a>) -> Result<bool, EvalError> {
    if a.len() != b.len() {
        return Ok(false);
    }
    match a.kind() {
        ListKind::Atomic => {
            for (left, right) in a.iter().zip(b.iter()) {
                if !equal(&left?, &right?)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        ListKind::Set => {
            let keys = |list: ListView<'_, 'a>| -> Result<Vec<SetKey<'a>>, EvalError> {
                let mut keys = list.iter().map(|item| SetKey::new(&item?)).collect::<Result<Vec<_>, _>>()?;
                keys.sort_unstable();
                keys.dedup();
                Ok(keys)
            };
            Ok(keys(a)? == keys(b)?)
        }
        ListKind::Map(names) => {
            let mut ours = BTreeMap::new();
            for item in a.iter() {
                let item = item?;
                ours.insert(map_list_key(&item, names), item);
            }
            let mut seen = 0;
            for item in b.iter() {
                let item = item?;
                match ours.get(&map_list_key(&item, names)) {
                    Some(own) if equal(own, &item)? => seen += 1,
                    _ => return Ok(false),
                }
            }
            Ok(seen == ours.len())
        }
    }
}

fn equal_maps<'a>(a: MapView<'_, 'a>, b: MapView<'_, 'a>) -> Result<bool, EvalError> {
    if a.len() != b.len() {
        return Ok(false);
    }
    if let (MapView::Json(ours, shape), MapView::Json(theirs, _)) = (a, b) {
        // fields that the schema does not declare are compared as data
        for (name, value) in ours {
            if shape.field(name).is_none() && theirs.get(name).is_some_and(|other| other != value) {
                return Ok(false);
            }
        }
    }
    for key in a.keys() {
        match (a.find(&key)?, b.find(&key)?) {
            (Some(left), Some(right)) if equal(&left, &right)? => {}
            (None, None) => {}
            _ => return Ok(false),
        }
    }
    Ok(true)
}

/// The order of two values of comparable types.
///
/// # Errors
/// NaN has no order; neither have values of different or unordered types.
pub(crate) fn order<'a>(a: &Value<'a>, b: &Value<'a>) -> Result<Ordering, EvalError> {
    use Value::{Bool, Bytes, Double, Duration, Int, String, Timestamp, Uint};
    Ok(match (a, b) {
        (Int(a), Int(b)) => a.cmp(b),
        (Uint(a), Uint(b)) => a.cmp(b),
        (Bool(a), Bool(b)) => a.cmp(b),
        (String(a), String(b)) => (**a).cmp(&**b),
        (Bytes(a), Bytes(b)) => a.cmp(b),
        (Timestamp(a), Timestamp(b)) => a.cmp(b),
        (Duration(a), Duration(b)) => a.cmp(b),
        (Int(a), Uint(b)) => i128::from(*a).cmp(&i128::from(*b)),
        (Uint(a), Int(b)) => i128::from(*a).cmp(&i128::from(*b)),
        (Double(a), Double(b)) => a.partial_cmp(b).ok_or_else(nan)?,
        (Double(a), Int(b)) => order_double(*a, i128::from(*b))?,
        (Double(a), Uint(b)) => order_double(*a, i128::from(*b))?,
        (Int(a), Double(b)) => order_double(*b, i128::from(*a))?.reverse(),
        (Uint(a), Double(b)) => order_double(*b, i128::from(*a))?.reverse(),
        _ => return Err(EvalError::no_such_overload()),
    })
}

fn nan() -> EvalError {
    EvalError::new("NaN values cannot be ordered")
}

fn order_double(double: f64, whole: i128) -> Result<Ordering, EvalError> {
    if double.is_nan() {
        return Err(nan());
    }
    // `as` saturates, so doubles beyond i128 (and infinities) compare right; 64-bit integers are far inside of it
    let floor = double.floor();
    Ok((floor as i128).cmp(&whole).then(if double > floor { Ordering::Greater } else { Ordering::Equal }))
}

/// `a + b` of lists, as the kind of `a` has it.
pub(crate) fn add_lists<'a>(a: &Value<'a>, b: &Value<'a>, meter: &mut Meter) -> Result<Value<'a>, EvalError> {
    let (Some(left), Some(right)) = (a.as_list(), b.as_list()) else { return Err(EvalError::no_such_overload()) };
    meter.allocate_list(left.len() + right.len())?;
    let mut items = Vec::with_capacity(left.len() + right.len());
    for item in left.iter() {
        items.push(item?);
    }
    match left.kind() {
        ListKind::Atomic => {
            for item in right.iter() {
                items.push(item?);
            }
            return Ok(Value::list(items));
        }
        ListKind::Set => {
            let mut known =
                items.iter().map(|item| Ok((SetKey::new(item)?, ()))).collect::<Result<BTreeMap<_, _>, _>>()?;
            for item in right.iter() {
                let item = item?;
                if known.insert(SetKey::new(&item)?, ()).is_none() {
                    items.push(item);
                }
            }
        }
        ListKind::Map(names) => {
            let mut places = BTreeMap::new();
            for (place, item) in items.iter().enumerate() {
                places.insert(map_list_key(item, names), place);
            }
            for item in right.iter() {
                let item = item?;
                // an element that comes twice on the right is appended twice, as upstream does
                match places.get(&map_list_key(&item, names)) {
                    Some(place) => items[*place] = item,
                    None => items.push(item),
                }
            }
        }
    }
    Ok(Value::KindedList(std::sync::Arc::new((items, left.kind().clone()))))
}

/// An element of a set list.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum SetKey<'a> {
    Null,
    Key(MapKey<'a>),
    Double(u64),
    Text(String),
}

impl<'a> SetKey<'a> {
    fn new(value: &Value<'a>) -> Result<Self, EvalError> {
        if value.as_list().is_some() || value.as_map().is_some() {
            return Err(EvalError::new("listSet operations are only supported on lists of scalar values"));
        }
        Ok(match value {
            Value::Null => Self::Null,
            Value::Double(double) => Self::Double(double.to_bits()),
            other => match MapKey::new(other) {
                Some(key) => Self::Key(key),
                None => Self::Text(format!("{}:{other}", other.type_name())),
            },
        })
    }
}

/// The values of the keys of an element of a map list.
fn map_list_key<'a>(item: &Value<'a>, names: &[Box<str>]) -> Vec<Option<SetKey<'a>>> {
    let field = |name: &str| -> Option<Value<'a>> {
        match item {
            Value::JsonMap(map, shape) => super::views::find_raw(map, shape, name).ok().flatten(),
            Value::Object(object) => object.get(&crate::escape::escape(name)?).ok(),
            other => other.as_map()?.find(&Value::string(&*crate::escape::escape(name)?)).ok().flatten(),
        }
    };
    names.iter().map(|name| field(name).and_then(|value| SetKey::new(&value).ok())).collect()
}
