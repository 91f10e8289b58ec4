//! One clause of `format`: a value as a string, a number in some base, or a list or map as a literal.

use std::fmt::Write;

use super::go;
use crate::budget::Meter;
use crate::error::EvalError;
use crate::value::Value;

/// Digits behind the point when the clause does not say.
const PRECISION: usize = 6;
/// Lists and maps nest at most this deep.
const DEPTH_MAX: usize = 128;

/// Writes `value` as the clause says.
pub(super) fn write(
    out: &mut String,
    clause: char,
    precision: Option<usize>,
    value: &Value<'_>,
    meter: &mut Meter,
) -> Result<(), EvalError> {
    let precision = precision.unwrap_or(PRECISION);
    let refuse = |what: &str| Err(EvalError::new(format!("{what}, was given {}", value.type_name())));
    let text = match (clause, value) {
        ('s', _) => return write_string(out, value, 0, meter),
        ('d', Value::Int(_) | Value::Uint(_)) => value.to_string(),
        ('d', Value::Double(double)) if !double.is_finite() => special(*double).to_owned(),
        ('d', _) => return refuse("decimal clause can only be used on integers"),
        ('f' | 'e', Value::String(text)) if matches!(&**text, "NaN" | "Infinity" | "-Infinity") => match &**text {
            "NaN" => "NaN".to_owned(),
            "Infinity" => "\u{221e}".to_owned(),
            _ => "-\u{221e}".to_owned(),
        },
        // what Go's message printer writes
        ('f' | 'e', Value::Double(double)) if !double.is_finite() => special(*double).to_owned(),
        ('f', Value::Double(double)) => grouped(&format!("{double:.precision$}")),
        ('e', Value::Double(double)) => scientific(*double, precision),
        ('f', _) => return refuse("fixed-point clause can only be used on doubles"),
        ('e', _) => return refuse("scientific clause can only be used on doubles"),
        ('b', Value::Bool(bit)) => u8::from(*bit).to_string(),
        ('x', Value::String(text)) => hex(text.as_bytes(), false),
        ('X', Value::String(text)) => hex(text.as_bytes(), true),
        ('x', Value::Bytes(bytes)) => hex(bytes, false),
        ('X', Value::Bytes(bytes)) => hex(bytes, true),
        ('b' | 'x' | 'X' | 'o', Value::Int(number)) => {
            let sign = if *number < 0 { "-" } else { "" };
            format!("{sign}{}", in_base(clause, number.unsigned_abs()))
        }
        ('b' | 'x' | 'X' | 'o', Value::Uint(number)) => in_base(clause, *number),
        ('b', _) => return refuse("only integers and bools can be formatted as binary"),
        ('x' | 'X', _) => return refuse("only integers, byte buffers, and strings can be formatted as hex"),
        _ => return refuse("octal clause can only be used on integers"),
    };
    meter.allocate(text.len())?;
    out.push_str(&text);
    Ok(())
}

fn special(double: f64) -> &'static str {
    if double.is_nan() {
        "NaN"
    } else if double > 0.0 {
        "\u{221e}"
    } else {
        "-\u{221e}"
    }
}

fn in_base(clause: char, number: u64) -> String {
    match clause {
        'b' => format!("{number:b}"),
        'x' => format!("{number:x}"),
        'X' => format!("{number:X}"),
        _ => format!("{number:o}"),
    }
}

fn hex(bytes: &[u8], upper: bool) -> String {
    let mut out = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // writing to a string cannot fail
        let _ = if upper { write!(out, "{byte:02X}") } else { write!(out, "{byte:02x}") };
    }
    out
}

/// The integer part in groups of three, as the locale en_US has it.
fn grouped(number: &str) -> String {
    let (sign, digits) = number.strip_prefix('-').map_or(("", number), |digits| ("-", digits));
    let (whole, fraction) = digits.split_once('.').map_or((digits, None), |(whole, fraction)| (whole, Some(fraction)));
    let mut out = String::with_capacity(number.len() + whole.len() / 3 + 1);
    out.push_str(sign);
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    if let Some(fraction) = fraction {
        out.push('.');
        out.push_str(fraction);
    }
    out
}

