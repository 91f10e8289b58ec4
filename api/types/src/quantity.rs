//! Resource quantities, written as Kubernetes writes them: `500m`, `1.5`, `256Mi`, `2e3`.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};

/// An amount of a resource, kept as it was written.
///
/// JSON numbers are accepted and kept as text. Arithmetic uses [`Quantity::milli`]: thousandths, the precision
/// that Mesos keeps for scalars; smaller parts round up, as Kubernetes does when it needs an integer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Quantity(pub String);

/// Why a text is not a quantity.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "quantity {text:?} must be a number with an optional suffix (n u m k M G T P E, Ki Mi Gi Ti Pi Ei, or an exponent such as e3)"
)]
pub struct QuantityError {
    text: String,
}

impl Quantity {
    /// Whole units.
    pub fn from_units(units: i64) -> Self {
        Self(units.to_string())
    }

    /// Thousandths of a unit, in the shortest form (`1500` is `1500m`, `2000` is `2`).
    pub fn from_milli(milli: i64) -> Self {
        if milli % 1000 == 0 { Self((milli / 1000).to_string()) } else { Self(format!("{milli}m")) }
    }

    /// Bytes, in the largest binary suffix that loses nothing.
    pub fn from_bytes(bytes: i64) -> Self {
        for (suffix, factor) in [("Ti", 1i64 << 40), ("Gi", 1 << 30), ("Mi", 1 << 20), ("Ki", 1 << 10)] {
            if bytes != 0 && bytes % factor == 0 {
                return Self(format!("{}{suffix}", bytes / factor));
            }
        }
        Self(bytes.to_string())
    }

    /// The amount in thousandths, rounded away from zero; saturates at the ends of `i64`.
    ///
    /// # Errors
    /// When the text is not a quantity.
    pub fn milli(&self) -> Result<i64, QuantityError> {
        let nanos = nanos(&self.0).ok_or_else(|| QuantityError { text: self.0.clone() })?;
        Ok(clamp(div_away(nanos, 1_000_000)))
    }

    /// The amount in billionths of a unit: exact for everything that has no smaller parts.
    ///
    /// # Errors
    /// When the text is not a quantity.
    pub fn nanos(&self) -> Result<i128, QuantityError> {
        nanos(&self.0).ok_or_else(|| QuantityError { text: self.0.clone() })
    }

