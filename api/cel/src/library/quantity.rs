//! Kubernetes' quantities: `500m`, `1Gi`, `1e3`.

use std::cmp::Ordering;
use std::sync::Arc;

use super::arguments;
use crate::budget::Meter;
use crate::error::EvalError;
use crate::value::{Opaque, Value};

/// A decimal number: `mantissa * 10^scale`.
#[derive(Clone, Debug, PartialEq)]
pub struct Quantity {
    mantissa: i128,
    scale: i32,
    /// Upstream keeps it in 64 bits: only such a quantity can be an integer.
    is_small: bool,
}

const FORMAT_WRONG: &str =
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
const SUFFIX_WRONG: &str = "unable to parse quantity's suffix";
const NUMBER_WRONG: &str = "unable to parse numeric part of quantity";
/// Decimal digits that are sure to fit 64 bits.
const SMALL_DIGITS: i32 = 18;
/// The finest part that is kept: a nano.
const SCALE_MIN: i32 = -9;
/// Digits of an `i128` that leave room for sums.
const DIGITS_MAX: usize = 36;

impl Quantity {
    /// # Errors
    /// Upstream's words for text that is no quantity.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let (negative, unsigned) = match text.as_bytes().first() {
            None => return Err(FORMAT_WRONG),
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            Some(_) => (false, text),
        };
        let number_end = unsigned.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(unsigned.len());
        let (number, suffix) = unsigned.split_at(number_end);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if fraction.contains('.') || !is_suffix(suffix) {
            return Err(FORMAT_WRONG);
        }
        let (base_2, exponent) = suffix_value(suffix).ok_or(SUFFIX_WRONG)?;
        if whole.is_empty() && fraction.is_empty() {
            return Err(NUMBER_WRONG);
        }
        let whole = whole.trim_start_matches('0');
        let digits = whole.len().max(1) + fraction.len();
        if digits > DIGITS_MAX {
            return Self::parse_long(negative, whole, fraction, base_2, exponent);
        }
        let mut mantissa: i128 = format!("0{whole}{fraction}").parse().map_err(|_| NUMBER_WRONG)?;
        let mut scale = -(fraction.len() as i32);
        let is_short = if base_2 {
            fraction.is_empty() && (digits as i32) < 15 - exponent * 3 / 10
        } else {
            scale = scale.saturating_add(exponent);
            digits as i32 <= SMALL_DIGITS && scale >= SCALE_MIN
        };
        if base_2 {
            mantissa = mantissa.checked_mul(1 << exponent).ok_or(NUMBER_WRONG)?;
        }
        if !is_short {
            (mantissa, scale) = round_up(mantissa, scale);
            if base_2 && compare(mantissa, scale, i128::from(i64::MAX), 0).is_gt() {
                (mantissa, scale) = (i128::from(i64::MAX), 0);
            }
        }
        let mantissa = if negative { -mantissa } else { mantissa };
        Ok(Self { mantissa, scale, is_small: is_short && i64::try_from(mantissa).is_ok() })
    }

    /// More digits than fit: only the leading ones count.
    fn parse_long(
        negative: bool,
        whole: &str,
        fraction: &str,
        base_2: bool,
        exponent: i32,
    ) -> Result<Self, &'static str> {
        let all: String = format!("{whole}{fraction}").chars().take(DIGITS_MAX - 12).collect();
        let dropped = (whole.len() + fraction.len() - all.len()) as i32;
        let mantissa: i128 = all.parse().map_err(|_| NUMBER_WRONG)?;
        let scale = dropped - fraction.len() as i32;
        let (mantissa, scale) = match base_2 {
            false => round_up(mantissa, scale.saturating_add(exponent)),
            true if scale > 0 => (i128::from(i64::MAX), 0),
            true => round_up(mantissa.checked_mul(1 << exponent.min(30)).ok_or(NUMBER_WRONG)?, scale),
        };
        Ok(Self { mantissa: if negative { -mantissa } else { mantissa }, scale, is_small: false })
    }

    #[must_use]
    pub fn compare(&self, other: &Self) -> Ordering {
        compare(self.mantissa, self.scale, other.mantissa, other.scale)
    }

    /// The value as an integer, when upstream keeps it as one.
    #[must_use]
    pub fn as_int(&self) -> Option<i64> {
        if !self.is_small || self.scale < 0 {
            return None;
        }
        let factor = 10_i64.checked_pow(u32::try_from(self.scale).ok()?)?;
        i64::try_from(self.mantissa).ok()?.checked_mul(factor)
    }

    fn add(&self, other: &Self) -> Self {
        if self.mantissa == 0 {
            return other.clone();
        }
        if other.mantissa == 0 {
            return self.clone();
        }
        let scale = self.scale.min(other.scale);
        match (shift(self.mantissa, self.scale - scale), shift(other.mantissa, other.scale - scale)) {
            (Some(a), Some(b)) if a.checked_add(b).is_some() => {
                let mantissa = a + b;
                Self { mantissa, scale, is_small: self.is_small && other.is_small && i64::try_from(mantissa).is_ok() }
            }
            // so far apart that the smaller does not count
            _ => match self.magnitude() >= other.magnitude() {
                true => self.clone(),
                false => other.clone(),
            },
        }
    }

    fn negated(&self) -> Self {
        Self { mantissa: -self.mantissa, ..self.clone() }
    }

    fn magnitude(&self) -> i64 {
        magnitude(self.mantissa, self.scale)
    }
}

