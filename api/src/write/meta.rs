//! Object metadata: what the server sets, what a client may, and the rules for names, labels and the rest.

use std::collections::HashSet;

use berth_schema::FieldError;
use serde_json::{Map, Value, json};

use crate::registry::{NameRule, Resource};

/// Letters of generated names: no vowels, so that no words come out, and nothing that looks like another.
const SUFFIX_ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
const SUFFIX_CHARS: usize = 5;
/// A generated name stays a DNS label.
const GENERATE_NAME_CHARS_MAX: usize = 63 - SUFFIX_CHARS;
/// Keys and values of all annotations together.
const ANNOTATIONS_BYTES_MAX: usize = 262_144;

/// Present time as `creationTimestamp` has it.
pub(crate) fn timestamp(now: jiff::Timestamp) -> String {
    now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// The object's metadata; made when absent.
pub(crate) fn of(object: &mut Value) -> &mut Map<String, Value> {
    let slot = &mut object["metadata"];
    if !slot.is_object() {
        *slot = json!({});
    }
    slot.as_object_mut().expect("made two lines above")
}

/// A text field of the metadata; empty when absent.
pub(crate) fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    object["metadata"][field].as_str().unwrap_or_default()
}

pub(crate) fn is_terminating(object: &Value) -> bool {
    !object["metadata"]["deletionTimestamp"].is_null()
}