    /// The form that Kubernetes stores: the largest suffix that leaves a whole number, of the same family as the one
    /// that was given (`0.5` is `500m`, `1024Ki` is `1Mi`, `1000m` is `1`).
    ///
    /// # Errors
    /// When the text is not a quantity.
    pub fn canonical(&self) -> Result<String, QuantityError> {
        const NANO: i128 = 1_000_000_000;
        let nanos = self.nanos()?;
        if nanos == 0 {
            return Ok("0".to_owned());
        }
        let binary = self.0.ends_with('i') && nanos % NANO == 0 && nanos.abs() >= 1024 * NANO;
        if binary {
            let mut units = nanos / NANO;
            let mut suffix = 0;
            while units % 1024 == 0 && suffix < 6 {
                units /= 1024;
                suffix += 1;
            }
            return Ok(format!("{units}{}", ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"][suffix]));
        }
        let exponent = !self.0.ends_with(['E', 'e', 'i']) && self.0.contains(['E', 'e']);
        let (mut amount, mut power) = (nanos, -3i32);
        while amount % 1000 == 0 && power < 6 {
            amount /= 1000;
            power += 1;
        }
        if exponent && power != 0 {
            return Ok(format!("{amount}e{}", power * 3));
        }
        let suffix = ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"][(power + 3) as usize];
        Ok(format!("{amount}{suffix}"))
    }

    /// The amount in whole units, rounded away from zero; saturates at the ends of `i64`.
    ///
    /// # Errors
    /// When the text is not a quantity.
    pub fn units(&self) -> Result<i64, QuantityError> {
        let nanos = nanos(&self.0).ok_or_else(|| QuantityError { text: self.0.clone() })?;
        Ok(clamp(div_away(nanos, 1_000_000_000)))
    }
}

fn clamp(value: i128) -> i64 {
    value.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64
}

fn div_away(value: i128, by: i128) -> i128 {
    let quotient = value / by;
    if value % by == 0 { quotient } else { quotient + value.signum() }
}

/// Parses to billionths. `None` for anything that is not a quantity.
fn nanos(text: &str) -> Option<i128> {
    const NANO: i128 = 1_000_000_000;
    /// Kubernetes' largest amount: what is above is it.
    const LARGEST: i128 = i64::MAX as i128 * NANO;
    let (negative, rest) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let digits_end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
    let (number, suffix) = rest.split_at(digits_end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.contains('.') || whole.len() + fraction.len() > 36 {
        return None;
    }
    let (multiply, divide): (i128, i128) = match suffix {
        "" => (1, 1),
        "n" => (1, 1_000_000_000),
        "u" => (1, 1_000_000),
        "m" => (1, 1_000),
        "k" => (1_000, 1),
        "M" => (1_000_000, 1),
        "G" => (1_000_000_000, 1),
        "T" => (1_000_000_000_000, 1),
        "P" => (1_000_000_000_000_000, 1),
        "E" => (1_000_000_000_000_000_000, 1),
        "Ki" => (1 << 10, 1),
        "Mi" => (1 << 20, 1),
        "Gi" => (1 << 30, 1),
        "Ti" => (1 << 40, 1),
        "Pi" => (1 << 50, 1),
        "Ei" => (1 << 60, 1),
        exponent => {
            let power: i32 = exponent.strip_prefix(['e', 'E'])?.parse().ok()?;
            if !(-18..=18).contains(&power) {
                return None;
            }
            let scale = 10i128.pow(power.unsigned_abs());
            if power < 0 { (1, scale) } else { (scale, 1) }
        }
    };
    let mut digits: i128 = 0;
    for c in whole.bytes().chain(fraction.bytes()) {
        digits = digits.checked_mul(10)?.checked_add(i128::from(c - b'0'))?;
    }
    // Multiplying first keeps precision. Where that overflows, the last places of the fraction are below what counts;
    // without a fraction the amount is beyond the largest.
    let mut places = fraction.len() as u32;
    let scaled = loop {
        match digits.checked_mul(multiply).and_then(|v| v.checked_mul(NANO)) {
            Some(scaled) => break scaled,
            None if places == 0 => return Some(if negative { -LARGEST } else { LARGEST }),
            None => (digits, places) = (div_away(digits, 10), places - 1),
        }
    };
    let value = div_away(scaled, 10i128.checked_pow(places)?.checked_mul(divide)?).min(LARGEST);
    Some(if negative { -value } else { value })
}

impl FromStr for Quantity {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        let quantity = Self(text.trim().to_owned());
        quantity.milli().map(|_| quantity)
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&str> for Quantity {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Quantity;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a quantity such as 500m or 256Mi")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Quantity, E> {
                Ok(Quantity(text.to_owned()))
            }

            fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Quantity, E> {
                Ok(Quantity(value.to_string()))
            }

            fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Quantity, E> {
                Ok(Quantity(value.to_string()))
            }

            fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Quantity, E> {
                Ok(Quantity(value.to_string()))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for Quantity {
    fn schema_name() -> Cow<'static, str> {
        "Quantity".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "An amount with an optional suffix: 500m (thousandths), 1.5, 256Mi (binary), 2G (decimal).",
            "x-kubernetes-int-or-string": true,
            "pattern": r"^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))))?$",
        })
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn quantities_have_one_canonical_form() {
        for (given, canonical) in [
            ("0.5", "500m"),
            ("1000m", "1"),
            ("1024Ki", "1Mi"),
            ("1.5Gi", "1536Mi"),
            ("1500", "1500"),
            ("12000", "12k"),
            ("1e3", "1e3"),
            ("0", "0"),
            ("-2", "-2"),
            ("512Ki", "512Ki"),
            ("0.5Ki", "512"),
            ("1n", "1n"),
        ] {
            assert_eq!(super::Quantity(given.to_owned()).canonical().unwrap(), canonical, "{given}");
        }
        assert!(super::Quantity("1x".to_owned()).canonical().is_err());
    }

    use super::*;

    #[track_caller]
    fn milli(text: &str) -> Option<i64> {
        Quantity::from(text).milli().ok()
    }

    #[test]
    fn suffixes_mean_what_kubernetes_says() {
        assert_eq!(milli("500m"), Some(500));
        assert_eq!(milli("1.5"), Some(1500));
        assert_eq!(milli("0.0001"), Some(1));
        assert_eq!(milli("2e3"), Some(2_000_000));
        assert_eq!(milli("1Ki"), Some(1_024_000));
        assert_eq!(Quantity::from("256Mi").units(), Ok(268_435_456));
        assert_eq!(Quantity::from("100E").units(), Ok(i64::MAX));
        assert_eq!(milli("-1"), Some(-1000));
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "abc", "1.2.3", "1ki", "m", "1 Mi", "--1", ".", "1e99", "0x10"] {
            assert_eq!(milli(text), None, "{text}");
        }
    }

    #[test]
    fn shortest_forms() {
        assert_eq!(Quantity::from_milli(2000).0, "2");
        assert_eq!(Quantity::from_milli(1500).0, "1500m");
        assert_eq!(Quantity::from_bytes(268_435_456).0, "256Mi");
        assert_eq!(Quantity::from_bytes(1000).0, "1000");
    }

    #[test]
    fn numbers_in_json_are_taken() {
        assert_eq!(serde_json::from_str::<Quantity>("2").unwrap(), Quantity::from("2"));
        assert_eq!(serde_json::from_str::<Quantity>("0.5").unwrap().milli(), Ok(500));
    }

    #[test]
    fn many_places_after_the_point_lose_nothing_that_counts() {
        let nanos = |text: &str| Quantity(text.to_owned()).nanos().unwrap();
        assert_eq!(nanos("1.00000000000000000000000000000000000Gi"), nanos("1Gi"));
        assert_eq!(nanos("-1.50000000000000000000000000000000000Ei"), nanos("-1536Pi"));
        let largest = Quantity("999999999999999999Ei".to_owned());
        assert_eq!(largest.units(), Ok(i64::MAX));
        assert_eq!(Quantity(largest.canonical().unwrap()).nanos(), largest.nanos());
        assert_eq!(Quantity("1.1Ki".to_owned()).canonical().as_deref(), Ok("1126400m"));
    }
}
