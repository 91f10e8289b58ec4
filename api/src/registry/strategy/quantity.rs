//! Amounts of resources in the standard kinds: how they are written, and how two of them compare.

use berth_types::quantity::Quantity;
use serde_json::{Map, Value};

use super::checks::entries;

/// Writes the quantities of a map as Kubernetes stores them: numbers become texts.
pub(super) fn normalize(amounts: &mut Value) {
    let Some(amounts) = amounts.as_object_mut() else { return };
    for amount in amounts.values_mut() {
        if amount.is_number() {
            *amount = Value::String(amount.to_string());
        }
        if let Some(canonical) = amount.as_str().and_then(|text| Quantity(text.to_owned()).canonical().ok()) {
            *amount = Value::String(canonical);
        }
    }
}

/// Billionths of an amount.
pub(super) fn nanos(amount: &Value) -> Option<i128> {
    Quantity(amount.as_str()?.to_owned()).nanos().ok()
}

/// Entries of a map that are no quantities, with why.
pub(super) fn broken(amounts: &Value) -> impl Iterator<Item = (&String, &Value)> {
    entries(amounts).filter(|(_, amount)| nanos(amount).is_none())
}

/// Fills in what `from` has and `into` has not.
pub(super) fn fill_from(item: &mut Map<String, Value>, into: &str, from: &str) {
    let Some(given) = item.get(from).and_then(Value::as_object).filter(|given| !given.is_empty()).cloned() else {
        return;
    };
    let slot = item.entry(into).or_insert_with(|| Value::Object(Map::new()));
    if slot.is_null() {
        *slot = Value::Object(Map::new());
    }
    if let Value::Object(amounts) = slot {
        for (name, amount) in given {
            amounts.entry(name).or_insert(amount);
        }
    }
}
