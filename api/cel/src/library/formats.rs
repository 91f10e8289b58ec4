//! Kubernetes' named formats: `format.dns1123Label().validate(text)`.

use std::sync::Arc;

use super::{arguments, encoding, time, url::Url};
use crate::budget::Meter;
use crate::error::EvalError;
use crate::value::{Opaque, Value};

/// A format with the check of a text; no messages means that the text is fine.
#[derive(Debug)]
pub struct NamedFormat {
    /// As in `format.name()`.
    pub(crate) key: &'static str,
    pub name: &'static str,
    check: fn(&str) -> Vec<String>,
    /// The size of the regular expression that the costs take the check for.
    pub(crate) pattern_size: u64,
}

static FORMATS: [NamedFormat; 13] = [
    format("dns1123Label", "DNS1123Label", 30, label),
    format("dns1123Subdomain", "DNS1123Subdomain", 60, subdomain),
    format("dns1035Label", "DNS1035Label", 30, old_label),
    format("qualifiedName", "QualifiedName", 60, qualified_name),
    format("dns1123LabelPrefix", "DNS1123LabelPrefix", 30, |text| label(&masked(text))),
    format("dns1123SubdomainPrefix", "DNS1123SubdomainPrefix", 60, |text| subdomain(&masked(text))),
    format("dns1035LabelPrefix", "DNS1035LabelPrefix", 30, |text| old_label(&masked(text))),
    format("labelValue", "LabelValue", 40, label_value),
    format("uri", "URI", 1103, |text| Url::parse(text).err().into_iter().collect()),
    format("uuid", "uuid", 81, |text| unless(is_uuid(text), "does not match the UUID format")),
    format("byte", "byte", 84, |text| {
        unless(!text.is_empty() && encoding::base64_decode(text).is_some(), "invalid base64")
    }),
    format("date", "date", 103, |text| unless(time::Timestamp::parse_date(text).is_some(), "invalid date")),
    format("datetime", "datetime", 103, |text| {
        unless(time::Timestamp::parse_lenient(text).is_some(), "invalid datetime")
    }),
];

const fn format(
    key: &'static str,
    name: &'static str,
    pattern_size: u64,
    check: fn(&str) -> Vec<String>,
) -> NamedFormat {
    NamedFormat { key, name, check, pattern_size }
}

/// The format that `format.key()` gives.
pub(crate) fn named(key: &str) -> Option<&'static NamedFormat> {
    FORMATS.iter().find(|format| format.key == key)
}

fn unless(fine: bool, message: &str) -> Vec<String> {
    if fine { Vec::new() } else { vec![message.to_owned()] }
}

/// Lower case letters, digits and dashes, with neither dash at the ends.
fn is_label(text: &str) -> bool {
    let is_edge = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    text.bytes().all(|byte| is_edge(byte) || byte == b'-')
        && text.bytes().next().is_some_and(is_edge)
        && text.bytes().last().is_some_and(is_edge)
}

fn too_long(text: &str, max: usize) -> Option<String> {
    (text.len() > max).then(|| format!("must be no more than {max} bytes"))
}

const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start \
    and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is \
    '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', \
    and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is \
    '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const OLD_LABEL: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an \
    alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for \
    validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
const NAME_PART: &str = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an \
    alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is \
    '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const LABEL_VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', \
    and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for \
    validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

fn label(text: &str) -> Vec<String> {
    too_long(text, 63).into_iter().chain(unless(is_label(text), LABEL)).collect()
}

fn subdomain(text: &str) -> Vec<String> {
    let fine = text.split('.').all(is_label);
    too_long(text, 253).into_iter().chain(unless(fine, SUBDOMAIN)).collect()
}

pub(super) fn is_valid_subdomain(text: &str) -> bool {
    subdomain(text).is_empty()
}

pub(super) fn is_valid_label(text: &str) -> bool {
    label(text).is_empty()
}

fn old_label(text: &str) -> Vec<String> {
    let fine = is_label(text) && text.starts_with(|c: char| c.is_ascii_lowercase());
    too_long(text, 63).into_iter().chain(unless(fine, OLD_LABEL)).collect()
}

/// A prefix of generated names may end in a dash: what is generated follows it.
fn masked(text: &str) -> String {
    match text.strip_suffix('-') {
        Some(before) if !before.is_empty() => format!("{before}a"),
        _ => text.to_owned(),
    }
}

fn is_name_part(text: &str) -> bool {
    let is_edge = |byte: u8| byte.is_ascii_alphanumeric();
    text.bytes().all(|byte| is_edge(byte) || b"-_.".contains(&byte))
        && text.bytes().next().is_some_and(is_edge)
        && text.bytes().last().is_some_and(is_edge)
}

fn qualified_name(text: &str) -> Vec<String> {
    let mut errors = Vec::new();
    let name = match text.split_once('/') {
        Some((_, name)) if name.contains('/') => {
            return vec![format!(
                "a qualified name {NAME_PART} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
            )];
        }
        Some((prefix, name)) => {
            if prefix.is_empty() {
                errors.push("prefix part must be non-empty".to_owned());
            } else {
                errors.extend(subdomain(prefix).into_iter().map(|error| format!("prefix part {error}")));
            }
            name
        }
        None => text,
    };
    if name.is_empty() {
        errors.push("name part must be non-empty".to_owned());
    } else {
        errors.extend(too_long(name, 63).map(|error| format!("name part {error}")));
    }
    if !is_name_part(name) {
        errors.push(format!("name part {NAME_PART}"));
    }
    errors
}

fn label_value(text: &str) -> Vec<String> {
    let fine = text.is_empty() || is_name_part(text);
    too_long(text, 63).into_iter().chain(unless(fine, LABEL_VALUE)).collect()
}

/// 32 hexadecimal digits in groups of 8, 4, 4, 4 and 12; upstream lets the dashes be absent.
fn is_uuid(text: &str) -> bool {
    let mut rest = text;
    for (index, length) in [8, 4, 4, 4, 12].into_iter().enumerate() {
        if index > 0 {
            rest = rest.strip_prefix('-').unwrap_or(rest);
        }
        let Some(group) = rest.get(..length) else { return false };
        if !group.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return false;
        }
        rest = &rest[length..];
    }
    rest.is_empty()
}

/// `format.named(name)`: an optional.
pub(super) fn by_name<'a>(args: &[Value<'a>], _: &mut Meter) -> Result<Value<'a>, EvalError> {
    let [Value::String(name)] = args else { return Err(arguments("format.named", args)) };
    Ok(named(name).map_or(Value::NONE, |format| Value::some(Value::Opaque(Opaque::Format(format)))))
}

/// `format.validate(text)`: an optional list of what is wrong.
pub(super) fn validate<'a>(args: &[Value<'a>], _: &mut Meter) -> Result<Value<'a>, EvalError> {
    let [Value::Opaque(Opaque::Format(format)), Value::String(text)] = args else {
        return Err(arguments("validate", args));
    };
    let errors = (format.check)(text);
    if errors.is_empty() {
        return Ok(Value::NONE);
    }
    Ok(Value::Optional(Some(Arc::new(Value::list(errors.into_iter().map(Value::from).collect())))))
}
