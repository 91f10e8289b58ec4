//! Functions of lists: Kubernetes' own and cel-go's lists extension (version 3).

use std::cmp::Ordering;

use super::{arguments, arithmetic, strings};
use crate::budget::Meter;
use crate::error::EvalError;
use crate::value::{ListView, Value, equal, order};

type Result<'a> = std::result::Result<Value<'a>, EvalError>;

/// Lists of lists flatten at most this deep at once.
const FLATTEN_DEPTH_MAX: i64 = 64;

fn list<'v, 'a: 'v>(name: &str, args: &'v [Value<'a>]) -> std::result::Result<ListView<'v, 'a>, EvalError> {
    args.first().and_then(Value::as_list).ok_or_else(|| arguments(name, args))
}

fn items<'a>(list: ListView<'_, 'a>, meter: &mut Meter) -> std::result::Result<Vec<Value<'a>>, EvalError> {
    meter.allocate_list(list.len())?;
    list.iter().collect()
}

pub(super) fn is_sorted<'a>(args: &[Value<'a>], _: &mut Meter) -> Result<'a> {
    let mut previous = None;
    for item in list("isSorted", args)?.iter() {
        let item = item?;
        if let Some(previous) = &previous
            && order(previous, &item)?.is_gt()
        {
            return Ok(Value::Bool(false));
        }
        previous = Some(item);
    }
    Ok(Value::Bool(true))
}

/// `list.sum()`; `zero` is what the sum of no elements is.
fn sum<'a>(args: &[Value<'a>], zero: Value<'a>, meter: &mut Meter) -> Result<'a> {
    let mut total = zero;
    for (index, item) in list("sum", args)?.iter().enumerate() {
        let item = item?;
        // of a dynamic list the first element says which zero it was
        total = if index == 0 && item.type_name() != total.type_name() {
            match item {
                Value::Int(_) | Value::Uint(_) | Value::Double(_) | Value::Duration(_) => item,
                _ => return Err(arguments("sum", args)),
            }
        } else {
            arithmetic::add(&[total, item], meter)?
        };
    }
    Ok(total)
}

macro_rules! sums {
    ($($function:ident => $zero:expr),* $(,)?) => {
        $(pub(super) fn $function<'a>(args: &[Value<'a>], meter: &mut Meter) -> Result<'a> {
            sum(args, $zero, meter)
        })*
    };
}

sums! {
    sum_int => Value::Int(0),
    sum_uint => Value::Uint(0),
    sum_double => Value::Double(0.0),
    sum_duration => Value::Duration(super::time::Duration(0)),
}

fn extreme<'a>(name: &'static str, args: &[Value<'a>], wanted: Ordering) -> Result<'a> {
    let mut best: Option<Value<'a>> = None;
    for item in list(name, args)?.iter() {
        let item = item?;
        let replaces = match &best {
            Some(best) => order(&item, best)? == wanted,
            None => true,
        };
        if replaces {
            best = Some(item);
        }
    }
    best.ok_or_else(|| EvalError::new(format!("{name} called on empty list")))
}

pub(super) fn min<'a>(args: &[Value<'a>], _: &mut Meter) -> Result<'a> {
    extreme("min", args, Ordering::Less)
}

pub(super) fn max<'a>(args: &[Value<'a>], _: &mut Meter) -> Result<'a> {
    extreme("max", args, Ordering::Greater)
}

/// Of strings and of lists.
pub(super) fn index_of<'a>(args: &[Value<'a>], _: &mut Meter) -> Result<'a> {
    match args {
        [Value::String(text), Value::String(part)] => strings::index_of(text, part, 0).map(Value::Int),
        [Value::String(text), Value::String(part), Value::Int(from)] => {
            strings::index_of(text, part, *from).map(Value::Int)
        }
        [_, wanted] => {
            for (index, item) in list("indexOf", args)?.iter().enumerate() {
                if equal(&item?, wanted).unwrap_or(false) {
                    return Ok(Value::Int(index as i64));
                }
            }
            Ok(Value::Int(-1))
        }
        _ => Err(arguments("indexOf", args)),
    }
}

/// Of strings and of lists.
pub(super) fn last_index_of<'a>(args: &[Value<'a>], _: &mut Meter) -> Result<'a> {
    match args {
        [Value::String(text), Value::String(part)] => strings::last_index_of(text, part, None).map(Value::Int),
        [Value::String(text), Value::String(part), Value::Int(from)] => {
            strings::last_index_of(text, part, Some(*from)).map(Value::Int)
        }
        [_, wanted] => {
            let list = list("lastIndexOf", args)?;
            for index in (0..list.len()).rev() {
                if equal(&list.get(index)?, wanted).unwrap_or(false) {
                    return Ok(Value::Int(index as i64));
                }
            }
            Ok(Value::Int(-1))
        }
        _ => Err(arguments("lastIndexOf", args)),
    }
}