pub(crate) fn finalizers(object: &Value) -> Vec<&str> {
    object["metadata"]["finalizers"].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// What a new object is given; what a client cannot set is overwritten.
pub(crate) fn prepare_create(object: &mut Value, resource: &Resource, now: jiff::Timestamp) {
    let meta = of(object);
    for field in ["selfLink", "deletionTimestamp", "deletionGracePeriodSeconds", "resourceVersion", "managedFields"] {
        meta.remove(field);
    }
    meta.insert("uid".into(), uuid::Uuid::new_v4().to_string().into());
    meta.insert("creationTimestamp".into(), timestamp(now).into());
    if resource.rules.generation {
        meta.insert("generation".into(), 1.into());
    } else {
        meta.remove("generation");
    }
    drop_empty(meta);
}

/// What an update must carry over from the stored object.
pub(crate) fn prepare_update(new: &mut Value, old: &Value) {
    let before = old["metadata"].as_object().cloned().unwrap_or_default();
    let meta = of(new);
    for field in [
        "name",
        "namespace",
        "uid",
        "creationTimestamp",
        "generation",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "generateName",
    ] {
        match before.get(field) {
            Some(value) => meta.insert(field.into(), value.clone()),
            None => meta.remove(field),
        };
    }
    meta.remove("selfLink");
    meta.remove("resourceVersion");
    drop_empty(meta);
}

/// Empty lists and maps of the metadata are not stored, as Kubernetes' typed metadata drops them.
fn drop_empty(meta: &mut Map<String, Value>) {
    for field in ["labels", "annotations", "finalizers", "ownerReferences", "generateName", "namespace"] {
        let empty = match meta.get(field) {
            Some(Value::Null) => true,
            Some(Value::Object(map)) => map.is_empty(),
            Some(Value::Array(items)) => items.is_empty(),
            Some(Value::String(text)) => text.is_empty(),
            _ => false,
        };
        if empty {
            meta.remove(field);
        }
    }
}

/// A name from a prefix, with five random characters.
pub(crate) fn generate_name(prefix: &str) -> String {
    let end = prefix.char_indices().nth(GENERATE_NAME_CHARS_MAX).map_or(prefix.len(), |(i, _)| i);
    let mut name = prefix[..end].to_owned();
    let random = uuid::Uuid::new_v4();
    // The first bytes of a random UUID are free of its fixed version bits.
    for byte in &random.as_bytes()[..SUFFIX_CHARS] {
        name.push(char::from(SUFFIX_ALPHABET[usize::from(*byte) % SUFFIX_ALPHABET.len()]));
    }
    name
}

/// Finds what is wrong with the metadata of a new or changed object.
pub(crate) fn validate(
    new: &Value,
    old: Option<&Value>,
    resource: &Resource,
    errors: &mut Vec<FieldError>,
    warnings: &mut Vec<String>,
) {
    let meta = &new["metadata"];
    if old.is_none() {
        validate_name(text(new, "name"), resource, errors);
    }
    let unchanged = |field: &str| old.is_some_and(|old| old["metadata"][field] == meta[field]);
    for (key, value) in entries(&meta["labels"]).filter(|_| !unchanged("labels")) {
        if let Some(why) = bad_qualified_name(key) {
            errors.push(FieldError::invalid("metadata.labels", &json!(key), &why));
        }
        if let Some(why) = bad_label_value(value.as_str().unwrap_or_default()) {
            errors.push(FieldError::invalid("metadata.labels", value, why));
        }
    }
    if !unchanged("annotations") {
        let mut bytes = 0;
        for (key, value) in entries(&meta["annotations"]) {
            bytes += key.len() + value.as_str().map_or(0, str::len);
            if let Some(why) = bad_qualified_name(&key.to_ascii_lowercase()) {
                errors.push(FieldError::invalid("metadata.annotations", &json!(key), &why));
            }
        }
        if bytes > ANNOTATIONS_BYTES_MAX {
            errors.push(FieldError::too_long("metadata.annotations", ANNOTATIONS_BYTES_MAX as u64));
        }
    }
    validate_finalizers(new, old, errors, warnings);
    if !unchanged("ownerReferences") {
        validate_owners(&meta["ownerReferences"], errors);
    }
}

fn validate_name(name: &str, resource: &Resource, errors: &mut Vec<FieldError>) {
    if name.is_empty() {
        errors.push(FieldError::required("metadata.name", "name or generateName is required"));
        return;
    }
    if name.chars().count() > resource.rules.name_chars_max {
        let message = format!("must be no more than {} characters", resource.rules.name_chars_max);
        errors.push(FieldError::invalid("metadata.name", &json!(name), &message));
    }
    let why = match resource.rules.name {
        NameRule::PathSegment => bad_path_segment(name),
        NameRule::Label if name.contains('.') => Some("must not contain dots"),
        NameRule::Label => (!is_dns_label(name)).then_some(
            "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc')",
        ),
        NameRule::Subdomain => (!is_dns_subdomain(name)).then_some(
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com')",
        ),
    };
    if let Some(why) = why {
        errors.push(FieldError::invalid("metadata.name", &json!(name), why));
    }
}

/// Why a text cannot stand between two slashes of a path, if so.
pub(crate) fn bad_path_segment(text: &str) -> Option<&'static str> {
    match text {
        "." => Some("may not be '.'"),
        ".." => Some("may not be '..'"),
        _ if text.contains('/') => Some("may not contain '/'"),
        _ if text.contains('%') => Some("may not contain '%'"),
        _ => None,
    }
}

fn validate_finalizers(new: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>, warnings: &mut Vec<String>) {
    let before: HashSet<&str> = old.map(finalizers).unwrap_or_default().into_iter().collect();
    let mut added = Vec::new();
    for name in finalizers(new) {
        if before.contains(name) {
            continue;
        }
        added.push(name);
        if let Some(why) = bad_qualified_name(name) {
            errors.push(FieldError::invalid("metadata.finalizers", &json!(name), &why));
        } else if !name.contains('/') && !matches!(name, "orphan" | "foregroundDeletion") && !name.contains('.') {
            warnings.push(format!(
                "metadata.finalizers: {name:?}: prefer a domain-qualified finalizer name to avoid accidental conflicts with other finalizer writers"
            ));
        }
    }
    if !added.is_empty() && old.is_some_and(is_terminating) {
        let message = format!(
            "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
            added.iter().map(|f| format!("{f:?}")).collect::<Vec<_>>().join(", ")
        );
        errors.push(FieldError::forbidden("metadata.finalizers", &message));
    }
}

