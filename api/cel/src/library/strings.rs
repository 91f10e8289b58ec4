//! Functions of strings: the standard ones and cel-go's strings extension (version 2). Positions count characters.

use super::{arguments, go};
use crate::budget::Meter;
use crate::error::EvalError;
use crate::value::{Value, char_count};

type Result<'a> = std::result::Result<Value<'a>, EvalError>;

/// The text of `args[0]` when all arguments are strings.
macro_rules! texts {
    ($name:literal, $args:expr, $($part:ident),+) => {{
        let [$(Value::String($part)),+] = $args else { return Err(arguments($name, $args)) };
        ($(&**$part),+)
    }};
}

pub(super) fn contains<'a>(args: &[Value<'a>], _: &mut Meter) -> Result<'a> {
    let (text, part) = texts!("contains", args, text, part);
    Ok(Value::Bool(text.contains(part)))
}

pub(super) fn starts_with<'a>(args: &[Value<'a>], _: &mut Meter) -> Result<'a> {
    let (text, part) = texts!("startsWith", args, text, part);
    Ok(Value::Bool(text.starts_with(part)))
}

pub(super) fn ends_with<'a>(args: &[Value<'a>], _: &mut Meter) -> Result<'a> {
    let (text, part) = texts!("endsWith", args, text, part);
    Ok(Value::Bool(text.ends_with(part)))
}

fn out_of_range(index: i64) -> EvalError {
    EvalError::new(format!("index out of range: {index}"))
}

/// Byte offset of the character `index`; the length for the place behind the last one.
fn offset(text: &str, index: i64) -> std::result::Result<usize, EvalError> {
    let wanted = usize::try_from(index).map_err(|_| out_of_range(index))?;
    if text.is_ascii() {
        return if wanted <= text.len() { Ok(wanted) } else { Err(out_of_range(index)) };
    }
    text.char_indices().map(|(at, _)| at).chain([text.len()]).nth(wanted).ok_or_else(|| out_of_range(index))
}

pub(super) fn char_at<'a>(args: &[Value<'a>], _: &mut Meter) -> Result<'a> {
    let [Value::String(text), Value::Int(index)] = args else { return Err(arguments("charAt", args)) };
    let at = offset(text, *index)?;
    Ok(Value::from(text[at..].chars().next().map(String::from).unwrap_or_default()))
}

/// Position in characters of the first occurrence of `part` at or after `from`, or -1.
pub(super) fn index_of(text: &str, part: &str, from: i64) -> std::result::Result<i64, EvalError> {
    if from < 0 {
        return Err(out_of_range(from));
    }
    let length = char_count(text) as i64;
    if part.is_empty() {
        return Ok(from.min(length));
    }
    if from >= length {
        return Ok(-1);
    }
    let start = offset(text, from)?;
    Ok(text[start..].find(part).map_or(-1, |at| from + char_count(&text[start..start + at]) as i64))
}

/// Position in characters of the last occurrence of `part` that begins at or before `from`, or -1.
pub(super) fn last_index_of(text: &str, part: &str, from: Option<i64>) -> std::result::Result<i64, EvalError> {
    let length = char_count(text) as i64;
    if part.is_empty() {
        return match from {
            Some(from) if from < 0 => Err(out_of_range(from)),
            Some(from) => Ok(from.min(length)),
            None => Ok(length),
        };
    }
    let Some(from) = from else {
        return Ok(text.rfind(part).map_or(-1, |at| char_count(&text[..at]) as i64));
    };
    if from < 0 {
        return Err(out_of_range(from));
    }
    if from >= length {
        return Ok(-1);
    }
    let end = (offset(text, from)? + part.len()).min(text.len());
    // what begins by then ends by `end`, and with a whole character
    let end = (0..=end).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    Ok(text[..end].rfind(part).map_or(-1, |at| char_count(&text[..at]) as i64))
}

pub(super) fn lower_ascii<'a>(args: &[Value<'a>], meter: &mut Meter) -> Result<'a> {
    let [Value::String(text)] = args else { return Err(arguments("lowerAscii", args)) };
    meter.allocate(text.len())?;
    Ok(Value::from(text.to_ascii_lowercase()))
}

pub(super) fn upper_ascii<'a>(args: &[Value<'a>], meter: &mut Meter) -> Result<'a> {
    let [Value::String(text)] = args else { return Err(arguments("upperAscii", args)) };
    meter.allocate(text.len())?;
    Ok(Value::from(text.to_ascii_uppercase()))
}

pub(super) fn trim<'a>(args: &[Value<'a>], meter: &mut Meter) -> Result<'a> {
    let [Value::String(text)] = args else { return Err(arguments("trim", args)) };
    meter.allocate(text.len())?;
    Ok(Value::string(go::trim_space(text)))
}