/// `1.052033 × 10⁰³`, as Go's printer writes exponents in the locale en_US.
fn scientific(double: f64, precision: usize) -> String {
    let text = go::format_e(double, precision);
    let Some((mantissa, exponent)) = text.split_once('e') else { return text };
    let mut out = format!("{mantissa}\u{202f}\u{d7}\u{202f}10");
    for digit in exponent.chars() {
        out.push(match digit {
            '-' => '\u{207b}',
            '+' => continue,
            '1' => '\u{b9}',
            '2' => '\u{b2}',
            '3' => '\u{b3}',
            other => char::from_u32(0x2070 + other.to_digit(10).unwrap_or(0)).unwrap_or(other),
        });
    }
    out
}

fn write_string(out: &mut String, value: &Value<'_>, depth: usize, meter: &mut Meter) -> Result<(), EvalError> {
    match value {
        Value::String(text) => {
            meter.allocate(text.len())?;
            out.push_str(text);
        }
        Value::Bytes(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => {
                meter.allocate(text.len())?;
                out.push_str(text);
            }
            Err(_) => return Err(EvalError::new("invalid UTF-8 in bytes, cannot convert to string")),
        },
        Value::Null
        | Value::Bool(_)
        | Value::Int(_)
        | Value::Uint(_)
        | Value::Double(_)
        | Value::Timestamp(_)
        | Value::Duration(_)
        | Value::Type(_) => out.push_str(&value.to_string()),
        other if other.as_list().is_some() || other.as_map().is_some() => {
            return write_literal(out, other, depth, meter);
        }
        other => {
            return Err(EvalError::new(format!(
                "string clause can only be used on strings, bools, bytes, ints, doubles, maps, lists, types, durations, \
                 and timestamps, was given {}",
                other.type_name()
            )));
        }
    }
    Ok(())
}

/// A value within a list or map: as a literal of the language.
fn write_literal(out: &mut String, value: &Value<'_>, depth: usize, meter: &mut Meter) -> Result<(), EvalError> {
    if depth > DEPTH_MAX {
        return Err(EvalError::cost_limit());
    }
    let start = out.len();
    match value {
        Value::String(text) => out.push_str(&go::quote(text)),
        Value::Bytes(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => {
                out.push('b');
                out.push_str(&go::quote(text));
            }
            Err(_) => return Err(EvalError::new("invalid UTF-8 in bytes, cannot convert to string")),
        },
        Value::Timestamp(at) => out.push_str(&format!("timestamp(\"{at}\")")),
        Value::Duration(span) => out.push_str(&format!("duration(\"{span}\")")),
        Value::Double(double) if double.is_finite() => out.push_str(&format!("{double:.PRECISION$}")),
        Value::Double(double) => out.push_str(if double.is_nan() {
            "\"NaN\""
        } else if *double > 0.0 {
            "\"+Inf\""
        } else {
            "\"-Inf\""
        }),
        other => {
            if let Some(list) = other.as_list() {
                out.push('[');
                for (index, item) in list.iter().enumerate() {
                    if index > 0 {
                        out.push_str(", ");
                    }
                    write_literal(out, &item?, depth + 1, meter)?;
                }
                out.push(']');
                return meter.allocate(2 * list.len());
            }
            if let Some(map) = other.as_map() {
                let mut entries = Vec::with_capacity(map.len());
                for key in map.keys() {
                    let mut entry = String::new();
                    write_literal(&mut entry, &key, depth + 1, meter)?;
                    entry.push(':');
                    let value = map.find(&key)?.unwrap_or(Value::Null);
                    write_literal(&mut entry, &value, depth + 1, meter)?;
                    entries.push(entry);
                }
                entries.sort();
                out.push('{');
                out.push_str(&entries.join(", "));
                out.push('}');
                return Ok(());
            }
            match other {
                Value::Null | Value::Bool(_) | Value::Int(_) | Value::Uint(_) | Value::Type(_) => {
                    out.push_str(&other.to_string());
                }
                _ => return Err(EvalError::new(format!("no formatting function for {}", other.type_name()))),
            }
        }
    }
    meter.allocate(out.len() - start)
}
