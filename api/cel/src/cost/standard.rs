//! Costs of the standard functions that run over text or lists.

use super::Range;
use super::estimator::{CallCost, Node};

/// Cost of looking at one character (`StringTraversalCostFactor`).
pub(super) const TRAVERSAL: f64 = 0.1;

/// Cost of one character of a pattern, for each character's worth of text (`RegexStringLengthCostFactor`).
pub(super) const PATTERN: f64 = 0.25;

/// Nothing for the functions that always cost 1.
pub(super) fn cost(overload: &str, target: Option<&Node<'_>>, args: &[Node<'_>]) -> Option<CallCost> {
    Some(match (overload, target, args) {
        ("string_format", Some(target), _) => CallCost::of(target.size().scaled(TRAVERSAL)),
        ("string_to_bytes", _, [text]) => {
            let size = text.size();
            let result = Range { min: size.min, max: size.max.saturating_mul(4) };
            CallCost::with_result(size.scaled(TRAVERSAL), result)
        }
        ("bytes_to_string", _, [bytes]) => {
            let size = bytes.size();
            CallCost::with_result(size.scaled(TRAVERSAL), Range { min: size.min / 4, max: size.max })
        }
        ("strings_quote", _, [text]) => {
            let size = text.size();
            let max = size.max.saturating_mul(2).saturating_add(2);
            CallCost::with_result(size.scaled(TRAVERSAL), Range { min: size.min.saturating_add(2), max })
        }
        ("starts_with_string" | "ends_with_string", _, [part]) => CallCost::of(part.size().scaled(TRAVERSAL)),
        ("in_list", _, [_, list]) => CallCost::of(list.size()),
        ("matches_string", Some(text), [pattern]) | ("matches", None, [text, pattern]) => {
            let text = text.size().plus(Range::ONE).scaled(TRAVERSAL);
            CallCost::of(text.times(pattern.size().scaled(PATTERN)))
        }
        ("contains_string", Some(text), [part]) => {
            CallCost::of(text.size().scaled(TRAVERSAL).times(part.size().scaled(TRAVERSAL)))
        }
        ("add_string" | "add_bytes", _, [left, right]) => {
            let size = left.size().plus(right.size());
            CallCost::with_result(size.scaled(TRAVERSAL), size)
        }
        ("add_list", _, [left, right]) => CallCost::with_result(Range::ONE, left.size().plus(right.size())),
        ("equals" | "not_equals", _, [left, right]) => CallCost::of(comparison(left, right)),
        (ordering, _, [left, right]) if compares_text(ordering) => CallCost::of(comparison(left, right)),
        _ => return None,
    })
}

fn compares_text(overload: &str) -> bool {
    let kinds = ["less_", "less_equals_", "greater_", "greater_equals_"];
    let rest = kinds.iter().rev().find_map(|kind| overload.strip_prefix(kind)).unwrap_or_default();
    matches!(rest, "string" | "bytes")
}

/// Stops at the end of the shorter side.
fn comparison(left: &Node<'_>, right: &Node<'_>) -> Range {
    let max = left.size().max.min(right.size().max);
    Range { min: u64::from(max > 0), max }.scaled(TRAVERSAL)
}