pub(super) fn replace<'a>(args: &[Value<'a>], meter: &mut Meter) -> Result<'a> {
    let (text, old, new, limit) = match args {
        [Value::String(text), Value::String(old), Value::String(new)] => (text, old, new, -1),
        [Value::String(text), Value::String(old), Value::String(new), Value::Int(limit)] => (text, old, new, *limit),
        _ => return Err(arguments("replace", args)),
    };
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    // as many places as there can be
    let places = match text.len().checked_div(old.len()) {
        Some(places) => places,
        None => text.len() + 1,
    };
    let actual = if new.len() <= old.len() { 0 } else { text.matches(&**old).take(limit.min(places)).count() };
    meter.allocate(text.len().saturating_add(actual.saturating_mul(new.len())))?;
    Ok(Value::from(text.replacen(&**old, new, limit)))
}

pub(super) fn split<'a>(args: &[Value<'a>], meter: &mut Meter) -> Result<'a> {
    let (text, separator, limit) = match args {
        [Value::String(text), Value::String(separator)] => (text, separator, -1),
        [Value::String(text), Value::String(separator), Value::Int(limit)] => (text, separator, *limit),
        _ => return Err(arguments("split", args)),
    };
    if limit == 0 {
        return Ok(Value::list(Vec::new()));
    }
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    meter.allocate(text.len())?;
    let parts: Vec<&str> = if separator.is_empty() {
        let mut rest: &str = text;
        let mut parts = Vec::new();
        while let Some(first) = rest.chars().next() {
            if parts.len() + 1 == limit {
                break;
            }
            let (part, after) = rest.split_at(first.len_utf8());
            parts.push(part);
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(rest);
        }
        parts
    } else {
        text.splitn(limit, &**separator).collect()
    };
    meter.allocate_list(parts.len())?;
    Ok(Value::list(parts.into_iter().map(Value::string).collect()))
}

pub(super) fn substring<'a>(args: &[Value<'a>], meter: &mut Meter) -> Result<'a> {
    let (text, part) = match args {
        [Value::String(text), Value::Int(start)] => (text, &text[offset(text, *start)?..]),
        [Value::String(_), Value::Int(start), Value::Int(end)] if start > end => {
            return Err(EvalError::new(format!("invalid substring range. start: {start}, end: {end}")));
        }
        [Value::String(text), Value::Int(start), Value::Int(end)] => {
            (text, &text[offset(text, *start)?..offset(text, *end)?])
        }
        _ => return Err(arguments("substring", args)),
    };
    if part.len() == text.len() {
        return Ok(args[0].clone());
    }
    meter.allocate(part.len())?;
    Ok(Value::string(part))
}

/// `list.join(separator)`.
pub(super) fn join<'a>(args: &[Value<'a>], meter: &mut Meter) -> Result<'a> {
    let (list, separator) = match args {
        [list] => (list.as_list(), ""),
        [list, Value::String(separator)] => (list.as_list(), &**separator),
        _ => return Err(arguments("join", args)),
    };
    let list = list.ok_or_else(|| arguments("join", args))?;
    let mut joined = String::new();
    for (index, item) in list.iter().enumerate() {
        let item = item?;
        let Some(text) = item.as_str() else {
            return Err(EvalError::new(format!("join: invalid input: {item}")));
        };
        meter.allocate(text.len() + separator.len())?;
        if index > 0 {
            joined.push_str(separator);
        }
        joined.push_str(text);
    }
    Ok(Value::from(joined))
}

/// `strings.quote(text)`: as a literal of the language.
pub(super) fn quote<'a>(args: &[Value<'a>], meter: &mut Meter) -> Result<'a> {
    let [Value::String(text)] = args else { return Err(arguments("strings.quote", args)) };
    meter.allocate(2 * text.len() + 2)?;
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        match character {
            '\u{7}' => quoted.push_str("\\a"),
            '\u{8}' => quoted.push_str("\\b"),
            '\u{c}' => quoted.push_str("\\f"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\u{b}' => quoted.push_str("\\v"),
            '\\' => quoted.push_str("\\\\"),
            '"' => quoted.push_str("\\\""),
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    Ok(Value::from(quoted))
}

/// `jsonpatch.escapeKey(key)`: a key as a part of a JSON pointer.
pub(super) fn escape_key<'a>(args: &[Value<'a>], meter: &mut Meter) -> Result<'a> {
    let [Value::String(key)] = args else { return Err(arguments("jsonpatch.escapeKey", args)) };
    meter.allocate(2 * key.len())?;
    Ok(Value::from(key.replace('~', "~0").replace('/', "~1")))
}
