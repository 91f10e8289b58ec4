//! The rules on single values: enum, bounds, lengths, patterns, formats, and combinations of schemas.

use serde_json::Value;

use super::format::Format;
use super::node::{Bound, Checks, Type};
use super::validate::Walk;
use crate::error::{CauseReason, FieldError, Path, quote};

/// How messages of the validator begin: the path and a space, nothing at the root.
pub(super) fn subject(path: &Path<'_>) -> String {
    if path.is_root() { String::new() } else { format!("{path} ") }
}

pub(super) fn check(walk: &mut Walk, checks: &Checks, ty: Type, value: &Value, path: &Path<'_>, depth: usize) {
    if !checks.allowed.is_empty() && !checks.allowed.contains(value) {
        walk.push(FieldError::not_supported(path.to_string(), value, &checks.allowed));
    }
    let mut broken = |value: &Value, rule: String| {
        let message = format!("{}in body {rule}", subject(path));
        walk.push(FieldError::invalid(path.to_string(), value, &message));
    };
    match value {
        Value::String(text) => check_text(walk, checks, ty, text, value, path),
        Value::Number(number) => {
            let float = number.as_f64().unwrap_or(f64::NAN);
            if let Some(bound) = checks.minimum.filter(|b| float < b.value || (b.exclusive && float == b.value)) {
                broken(value, format!("should be greater than {}{}", or_equal(bound), number_text(bound.value)));
            }
            if let Some(bound) = checks.maximum.filter(|b| float > b.value || (b.exclusive && float == b.value)) {
                broken(value, format!("should be less than {}{}", or_equal(bound), number_text(bound.value)));
            }
            if let Some(step) = checks.multiple_of.filter(|step| (float / step).fract() != 0.0) {
                broken(value, format!("should be a multiple of {}", number_text(step)));
            }
            // The programs that read the object hold 32 bits: refuse here what they could not read.
            if checks.format == Some(Format::Int32) {
                if float > f64::from(i32::MAX) {
                    broken(value, format!("should be less than or equal to {}", i32::MAX));
                } else if float < f64::from(i32::MIN) {
                    broken(value, format!("should be greater than or equal to {}", i32::MIN));
                }
            }
        }
        Value::Array(list) => {
            let count = list.len() as u64;
            if let Some(max) = checks.item_count.max.filter(|max| count > *max) {
                walk.push(FieldError::too_many(path.to_string(), count, max));
            }
            if let Some(min) = checks.item_count.min.filter(|min| count < *min) {
                let message = format!("{}in body should have at least {min} items", subject(path));
                walk.push(FieldError::invalid(path.to_string(), &Value::from(count), &message));
            }
        }
        Value::Object(map) => {
            let count = map.len() as u64;
            if let Some(max) = checks.property_count.max.filter(|max| count > *max) {
                walk.push(FieldError::too_many(path.to_string(), count, max));
            }
            if let Some(min) = checks.property_count.min.filter(|min| count < *min) {
                let message = format!("{}in body should have at least {min} properties", subject(path));
                walk.push(FieldError::invalid(path.to_string(), value, &message));
            }
        }
        Value::Bool(_) | Value::Null => {}
    }
    check_combinations(walk, checks, value, path, depth);
}

fn check_text(walk: &mut Walk, checks: &Checks, ty: Type, text: &str, value: &Value, path: &Path<'_>) {
    let mut broken = |rule: String| {
        let message = format!("{}in body {rule}", subject(path));
        walk.push(FieldError::invalid(path.to_string(), value, &message));
    };
    if let Some(min) = checks.length.min.filter(|min| (text.chars().count() as u64) < *min) {
        broken(format!("should be at least {min} chars long"));
    }
    if let Some(pattern) = checks.pattern.as_ref().filter(|p| !p.is_match(text)) {
        broken(format!("should match '{}'", pattern.as_str()));
    }
    // A character is at most four bytes: most texts need no counting.
    let is_longer = |max: u64| text.len() as u64 > max && text.chars().count() as u64 > max;
    if let Some(max) = checks.length.max.filter(|max| is_longer(*max)) {
        walk.push(FieldError::too_long(path.to_string(), max));
    }
    // Formats of int-or-string speak of the integer.
    if let Some(format) = checks.format.filter(|f| ty != Type::IntOrString && !f.accepts(text)) {
        let message = format!("{}in body must be of type {}: {}", subject(path), format.name(), quote(text));
        walk.push(FieldError::type_invalid(path.to_string(), value, &message));
    }
}

fn or_equal(bound: Bound) -> &'static str {
    if bound.exclusive { "" } else { "or equal to " }
}

/// Whole bounds print without a fraction.
fn number_text(value: f64) -> String {
    if value.fract() == 0.0 && value.abs() < 1e15 { format!("{}", value as i64) } else { format!("{value}") }
}

fn check_combinations(walk: &mut Walk, checks: &Checks, value: &Value, path: &Path<'_>, depth: usize) {
    let at = path.text();
    let whole = |walk: &mut Walk, message: String| {
        // Kubernetes blames the object and names the place in the text only; the place helps people more.
        let field = path.to_string();
        walk.push(FieldError {
            field,
            reason: CauseReason::Invalid,
            detail: format!("Invalid value: \"\": {message}"),
        });
    };
    if !checks.any_of.is_empty() {
        let mut best: Option<(Vec<FieldError>, usize)> = None;
        let mut passed = false;
        for node in &checks.any_of {
            let tried = walk.attempt(node, value, path, depth + 1);
            if tried.0.is_empty() {
                passed = true;
                break;
            }
            keep_best(&mut best, tried);
        }
        if !passed {
            whole(walk, format!("{} must validate at least one schema (anyOf)", quote(&at)));
            best.into_iter().flat_map(|(errors, _)| errors).for_each(|e| walk.push(e));
        }
    }
    if !checks.one_of.is_empty() {
        let mut best = None;
        let mut passed = 0;
        for node in &checks.one_of {
            let tried = walk.attempt(node, value, path, depth + 1);
            if tried.0.is_empty() {
                passed += 1;
            } else {
                keep_best(&mut best, tried);
            }
        }
        if passed != 1 {
            let found =
                if passed == 0 { "Found none valid".to_owned() } else { format!("Found {passed} valid alternatives") };
            whole(walk, format!("{} must validate one and only one schema (oneOf). {found}", quote(&at)));
        }
        if passed == 0 {
            best.into_iter().flat_map(|(errors, _)| errors).for_each(|e| walk.push(e));
        }
    }
    if !checks.all_of.is_empty() {
        let mut failed = 0;
        for node in &checks.all_of {
            let (errors, _) = walk.attempt(node, value, path, depth + 1);
            failed += usize::from(!errors.is_empty());
            errors.into_iter().for_each(|e| walk.push(e));
        }
        if failed > 0 {
            let none = if failed == checks.all_of.len() { ". None validated" } else { "" };
            whole(walk, format!("{} must validate all the schemas (allOf){none}", quote(&at)));
        }
    }
    if let Some(not) = &checks.not
        && walk.attempt(not, value, path, depth + 1).0.is_empty()
    {
        whole(walk, format!("{} must not validate the schema (not)", quote(&at)));
    }
}

fn keep_best(best: &mut Option<(Vec<FieldError>, usize)>, tried: (Vec<FieldError>, usize)) {
    if best.as_ref().is_none_or(|(_, good)| tried.1 > *good) {
        *best = Some(tried);
    }
}
