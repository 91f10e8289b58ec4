//! `matches`, `find` and `findAll`: RE2 semantics, which are linear in time, with bounded programs.

use std::collections::VecDeque;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use regex::{Regex, RegexBuilder};

use super::{arguments, regex_syntax};
use crate::budget::Meter;
use crate::error::EvalError;
use crate::value::Value;

/// Memory of one compiled pattern: `\p{L}{1,253}` fits, a bomb of nested repetitions does not.
const PATTERN_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Nesting of groups within a pattern; upstream allows 1000, which nobody writes.
const PATTERN_DEPTH_MAX: u32 = 250;
/// Patterns that are not literals and are kept compiled; the rest compile again.
const CACHE_MAX: usize = 64;

/// A pattern with its compiled form.
type Cached = (Box<str>, Arc<Regex>);

static CACHE: LazyLock<Mutex<VecDeque<Cached>>> = LazyLock::new(Mutex::default);

/// Compiles a pattern in RE2's syntax.
///
/// # Errors
/// What is wrong with it, as far as Go's and Rust's words agree.
pub(crate) fn compile(pattern: &str) -> Result<Regex, String> {
    let built = RegexBuilder::new(&regex_syntax::translate(pattern))
        .size_limit(PATTERN_BYTES_MAX)
        .dfa_size_limit(PATTERN_BYTES_MAX)
        .nest_limit(PATTERN_DEPTH_MAX)
        .build();
    built.map_err(|error| format!("error parsing regexp: {}: `{pattern}`", reason(&error)))
}

/// What is wrong with a pattern; in Go's words where both have some.
fn reason(error: &regex::Error) -> String {
    if matches!(error, regex::Error::CompiledTooBig(_)) {
        return "expression too large".to_owned();
    }
    let text = error.to_string();
    let own = text.lines().last().unwrap_or_default().trim_start_matches("error: ");
    let go = match own {
        "unclosed group" => "missing closing )",
        "unopened group" => "unexpected )",
        "unclosed character class" => "missing closing ]",
        "repetition operator missing expression" => "missing argument to repetition operator",
        "incomplete escape sequence, reached end of pattern prematurely" => "trailing backslash at end of expression",
        "unrecognized escape sequence" => "invalid escape sequence",
        other => other,
    };
    go.to_owned()
}

fn cached(pattern: &str) -> Result<Arc<Regex>, String> {
    // a panic cannot leave the queue half-changed
    let mut cache = CACHE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, regex)) = cache.iter().find(|(known, _)| **known == *pattern) {
        return Ok(regex.clone());
    }
    drop(cache);
    let regex = Arc::new(compile(pattern)?);
    cache = CACHE.lock().unwrap_or_else(PoisonError::into_inner);
    if cache.len() >= CACHE_MAX {
        cache.pop_front();
    }
    cache.push_back((pattern.into(), regex.clone()));
    Ok(regex)
}

pub(super) fn matches<'a>(args: &[Value<'a>], _: &mut Meter) -> Result<Value<'a>, EvalError> {
    let [Value::String(_), Value::String(pattern)] = args else { return Err(EvalError::no_such_overload()) };
    let regex = cached(pattern).map_err(EvalError::new)?;
    matches_compiled(&regex, args)
}

/// `matches` with a pattern that was compiled with the program.
pub(crate) fn matches_compiled<'a>(regex: &Regex, args: &[Value<'a>]) -> Result<Value<'a>, EvalError> {
    match args {
        [Value::String(text), _] => Ok(Value::Bool(regex.is_match(text))),
        _ => Err(EvalError::no_such_overload()),
    }
}

fn illegal(error: String) -> EvalError {
    EvalError::new(format!("Illegal regex: {error}"))
}

pub(super) fn find<'a>(args: &[Value<'a>], _: &mut Meter) -> Result<Value<'a>, EvalError> {
    let [Value::String(_), Value::String(pattern)] = args else { return Err(arguments("find", args)) };
    find_compiled(&*cached(pattern).map_err(illegal)?, args)
}

pub(crate) fn find_compiled<'a>(regex: &Regex, args: &[Value<'a>]) -> Result<Value<'a>, EvalError> {
    let [Value::String(text), _] = args else { return Err(arguments("find", args)) };
    Ok(Value::string(regex.find(text).map_or("", |found| found.as_str())))
}

pub(super) fn find_all<'a>(args: &[Value<'a>], meter: &mut Meter) -> Result<Value<'a>, EvalError> {
    let [Value::String(_), Value::String(pattern), ..] = args else { return Err(arguments("findAll", args)) };
    find_all_compiled(&*cached(pattern).map_err(illegal)?, args, meter)
}

pub(crate) fn find_all_compiled<'a>(
    regex: &Regex,
    args: &[Value<'a>],
    meter: &mut Meter,
) -> Result<Value<'a>, EvalError> {
    let (text, limit) = match args {
        [Value::String(text), _] => (text, usize::MAX),
        [Value::String(text), _, Value::Int(limit)] => (text, usize::try_from(*limit).unwrap_or(usize::MAX)),
        _ => return Err(arguments("findAll", args)),
    };
    let mut found = Vec::new();
    for part in regex.find_iter(text).take(limit) {
        meter.allocate(part.len())?;
        meter.allocate_list(1)?;
        found.push(Value::string(part.as_str()));
    }
    Ok(Value::list(found))
}