pub(super) fn slice<'a>(args: &[Value<'a>], meter: &mut Meter) -> Result<'a> {
    let [_, Value::Int(start), Value::Int(end)] = args else { return Err(arguments("slice", args)) };
    let list = list("slice", args)?;
    let refuse = |why: String| Err(EvalError::new(format!("cannot slice({start}, {end}), {why}")));
    let (Ok(from), Ok(to)) = (usize::try_from(*start), usize::try_from(*end)) else {
        return refuse("negative indexes not supported".to_owned());
    };
    if from > to {
        return refuse("start index must be less than or equal to end index".to_owned());
    }
    if list.len() < to {
        return refuse(format!("list is length {}", list.len()));
    }
    meter.allocate_list(to - from)?;
    Ok(Value::list((from..to).map(|index| list.get(index)).collect::<std::result::Result<_, _>>()?))
}

pub(super) fn flatten<'a>(args: &[Value<'a>], meter: &mut Meter) -> Result<'a> {
    let depth = match args {
        [_] => 1,
        [_, Value::Int(depth)] if *depth < 0 => return Err(EvalError::new("level must be non-negative")),
        [_, Value::Int(depth)] => *depth,
        _ => return Err(arguments("flatten", args)),
    };
    let mut flat = Vec::new();
    flatten_into(&mut flat, list("flatten", args)?, depth.min(FLATTEN_DEPTH_MAX), meter)?;
    Ok(Value::list(flat))
}

fn flatten_into<'a>(
    flat: &mut Vec<Value<'a>>,
    list: ListView<'_, 'a>,
    depth: i64,
    meter: &mut Meter,
) -> std::result::Result<(), EvalError> {
    meter.allocate_list(list.len())?;
    for item in list.iter() {
        let item = item?;
        match item.as_list() {
            Some(inner) if depth > 0 => flatten_into(flat, inner, depth - 1, meter)?,
            _ => flat.push(item),
        }
    }
    Ok(())
}

/// Of strings and of lists.
pub(super) fn reverse<'a>(args: &[Value<'a>], meter: &mut Meter) -> Result<'a> {
    if let [Value::String(text)] = args {
        meter.allocate(text.len())?;
        return Ok(Value::from(text.chars().rev().collect::<String>()));
    }
    let mut items = items(list("reverse", args)?, meter)?;
    items.reverse();
    Ok(Value::list(items))
}

pub(super) fn distinct<'a>(args: &[Value<'a>], meter: &mut Meter) -> Result<'a> {
    let list = list("distinct", args)?;
    meter.allocate_list(list.len())?;
    let mut unique: Vec<Value<'a>> = Vec::new();
    for item in list.iter() {
        let item = item?;
        if !unique.iter().any(|known| equal(&item, known).unwrap_or(false)) {
            unique.push(item);
        }
    }
    Ok(Value::list(unique))
}

pub(super) fn sort<'a>(args: &[Value<'a>], meter: &mut Meter) -> Result<'a> {
    let items = items(list("sort", args)?, meter)?;
    sort_by_keys(items.clone(), &items)
}

/// `list.@sortByAssociatedKeys(keys)`, which `sortBy` makes.
pub(super) fn sort_by<'a>(args: &[Value<'a>], meter: &mut Meter) -> Result<'a> {
    let [_, keys] = args else { return Err(arguments("sortBy", args)) };
    let keys = keys.as_list().ok_or_else(|| arguments("sortBy", args))?;
    let (items, keys) = (items(list("sortBy", args)?, meter)?, items(keys, meter)?);
    if items.len() != keys.len() {
        return Err(EvalError::new(format!(
            "@sortByAssociatedKeys() expected a list of the same size as the associated keys list, \
             but got {} and {} elements respectively",
            items.len(),
            keys.len()
        )));
    }
    sort_by_keys(items, &keys)
}

fn sort_by_keys<'a>(items: Vec<Value<'a>>, keys: &[Value<'a>]) -> Result<'a> {
    let Some(first) = keys.first() else { return Ok(Value::list(items)) };
    if order(first, first).is_err() && !matches!(first, Value::Double(_)) {
        return Err(EvalError::new("list elements must be comparable"));
    }
    if keys.iter().any(|key| key.type_name() != first.type_name()) {
        return Err(EvalError::new("list elements must have the same type"));
    }
    let mut places: Vec<usize> = (0..items.len()).collect();
    // NaN sorts in front: the order must be total whatever the data
    places.sort_by(|a, b| order(&keys[*a], &keys[*b]).unwrap_or_else(|_| is_nan(&keys[*b]).cmp(&is_nan(&keys[*a]))));
    Ok(Value::list(places.into_iter().map(|place| items[place].clone()).collect()))
}

fn is_nan(value: &Value<'_>) -> bool {
    matches!(value, Value::Double(double) if double.is_nan())
}

/// `lists.range(n)`; refused before it is made when its cost would be.
pub(super) fn range<'a>(args: &[Value<'a>], meter: &mut Meter) -> Result<'a> {
    let [Value::Int(length)] = args else { return Err(arguments("lists.range", args)) };
    let length = (*length).max(0);
    if length as u64 > meter.left() {
        return Err(EvalError::cost_limit());
    }
    meter.allocate_list(length as usize)?;
    Ok(Value::list((0..length).map(Value::Int).collect()))
}
