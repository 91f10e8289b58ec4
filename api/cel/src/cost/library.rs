//! Costs of the functions of Kubernetes' libraries (`apiserver/pkg/cel/library/cost.go`).

use super::estimator::{CallCost, Node};
use super::standard::{PATTERN, TRAVERSAL};
use super::{Range, SizeOracle, Step};
use crate::types::{Type, opaque};

/// An authorization check: two of them use up an expression's budget at run time.
const CHECK: u64 = 350_000;

/// A selector's cost: to make it, for each requirement, and how many requirements a character makes.
const SELECTOR_BASE: u64 = 10;
const SELECTOR_REQUIREMENT: f64 = 50.0;
const REQUIREMENTS_PER_CHARACTER: f64 = 0.5;

/// Longest pattern and longest name of a named format.
const FORMAT_PATTERN: f64 = 128.0;
const FORMAT_NAME: u64 = 64;

/// Bytes of an address.
const ADDRESS: Range = Range { min: 4, max: 16 };

pub(super) fn cost(
    sizes: &dyn SizeOracle,
    function: &str,
    overload: &str,
    target: Option<&Node<'_>>,
    args: &[Node<'_>],
) -> Option<CallCost> {
    let first = args.first();
    Some(match function {
        "check" => CallCost::of(Range::exactly(CHECK)),
        "serviceAccount"
        | "path"
        | "group"
        | "resource"
        | "subresource"
        | "namespace"
        | "name"
        | "allowed"
        | "reason"
        | "error"
        | "errored"
        | "masked"
        | "prefixLength"
        | "family"
        | "isUnspecified"
        | "isLoopback"
        | "isLinkLocalMulticast"
        | "isLinkLocalUnicast"
        | "isGlobalUnicast"
        | "format.named"
        | "sign"
        | "asInteger"
        | "isInteger"
        | "asApproximateFloat"
        | "isGreaterThan"
        | "isLessThan"
        | "compareTo"
        | "add"
        | "sub"
        | "major"
        | "minor"
        | "patch"
        | "getScheme"
        | "getHostname"
        | "getHost"
        | "getPort"
        | "getEscapedPath"
        | "getQuery" => CallCost::of(Range::ONE),
        "fieldSelector" | "labelSelector" => CallCost::of(selector(first?.size())),
        "isSorted" | "sum" | "max" | "min" | "indexOf" | "lastIndexOf" => CallCost::of(search(sizes, target?)),
        "url" | "jsonpatch.escapeKey" => {
            let size = first?.size();
            CallCost::with_result(size.scaled(TRAVERSAL), size)
        }
        "lowerAscii" | "upperAscii" | "substring" | "trim" => {
            let size = target?.size();
            CallCost::with_result(size.scaled(TRAVERSAL), size)
        }
        "replace" => replace(target?.size(), first?.size(), args.get(1)?.size()),
        "split" => {
            let size = target?.size();
            let max = args.get(1).and_then(Node::count).unwrap_or(size.max);
            CallCost::with_result(size.scaled(2.0 * TRAVERSAL), Range::up_to(max))
        }
        "join" => join(sizes, target?, first),
        "find" | "findAll" => {
            let size = target?.size();
            let text = size.plus(Range::ONE).scaled(TRAVERSAL);
            CallCost::with_result(text.times(first?.size().scaled(PATTERN)), Range::up_to(size.max))
        }
        "ip" if overload == "cidr_ip" => CallCost::of(Range::ONE),
        "ip" | "cidr" | "isIP" | "isCIDR" | "quantity" | "isQuantity" | "semver" | "isSemver" => {
            CallCost::of(first?.size().scaled(TRAVERSAL))
        }
        "ip.isCanonical" => CallCost::of(first?.size().scaled(2.0 * TRAVERSAL)),
        "containsIP" | "containsCIDR" => {
            let mut cost = ADDRESS.plus(ADDRESS).scaled(TRAVERSAL);
            if function == "containsCIDR" {
                cost = cost.plus(ADDRESS.scaled(TRAVERSAL)).plus(Range::ONE);
            }
            if matches!(overload, "cidr_contains_ip_string" | "cidr_contains_cidr_string") {
                cost = cost.plus(first?.size().scaled(TRAVERSAL));
            }
            CallCost::of(cost)
        }
        "validate" => CallCost::of(first?.size().scaled(TRAVERSAL).scaled(FORMAT_PATTERN * PATTERN)),
        "_==_" => return equality(args),
        _ => return None,
    })
}

fn selector(length: Range) -> Range {
    let requirements = length.scaled(REQUIREMENTS_PER_CHARACTER).scaled(SELECTOR_REQUIREMENT);
    Range::exactly(SELECTOR_BASE).plus(length.scaled(TRAVERSAL)).plus(requirements)
}

/// Looks at every element; text has to be read.
fn search(sizes: &dyn SizeOracle, list: &Node<'_>) -> Range {
    match list.of {
        Type::List(elem) => {
            let mut each = Range::ONE;
            if matches!(elem.as_ref(), Type::String | Type::Bytes) {
                each = each.plus(element(sizes, list).scaled(TRAVERSAL));
            }
            list.size().times(each)
        }
        // Also finds strings in strings.
        _ => list.size().scaled(TRAVERSAL),
    }
}

/// How large the elements of a list can be.
fn element(sizes: &dyn SizeOracle, list: &Node<'_>) -> Range {
    if list.path.is_empty() {
        return Range::UNKNOWN;
    }
    let mut path = list.path.clone();
    path.push(Step::Items);
    sizes.size(&path).unwrap_or(Range::UNKNOWN)
}

fn join(sizes: &dyn SizeOracle, list: &Node<'_>, separator: Option<&Node<'_>>) -> CallCost {
    let count = list.size();
    let mut size = match list.of {
        Type::List(_) => count.times(element(sizes, list)),
        _ => Range::ZERO,
    };
    if let Some(separator) = separator {
        let gaps = Range { min: count.min.saturating_sub(1), max: count.max.saturating_sub(1) };
        size = size.plus(separator.size().times(gaps));
    }
    CallCost::with_result(size.scaled(TRAVERSAL), size)
}

/// The result is smallest when the longest parts become the shortest, and largest the other way round.
fn replace(text: Range, from: Range, to: Range) -> CallCost {
    let (mut count, mut kept) = (Range::ZERO, Range::ZERO);
    // An empty pattern matches around every character; a shorter replacement makes nothing grow.
    if from.min == 0 {
        (count.max, kept.max) = (text.max.saturating_add(1), text.max);
    } else if to.max <= from.min {
        kept.max = text.max;
    } else {
        count.max = text.max.div_ceil(from.min);
    }
    if from.max == 0 {
        (count.min, kept.min) = (text.min.saturating_add(1), text.min);
    } else if from.max <= to.min {
        kept.min = text.min;
    } else {
        count.min = text.min.div_ceil(from.max);
    }
    CallCost::with_result(text.scaled(2.0 * TRAVERSAL), count.times(to).plus(kept))
}

/// Values of the libraries' types compare in no time, names of formats and URLs as text.
fn equality(args: &[Node<'_>]) -> Option<CallCost> {
    let [left, right] = args else { return None };
    let Type::Opaque(name) = left.of else { return None };
    if left.of != right.of {
        return None;
    }
    let max = match *name {
        opaque::FORMAT => FORMAT_NAME,
        opaque::URL => right.size().max,
        _ => return Some(CallCost::of(Range::ONE)),
    };
    Some(CallCost::of(Range { min: 1, max }.scaled(TRAVERSAL)))
}