fn validate_owners(owners: &Value, errors: &mut Vec<FieldError>) {
    let mut controllers = 0;
    for (index, owner) in owners.as_array().into_iter().flatten().enumerate() {
        for field in ["apiVersion", "kind", "name", "uid"] {
            if owner[field].as_str().unwrap_or_default().is_empty() {
                let path = format!("metadata.ownerReferences[{index}].{field}");
                errors.push(FieldError::invalid(path, &json!(""), "must not be empty"));
            }
        }
        controllers += usize::from(owner["controller"] == true);
    }
    if controllers > 1 {
        errors.push(FieldError::invalid(
            "metadata.ownerReferences",
            owners,
            "Only one reference can have Controller set to true",
        ));
    }
}

fn entries(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

/// A DNS label of at most 63 characters.
pub(crate) fn is_dns_label(text: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = text.as_bytes();
    !bytes.is_empty()
        && bytes.len() <= 63
        && bytes.iter().all(|b| inner(*b) || *b == b'-')
        && inner(bytes[0])
        && inner(bytes[bytes.len() - 1])
}

/// Labels joined by dots, at most 253 characters; a single part may be longer than a label here.
pub(crate) fn is_dns_subdomain(text: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    !text.is_empty()
        && text.len() <= 253
        && text.split('.').all(|part| {
            let bytes = part.as_bytes();
            !bytes.is_empty()
                && bytes.iter().all(|b| inner(*b) || *b == b'-')
                && inner(bytes[0])
                && inner(bytes[bytes.len() - 1])
        })
}

fn is_name_part(text: &str) -> bool {
    let bytes = text.as_bytes();
    !bytes.is_empty()
        && bytes.len() <= 63
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
        && bytes[0].is_ascii_alphanumeric()
        && bytes[bytes.len() - 1].is_ascii_alphanumeric()
}

pub(crate) fn bad_qualified_name(text: &str) -> Option<String> {
    let (prefix, name) = match text.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, text),
    };
    if prefix.is_some_and(|p| !is_dns_subdomain(p)) {
        return Some("prefix part a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character".to_owned());
    }
    (!is_name_part(name)).then(|| {
        "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc'), at most 63 characters".to_owned()
    })
}

pub(crate) fn bad_label_value(text: &str) -> Option<&'static str> {
    if text.is_empty() || is_name_part(text) {
        return None;
    }
    Some(if text.len() > 63 {
        "must be no more than 63 bytes"
    } else {
        "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345')"
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_names_keep_their_prefix_and_stay_labels() {
        let name = generate_name("gen-");
        assert!(name.starts_with("gen-") && name.len() == 9, "{name}");
        assert_eq!(generate_name(&"x".repeat(100)).len(), 63);
    }

    #[test]
    fn labels_and_names() {
        assert!(is_dns_label("a-1") && !is_dns_label("-a") && !is_dns_label("a.b") && !is_dns_label(""));
        assert!(is_dns_subdomain("a.b-c") && !is_dns_subdomain("a..b") && !is_dns_subdomain("A"));
        assert_eq!(bad_qualified_name("berth.dev/agent"), None);
        assert!(bad_qualified_name("a/b/c").is_some());
        assert!(bad_label_value("-x").is_some());
    }

    #[test]
    fn owners_need_four_fields_and_one_controller() {
        let mut errors = Vec::new();
        let good = json!({"apiVersion": "v1", "kind": "A", "name": "a", "uid": "u", "controller": true});
        validate_owners(
            &json!([good, {"apiVersion": "v1", "kind": "A", "name": "a", "controller": true}]),
            &mut errors,
        );
        let fields: Vec<&str> = errors.iter().map(|e| e.field.as_str()).collect();
        assert_eq!(fields, ["metadata.ownerReferences[1].uid", "metadata.ownerReferences"]);
    }
}
