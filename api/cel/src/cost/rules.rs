//! What the rules of a schema cost together: a rule on an item runs once for every item.

use serde_json::Value;

use super::Range;
use super::limits::REQUEST_BYTES_MAX;

/// How often a place of a schema can occur in one object; nothing when a list or map above it has no bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cardinality(Option<u64>);

impl Cardinality {
    /// The root occurs once.
    pub const ROOT: Self = Self(Some(1));

    /// How often a property, item or value of a schema that occurs this often can occur.
    #[must_use]
    pub fn within(self, schema: &Value) -> Self {
        let bound = |key: &str| schema.get(key).map(|bound| bound.as_u64().unwrap_or(0));
        let elements = match schema.get("type").and_then(Value::as_str) {
            Some("array") => bound("maxItems"),
            Some("object") if schema.get("additionalProperties").is_some() => bound("maxProperties"),
            _ => Some(1),
        };
        Self(self.0.zip(elements).map(|(times, elements)| times.saturating_mul(elements)))
    }

    /// The highest cost of an expression at this place, over a whole object.
    ///
    /// Without a bound the place occurs as often as values of `min_size` bytes
    /// ([`crate::env::DeclType::min_size`]) fit into a request.
    #[must_use]
    pub fn cost(self, estimate: Range, min_size: u64) -> u64 {
        let times = self.0.unwrap_or_else(|| REQUEST_BYTES_MAX / min_size.saturating_add(1));
        estimate.max.saturating_mul(times)
    }
}

/// What to say about a cost above its limit; nothing about others. `name` is `estimated rule cost`,
/// `estimated messageExpression cost` or
/// `x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema`.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "a factor that a person reads")]
pub fn excess(name: &str, cost: u64, limit: u64) -> Option<String> {
    if cost <= limit {
        return None;
    }
    let times = cost as f64 / limit as f64;
    let factor = match () {
        // Such rules are quadratic at least: how bad they are without bounds means nothing.
        () if times > 100.0 => "more than 100x".to_owned(),
        // More digits, so as not to say that 1.0 times is too much.
        () if times < 1.5 => format!("{times:.6}x"),
        () => format!("{times:.1}x"),
    };
    Some(format!(
        "{name} exceeds budget by factor of {factor} (try simplifying the rule, or adding maxItems, maxProperties, and \
         maxLength where arrays, maps, and strings are declared)"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn bounds_multiply_down_the_schema() {
        let list = |max: u64| json!({"type": "array", "maxItems": max});
        let map = json!({"type": "object", "additionalProperties": {}, "maxProperties": 4});
        let object = json!({"type": "object"});
        let place = Cardinality::ROOT.within(&object).within(&list(5)).within(&map);
        assert_eq!(place.cost(Range::exactly(3), 2), 60);
        let unbounded = place.within(&json!({"type": "array"})).within(&list(5));
        assert_eq!(unbounded.cost(Range::exactly(3), 2), 3 * 1024 * 1024);
        assert_eq!(place.cost(Range::UNKNOWN, 2), u64::MAX);
    }

    #[test]
    fn an_excess_is_told_by_its_factor() {
        let factor = |cost| {
            let text = excess("estimated rule cost", cost, 1_000)?;
            Some(text.split_once("factor of ")?.1.split_once(" (")?.0.to_owned())
        };
        assert_eq!(factor(1_000), None);
        assert_eq!(factor(1_001).as_deref(), Some("1.001000x"));
        assert_eq!(factor(1_500).as_deref(), Some("1.5x"));
        assert_eq!(factor(2_340).as_deref(), Some("2.3x"));
        assert_eq!(factor(100_001).as_deref(), Some("more than 100x"));
    }
}
