//! Costs of cel-go's list and set extensions.

use super::Range;
use super::estimator::{CallCost, MAKE_LIST, Node};
use super::standard::TRAVERSAL;

pub(super) fn cost(overload: &str, target: Option<&Node<'_>>, args: &[Node<'_>]) -> Option<CallCost> {
    Some(match (overload, target, args) {
        ("list_slice", Some(list), [start, end]) => {
            let end = end.count().unwrap_or_else(|| list.size().max);
            makes_list(1.0, Range::exactly(end.saturating_sub(start.count().unwrap_or(0))))
        }
        ("list_flatten", Some(list), []) => makes_list(1.0, list.size()),
        ("list_flatten_int", Some(list), [depth]) => {
            let depth = depth.count().unwrap_or(u64::MAX);
            let size = list.size();
            CallCost::with_result(size.times(Range::exactly(depth)).plus(Range::exactly(1 + MAKE_LIST)), size)
        }
        ("lists_range", None, [count]) => makes_list(1.0, Range::exactly(count.count().unwrap_or(u64::MAX))),
        ("list_reverse", Some(list), []) => makes_list(1.0, list.size()),
        ("list_distinct", Some(list), []) => makes_list(2.0, list.size().times(list.size())),
        ("list_sets_contains_list" | "list_sets_intersects_list", _, [left, right]) => {
            CallCost::of(left.size().times(right.size()).plus(Range::ONE))
        }
        // Looks into both lists.
        ("list_sets_equivalent_list", _, [left, right]) => {
            CallCost::of(left.size().times(right.size()).scaled(2.0).plus(Range::ONE))
        }
        (sort, Some(list), []) if sort.ends_with("_sort") => sorts(sort, list),
        (sort, Some(_), [keys]) if sort.ends_with("_sortByAssociatedKeys") => sorts(sort, keys),
        _ => return None,
    })
}

/// Sorting compares everything with everything, twice.
fn sorts(overload: &str, list: &Node<'_>) -> CallCost {
    let text = overload.starts_with("list_string_") || overload.starts_with("list_bytes_");
    let factor = if text { 2.0 + TRAVERSAL } else { 2.0 };
    makes_list(factor, list.size().times(list.size()))
}

fn makes_list(factor: f64, size: Range) -> CallCost {
    CallCost::with_result(size.scaled(factor).plus(Range::exactly(1 + MAKE_LIST)), size)
}