fn is_suffix(suffix: &str) -> bool {
    let letters_end = suffix.find(|c: char| !"eEinumkKMGTP".contains(c)).unwrap_or(suffix.len());
    let digits = suffix[letters_end..].strip_prefix(['-', '+']).unwrap_or_else(|| &suffix[letters_end..]);
    digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether the suffix is a power of two, and the exponent.
fn suffix_value(suffix: &str) -> Option<(bool, i32)> {
    Some(match suffix {
        "Ki" => (true, 10),
        "Mi" => (true, 20),
        "Gi" => (true, 30),
        "Ti" => (true, 40),
        "Pi" => (true, 50),
        "Ei" => (true, 60),
        "n" => (false, -9),
        "u" => (false, -6),
        "m" => (false, -3),
        "" => (false, 0),
        "k" => (false, 3),
        "M" => (false, 6),
        "G" => (false, 9),
        "T" => (false, 12),
        "P" => (false, 15),
        "E" => (false, 18),
        _ => {
            let exponent = suffix.strip_prefix(['e', 'E'])?;
            (false, exponent.parse().ok()?)
        }
    })
}

/// Cuts what is finer than a nano, away from zero.
fn round_up(mantissa: i128, scale: i32) -> (i128, i32) {
    if scale >= SCALE_MIN {
        return (mantissa, scale);
    }
    match 10_i128.checked_pow(SCALE_MIN.abs_diff(scale)) {
        Some(divisor) => (mantissa / divisor + i128::from(mantissa % divisor != 0), SCALE_MIN),
        None => (i128::from(mantissa != 0), SCALE_MIN),
    }
}

fn shift(mantissa: i128, by: i32) -> Option<i128> {
    mantissa.checked_mul(10_i128.checked_pow(u32::try_from(by).ok()?)?)
}

/// Place of the leading digit.
fn magnitude(mantissa: i128, scale: i32) -> i64 {
    mantissa.unsigned_abs().checked_ilog10().map_or(i64::MIN, |digits| i64::from(digits) + i64::from(scale))
}

fn compare(a: i128, a_scale: i32, b: i128, b_scale: i32) -> Ordering {
    let by_sign = a.signum().cmp(&b.signum());
    if by_sign.is_ne() || a == 0 {
        return by_sign;
    }
    let by_magnitude = magnitude(a, a_scale).cmp(&magnitude(b, b_scale));
    if by_magnitude.is_ne() {
        return if a > 0 { by_magnitude } else { by_magnitude.reverse() };
    }
    let scale = a_scale.min(b_scale);
    // the magnitudes are the same, so the shifted numbers have as many digits as the longer one
    match (shift(a, a_scale - scale), shift(b, b_scale - scale)) {
        (Some(a), Some(b)) => a.cmp(&b),
        _ => Ordering::Equal,
    }
}

fn quantity<'a>(quantity: Quantity) -> Value<'a> {
    Value::Opaque(Opaque::Quantity(Arc::new(quantity)))
}

pub(super) fn parse<'a>(args: &[Value<'a>], _: &mut Meter) -> Result<Value<'a>, EvalError> {
    match args {
        [Value::String(text)] => Quantity::parse(text).map(quantity).map_err(EvalError::new),
        _ => Err(arguments("quantity", args)),
    }
}

pub(super) fn is_quantity<'a>(args: &[Value<'a>], _: &mut Meter) -> Result<Value<'a>, EvalError> {
    match args {
        [Value::String(text)] => Ok(Value::Bool(Quantity::parse(text).is_ok())),
        _ => Err(arguments("isQuantity", args)),
    }
}

/// The functions of one quantity.
pub(super) fn unary<'a>(name: &'static str, args: &[Value<'a>]) -> Result<Value<'a>, EvalError> {
    let [Value::Opaque(Opaque::Quantity(own))] = args else { return Err(arguments(name, args)) };
    Ok(match name {
        "sign" => Value::Int(own.mantissa.signum() as i64),
        "isInteger" => Value::Bool(own.as_int().is_some()),
        "asInteger" => match own.as_int() {
            Some(value) => Value::Int(value),
            None => return Err(EvalError::new("cannot convert value to integer")),
        },
        _ => Value::Double(own.mantissa as f64 * 10_f64.powi(own.scale)),
    })
}

/// `add` and `sub`, of a quantity or an int.
pub(super) fn arithmetic<'a>(name: &'static str, args: &[Value<'a>]) -> Result<Value<'a>, EvalError> {
    let [Value::Opaque(Opaque::Quantity(own)), by] = args else { return Err(arguments(name, args)) };
    let by = match by {
        Value::Opaque(Opaque::Quantity(by)) => (**by).clone(),
        Value::Int(by) => Quantity { mantissa: i128::from(*by), scale: 0, is_small: true },
        _ => return Err(arguments(name, args)),
    };
    Ok(quantity(own.add(&if name == "sub" { by.negated() } else { by })))
}
