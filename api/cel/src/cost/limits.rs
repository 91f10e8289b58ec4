//! The limits on cost, and the sizes that values can have when a schema sets no bound.
//!
//! A request body is at most [`REQUEST_BYTES_MAX`], so no list can have more items than fit into it: upstream's
//! `apiserver/pkg/cel/common/schemas.go` derives its bounds in the same way.

/// Highest estimate for one rule (`StaticEstimatedCostLimit`).
pub const RULE_COST_MAX: u64 = 10_000_000;

/// Highest estimate for all the rules of a custom resource definition (`StaticEstimatedCRDCostLimit`).
pub const DEFINITION_COST_MAX: u64 = 100_000_000;

/// Largest request body, in bytes.
pub const REQUEST_BYTES_MAX: u64 = 3 * 1024 * 1024;

/// Smallest JSON text of a value of each kind, in bytes.
pub const MIN_BOOL: u64 = 4;
pub const MIN_NUMBER: u64 = 1;
/// Two quotes.
pub const MIN_STRING: u64 = 2;
/// `[]`, `{}`.
pub const MIN_COLLECTION: u64 = 2;
/// A date and a time in quotes.
pub const MIN_TIMESTAMP: u64 = 21;
/// `"0"`.
pub const MIN_DURATION: u64 = 3;

/// Longest string of one request, in characters: everything but its quotes.
pub const LARGEST_REQUEST_STRING: u64 = REQUEST_BYTES_MAX - 2;

/// Size of a `date` (`"2026-11-22"`), and the longest `date-time` and duration, quotes included.
pub const DATE: u64 = 12;
pub const MAX_TIMESTAMP: u64 = 32;
pub const MAX_DURATION: u64 = 32;

/// Most items of a list whose elements take at least this many bytes: each also has a comma.
#[must_use]
pub fn unbounded_list(min_elem: u64) -> u64 {
    (REQUEST_BYTES_MAX - 2) / min_elem.saturating_add(1)
}

/// Most properties of an object whose values take at least this many bytes: each also has a key of
/// two characters in quotes, a colon and a comma.
#[must_use]
pub fn unbounded_map(min_value: u64) -> u64 {
    (REQUEST_BYTES_MAX - 2) / min_value.saturating_add(6)
}
