//! `text.format(list)`: cel-go's strings extension, version 2.

use super::{arguments, format_clause};
use crate::budget::Meter;
use crate::error::EvalError;
use crate::value::Value;

/// Digits that a clause may ask for behind the point. Go would write as many as it is told.
const PRECISION_MAX: usize = 1_000;

pub(super) fn format<'a>(args: &[Value<'a>], meter: &mut Meter) -> Result<Value<'a>, EvalError> {
    let [Value::String(pattern), list] = args else { return Err(arguments("format", args)) };
    let list = list.as_list().ok_or_else(|| arguments("format", args))?;
    let mut out = String::with_capacity(pattern.len());
    let mut rest: &str = pattern;
    let mut next = 0;
    while let Some(at) = rest.find('%') {
        meter.allocate(at)?;
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('%') {
            out.push('%');
            rest = after;
            continue;
        }
        if next >= list.len() {
            return Err(EvalError::new(format!("index {next} out of range")));
        }
        let value = list.get(next)?;
        next += 1;
        if rest.is_empty() {
            return Err(EvalError::new("unexpected end of string"));
        }
        let (precision, clause, after) = parse_clause(rest)
            .map_err(|error| EvalError::new(format!("could not parse formatting clause: {error}")))?;
        let start = out.len();
        format_clause::write(&mut out, clause, precision, &value, meter).map_err(|error| {
            if error.is_fatal() { error } else { EvalError::new(format!("error during formatting: {error}")) }
        })?;
        meter.allocate(out.len() - start)?;
        rest = after;
    }
    meter.allocate(rest.len())?;
    out.push_str(rest);
    Ok(Value::from(out))
}

/// The precision, the letter, and what follows.
fn parse_clause(rest: &str) -> Result<(Option<usize>, char, &str), String> {
    let (precision, rest) = match rest.strip_prefix('.') {
        None => (None, rest),
        Some(digits) => {
            let Some(end) = digits.find(|c: char| !c.is_ascii_digit()) else {
                return Err("error while parsing precision: could not find end of precision specifier".to_owned());
            };
            let number = &digits[..end];
            let precision: usize = number.parse().map_err(|_| {
                format!(
                    "error while parsing precision: error while converting precision to integer: \
                     strconv.Atoi: parsing {number:?}: invalid syntax"
                )
            })?;
            if precision > PRECISION_MAX {
                return Err(format!(
                    "error while parsing precision: precision {precision} exceeds maximum allowed precision {PRECISION_MAX}"
                ));
            }
            (Some(precision), &digits[end..])
        }
    };
    let Some(clause) = rest.chars().next() else { return Err("unexpected end of string".to_owned()) };
    match clause {
        's' | 'd' | 'f' | 'e' | 'b' | 'x' | 'X' | 'o' => Ok((precision, clause, &rest[1..])),
        other => Err(format!("unrecognized formatting clause \"{other}\"")),
    }
}
