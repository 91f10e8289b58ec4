//! Amounts of resources that are added and compared: thousandths, told again in the family they were written in.

use std::collections::BTreeMap;
use std::fmt;

use crate::quantity::Quantity;
use serde_json::{Map, Value};

/// An amount.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amount {
    /// Thousandths.
    pub milli: i64,
    /// Told in Ki, Mi, Gi rather than in k, M, G.
    binary: bool,
}

/// Amounts by resource name.
pub type Amounts = BTreeMap<String, Amount>;

impl Amount {
    /// So many things.
    pub fn count(things: i64) -> Self {
        Self { milli: things.saturating_mul(1000), binary: false }
    }

    /// Reads a quantity; `None` for what is none.
    pub fn read(value: &Value) -> Option<Self> {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => return None,
        };
        let binary = text.ends_with('i');
        Some(Self { milli: Quantity(text).milli().ok()?, binary })
    }

    /// Adds; an empty sum takes the family of what comes first.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        let binary = if self.milli == 0 { other.binary } else { self.binary };
        Self { milli: self.milli.saturating_add(other.milli), binary }
    }

    /// Takes away; what is left may be negative.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        let binary = if self.milli == 0 { other.binary } else { self.binary };
        Self { milli: self.milli.saturating_sub(other.milli), binary }
    }
}

impl fmt::Display for Amount {
    /// The shortest form that loses nothing, as Kubernetes writes quantities.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.milli % 1000 != 0 {
            return write!(f, "{}m", self.milli);
        }
        let (base, suffixes): (i64, &[&str]) = if self.binary {
            (1024, &["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"])
        } else {
            (1000, &["", "k", "M", "G", "T", "P", "E"])
        };
        let mut units = self.milli / 1000;
        let mut suffix = 0;
        while units != 0 && units % base == 0 && suffix + 1 < suffixes.len() {
            units /= base;
            suffix += 1;
        }
        write!(f, "{units}{}", suffixes[suffix])
    }
}

/// The amounts of a map of quantities; what is no quantity is left out.
pub fn read_all(map: &Value) -> Amounts {
    let entries = map.as_object().into_iter().flatten();
    entries.filter_map(|(name, value)| Some((name.clone(), Amount::read(value)?))).collect()
}

/// The amounts as an object stores them.
pub fn to_json(amounts: &Amounts) -> Value {
    let map: Map<String, Value> =
        amounts.iter().map(|(name, amount)| (name.clone(), amount.to_string().into())).collect();
    Value::Object(map)
}

/// `count/widgets=1,requests.cpu=500m`.
pub fn told<'a>(amounts: impl IntoIterator<Item = (&'a String, &'a Amount)>) -> String {
    amounts.into_iter().map(|(name, amount)| format!("{name}={amount}")).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn amounts_are_told_in_the_family_they_were_written_in() {
        for (given, told) in [
            (json!("1024Mi"), "1Gi"),
            (json!("1000M"), "1G"),
            (json!("1500m"), "1500m"),
            (json!("2000m"), "2"),
            (json!("0.5"), "500m"),
            (json!(12), "12"),
            (json!("100Ki"), "100Ki"),
            (json!("0"), "0"),
        ] {
            assert_eq!(Amount::read(&given).unwrap().to_string(), told, "{given}");
        }
        assert_eq!(Amount::read(&json!("lots")), None);
        let sum = Amount::default().plus(Amount::read(&json!("64Mi")).unwrap());
        assert_eq!(sum.plus(sum).to_string(), "128Mi");
    }
}
