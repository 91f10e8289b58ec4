//! What a call costs: cel-go's cost tracker with Kubernetes' costs of its libraries.

use crate::value::{Opaque, Value};

/// How the cost of a call is found. Costs that depend on arguments alone are charged before the call, so that an
/// expensive one is refused instead of measured.
#[derive(Clone, Copy, Debug)]
pub(crate) enum CallCost {
    Fixed(u64),
    Before(fn(&[Value<'_>]) -> u64),
    After(fn(&[Value<'_>], &Value<'_>) -> u64),
}

/// The cost of an authorization check: two are affordable in an expression.
const CHECK: u64 = 350_000;
const LIST_CREATION: u64 = 10;
const STRUCT_CREATION: u64 = 40;

/// The cost of calling `function`; `overload` is empty when several may apply.
pub(crate) fn of_call(function: &str, overload: &str) -> CallCost {
    if let Some(cost) = of_overload(overload) {
        return cost;
    }
    match function {
        "check" => CallCost::Fixed(CHECK),
        "fieldSelector" | "labelSelector" => CallCost::Before(selector),
        "isSorted" | "sum" | "max" | "min" | "indexOf" | "lastIndexOf" => {
            CallCost::Before(|args| args.first().map_or(0, |value| traversal(value, 0)))
        }
        "url"
        | "lowerAscii"
        | "upperAscii"
        | "substring"
        | "trim"
        | "jsonpatch.escapeKey"
        | "cidr"
        | "isIP"
        | "isCIDR"
        | "quantity"
        | "isQuantity"
        | "semver"
        | "isSemver" => CallCost::Before(|args| tenth(size(args, 0))),
        "ip" if overload != "cidr_ip" => CallCost::Before(|args| tenth(size(args, 0))),
        "replace" | "split" | "ip.isCanonical" => CallCost::Before(|args| tenth(size(args, 0).saturating_mul(2))),
        "join" => CallCost::After(|_, result| tenth(result.size().saturating_mul(2))),
        "find" | "findAll" => CallCost::Before(regex),
        "containsIP" if overload == "cidr_contains_ip_string" => {
            CallCost::Before(|args| tenth(2 * size(args, 0)) + tenth(size(args, 1)))
        }
        "containsIP" => CallCost::Before(|args| tenth(2 * size(args, 0))),
        "containsCIDR" if overload == "cidr_contains_cidr_string" => {
            CallCost::Before(|args| tenth(2 * size(args, 0)) + tenth(size(args, 0)) + 1 + tenth(size(args, 1)))
        }
        "containsCIDR" => CallCost::Before(|args| tenth(2 * size(args, 0)) + tenth(size(args, 0)) + 1),
        "validate" => CallCost::Before(validate),
        _ => of_standard(overload),
    }
}

/// The extensions of lists and sets bring their own costs.
fn of_overload(overload: &str) -> Option<CallCost> {
    Some(match overload {
        "list_slice" | "lists_range" | "list_reverse" => CallCost::After(|_, result| list_call(1.0, result.size())),
        "list_flatten" => CallCost::Before(|args| list_call(1.0, size(args, 0))),
        "list_flatten_int" => CallCost::Before(|args| {
            let depth = args.get(1).and_then(Value::as_int).unwrap_or(1);
            list_call(depth as f64, size(args, 0))
        }),
        "list_distinct" => CallCost::Before(|args| self_compare(args.first())),
        "list_sets_contains_list" | "list_sets_intersects_list" => {
            CallCost::Before(|args| 1 + size(args, 0).saturating_mul(size(args, 1)))
        }
        "list_sets_equivalent_list" => {
            CallCost::Before(|args| 1 + size(args, 0).saturating_mul(size(args, 1)).saturating_mul(2))
        }
        other if other.starts_with("list_") && other.ends_with("_sort") => {
            CallCost::Before(|args| self_compare(args.first()))
        }
        other if other.ends_with("_sortByAssociatedKeys") => CallCost::Before(|args| self_compare(args.get(1))),
        _ => return None,
    })
}

fn of_standard(overload: &str) -> CallCost {
    match overload {
        "starts_with_string" | "ends_with_string" | "string_to_bytes" | "bytes_to_string" | "strings_quote"
        | "string_format" => CallCost::Before(|args| tenth(size(args, 0))),
        "in_list" => CallCost::Before(|args| size(args, 1)),
        "less_string"
        | "greater_string"
        | "less_equals_string"
        | "greater_equals_string"
        | "less_bytes"
        | "greater_bytes"
        | "less_equals_bytes"
        | "greater_equals_bytes" => CallCost::Before(|args| tenth(size(args, 0).min(size(args, 1)))),
        "add_string" | "add_bytes" => CallCost::Before(|args| tenth(size(args, 0).saturating_add(size(args, 1)))),
        "matches" | "matches_string" => CallCost::Before(regex),
        "contains_string" => CallCost::Before(|args| tenth(size(args, 0)).saturating_mul(tenth(size(args, 1)))),
        _ => CallCost::Fixed(1),
    }
}

/// The cost of `==` (of `!=` when `negated`).
pub(crate) fn of_equality(a: &Value<'_>, b: &Value<'_>, negated: bool) -> u64 {
    match a {
        Value::Int(_) | Value::Bool(_) | Value::Double(_) => tenth(b.size().min(1)),
        Value::Opaque(_) if !negated => 1,
        _ => tenth(a.size().min(b.size())),
    }
}

fn size(args: &[Value<'_>], index: usize) -> u64 {
    args.get(index).map_or(0, Value::size)
}

/// The cost of looking at a character.
const CHARACTER: f64 = 0.1;

/// A tenth, rounded up; in floats, so that roundings are upstream's.
fn tenth(size: u64) -> u64 {
    (size as f64 * CHARACTER).ceil() as u64
}

fn regex(args: &[Value<'_>]) -> u64 {
    regex_cost(size(args, 0), size(args, 1))
}

pub(crate) fn regex_cost(text: u64, pattern: u64) -> u64 {
    tenth(text.saturating_add(1)).saturating_mul(pattern.div_ceil(4))
}

fn validate(args: &[Value<'_>]) -> u64 {
    match args.first() {
        Some(Value::Opaque(Opaque::Format(format))) => regex_cost(size(args, 1), format.pattern_size),
        _ => 1,
    }
}

fn selector(args: &[Value<'_>]) -> u64 {
    let length = size(args, 1);
    let requirements = length.div_ceil(2).saturating_mul(LIST_CREATION + STRUCT_CREATION);
    LIST_CREATION.saturating_add(tenth(length)).saturating_add(requirements)
}

/// A call that makes a list: the dispatch, the list, and what its elements cost.
fn list_call(factor: f64, size: u64) -> u64 {
    // saturates at the bounds, and a negative depth is refused by the function itself
    ((size as f64 * factor) as u64).saturating_add(1 + LIST_CREATION)
}

/// Every element against every other.
fn self_compare(list: Option<&Value<'_>>) -> u64 {
    let Some(list) = list.and_then(Value::as_list) else { return 1 };
    let size = list.len() as u64;
    let factor = match list.get(0) {
        Ok(Value::String(_) | Value::Bytes(_)) => 2.1,
        _ => 2.0,
    };
    list_call(factor, size.saturating_mul(size))
}

/// Values nest at most this deep, as far as costs look.
const DEPTH_MAX: usize = 128;

/// The cost of going through a value once.
fn traversal(value: &Value<'_>, depth: usize) -> u64 {
    if depth > DEPTH_MAX {
        return u64::MAX / 4;
    }
    match value {
        Value::String(text) => (text.len() as f64 * CHARACTER) as u64,
        Value::Bytes(bytes) => (bytes.len() as f64 * CHARACTER) as u64,
        other => {
            if let Some(list) = other.as_list() {
                let item_cost = |item: Result<Value<'_>, _>| item.map_or(1, |item| traversal(&item, depth + 1));
                return list.iter().fold(0, |sum: u64, item| sum.saturating_add(item_cost(item)));
            }
            let Some(map) = other.as_map() else { return 1 };
            map.keys().fold(0, |sum: u64, key| {
                let value = map.find(&key).ok().flatten().map_or(1, |value| traversal(&value, depth + 1));
                sum.saturating_add(traversal(&key, depth + 1)).saturating_add(value)
            })
        }
    }
}
