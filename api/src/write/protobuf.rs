//! Kubernetes' protobuf bodies of the core kinds that kubectl and client-go send: read by a table of field
//! numbers, never written (every client accepts JSON answers).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use crate::status::ApiError;

/// What every envelope begins with.
const MAGIC: &[u8] = b"k8s\0";
/// The deepest message in the tables has four levels; a body that nests deeper is none of ours.
const DEPTH_MAX: usize = 16;

/// The type of a field.
#[derive(Clone, Copy)]
enum Kind {
    Text,
    Int,
    Bool,
    Bytes,
    Time,
    MicroTime,
    Message(&'static [Field]),
    /// A map of text to text.
    TextMap,
    /// A map of text to bytes (base64 in JSON).
    BytesMap,
    /// JSON as text inside a message (`FieldsV1`).
    Json,
}

/// One field of a message: number, JSON name, type, whether it repeats.
type Field = (u32, &'static str, Kind, bool);

const OWNER: &[Field] = &[
    (5, "apiVersion", Kind::Text, false),
    (1, "kind", Kind::Text, false),
    (3, "name", Kind::Text, false),
    (4, "uid", Kind::Text, false),
    (6, "controller", Kind::Bool, false),
    (7, "blockOwnerDeletion", Kind::Bool, false),
];
const MANAGED: &[Field] = &[
    (1, "manager", Kind::Text, false),
    (2, "operation", Kind::Text, false),
    (3, "apiVersion", Kind::Text, false),
    (4, "time", Kind::Time, false),
    (6, "fieldsType", Kind::Text, false),
    (7, "fieldsV1", Kind::Json, false),
    (8, "subresource", Kind::Text, false),
];
const META: &[Field] = &[
    (1, "name", Kind::Text, false),
    (2, "generateName", Kind::Text, false),
    (3, "namespace", Kind::Text, false),
    (5, "uid", Kind::Text, false),
    (6, "resourceVersion", Kind::Text, false),
    (11, "labels", Kind::TextMap, false),
    (12, "annotations", Kind::TextMap, false),
    (13, "ownerReferences", Kind::Message(OWNER), true),
    (14, "finalizers", Kind::Text, true),
    (17, "managedFields", Kind::Message(MANAGED), true),
];
const META_FIELD: Field = (1, "metadata", Kind::Message(META), false);
const REFERENCE: &[Field] = &[
    (1, "kind", Kind::Text, false),
    (2, "namespace", Kind::Text, false),
    (3, "name", Kind::Text, false),
    (4, "uid", Kind::Text, false),
    (5, "apiVersion", Kind::Text, false),
    (6, "resourceVersion", Kind::Text, false),
    (7, "fieldPath", Kind::Text, false),
];
const NAMESPACE: &[Field] = &[
    META_FIELD,
    (2, "spec", Kind::Message(&[(1, "finalizers", Kind::Text, true)]), false),
    (3, "status", Kind::Message(&[(1, "phase", Kind::Text, false)]), false),
];
const SECRET: &[Field] = &[
    META_FIELD,
    (2, "data", Kind::BytesMap, false),
    (3, "type", Kind::Text, false),
    (4, "stringData", Kind::TextMap, false),
    (5, "immutable", Kind::Bool, false),
];
const CONFIG_MAP: &[Field] = &[
    META_FIELD,
    (2, "data", Kind::TextMap, false),
    (3, "binaryData", Kind::BytesMap, false),
    (4, "immutable", Kind::Bool, false),
];
const SERVICE_ACCOUNT: &[Field] = &[
    META_FIELD,
    (2, "secrets", Kind::Message(REFERENCE), true),
    (3, "imagePullSecrets", Kind::Message(&[(1, "name", Kind::Text, false)]), true),
    (4, "automountServiceAccountToken", Kind::Bool, false),
];
const EVENT: &[Field] = &[
    META_FIELD,
    (2, "involvedObject", Kind::Message(REFERENCE), false),
    (3, "reason", Kind::Text, false),
    (4, "message", Kind::Text, false),
    (5, "source", Kind::Message(&[(1, "component", Kind::Text, false), (2, "host", Kind::Text, false)]), false),
    (6, "firstTimestamp", Kind::Time, false),
    (7, "lastTimestamp", Kind::Time, false),
    (8, "count", Kind::Int, false),
    (9, "type", Kind::Text, false),
    (10, "eventTime", Kind::MicroTime, false),
    (
        11,
        "series",
        Kind::Message(&[(1, "count", Kind::Int, false), (2, "lastObservedTime", Kind::MicroTime, false)]),
        false,
    ),
    (12, "action", Kind::Text, false),
    (13, "related", Kind::Message(REFERENCE), false),
    (14, "reportingComponent", Kind::Text, false),
    (15, "reportingInstance", Kind::Text, false),
];
const LEASE: &[Field] = &[
    META_FIELD,
    (
        2,
        "spec",
        Kind::Message(&[
            (1, "holderIdentity", Kind::Text, false),
            (2, "leaseDurationSeconds", Kind::Int, false),
            (3, "acquireTime", Kind::MicroTime, false),
            (4, "renewTime", Kind::MicroTime, false),
            (5, "leaseTransitions", Kind::Int, false),
            (6, "strategy", Kind::Text, false),
            (7, "preferredHolder", Kind::Text, false),
        ]),
        false,
    ),
];
const DELETE_OPTIONS: &[Field] = &[
    (1, "gracePeriodSeconds", Kind::Int, false),
    (
        2,
        "preconditions",
        Kind::Message(&[(1, "uid", Kind::Text, false), (2, "resourceVersion", Kind::Text, false)]),
        false,
    ),
    (3, "orphanDependents", Kind::Bool, false),
    (4, "propagationPolicy", Kind::Text, false),
    (5, "dryRun", Kind::Text, true),
];
/// The envelope: type, and the message itself.
const UNKNOWN: &[Field] = &[
    (1, "typeMeta", Kind::Message(&[(1, "apiVersion", Kind::Text, false), (2, "kind", Kind::Text, false)]), false),
    (2, "raw", Kind::Bytes, false),
];

fn table(kind: &str) -> Option<&'static [Field]> {
    Some(match kind {
        "Namespace" => NAMESPACE,
        "Secret" => SECRET,
        "ConfigMap" => CONFIG_MAP,
        "ServiceAccount" => SERVICE_ACCOUNT,
        "Event" => EVENT,
        "Lease" => LEASE,
        "DeleteOptions" => DELETE_OPTIONS,
        _ => return None,
    })
}

/// Decodes a protobuf body of a core kind into its JSON form.
///
/// # Errors
/// 415 for kinds that have no table, 400 for bytes that are not what they should be.
pub(crate) fn decode(bytes: &[u8], kind: &str) -> Result<Value, ApiError> {
    let fields = table(kind).ok_or_else(|| ApiError::unsupported_media("application/json, application/yaml"))?;
    let body = bytes.strip_prefix(MAGIC).ok_or_else(|| bad("it does not begin with the magic bytes"))?;
    let envelope = message(body, UNKNOWN, 0)?;
    let raw = envelope.get("raw").and_then(Value::as_str).unwrap_or_default();
    let raw = STANDARD.decode(raw).map_err(|_| bad("the envelope is broken"))?;
    let mut object = message(&raw, fields, 0)?;
    for field in ["apiVersion", "kind"] {
        if let Some(value) = envelope.get("typeMeta").and_then(|t| t.get(field)) {
            object.insert(field.to_owned(), value.clone());
        }
    }
    Ok(Value::Object(object))
}

fn bad(why: &str) -> ApiError {
    ApiError::bad_request(format!("the protobuf body cannot be read: {why}"))
}

/// What stands behind a tag on the wire.
enum Wire<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn varint(&mut self) -> Result<u64, ApiError> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = self.0.split_first().ok_or_else(|| bad("it ends in a number"))?;
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(bad("a number is too long"))
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], ApiError> {
        if count > self.0.len() {
            return Err(bad("it ends in a field"));
        }
        let (head, rest) = self.0.split_at(count);
        self.0 = rest;
        Ok(head)
    }

    /// The next field's number and content; `None` at the end.
    fn field(&mut self) -> Result<Option<(u32, Wire<'a>)>, ApiError> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let number = u32::try_from(tag >> 3).map_err(|_| bad("a field number is too large"))?;
        let wire = match tag & 7 {
            0 => Wire::Number(self.varint()?),
            1 => Wire::Bytes(self.take(8)?),
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| bad("a length is too large"))?;
                Wire::Bytes(self.take(length)?)
            }
            5 => Wire::Bytes(self.take(4)?),
            _ => return Err(bad("it has a field of an unknown kind")),
        };
        Ok(Some((number, wire)))
    }
}

fn message(bytes: &[u8], fields: &[Field], depth: usize) -> Result<Map<String, Value>, ApiError> {
    if depth > DEPTH_MAX {
        return Err(bad("it is nested too deep"));
    }
    let mut out = Map::new();
    let mut reader = Reader(bytes);
    while let Some((number, wire)) = reader.field()? {
        let Some((_, name, kind, repeats)) = fields.iter().find(|(n, ..)| *n == number) else { continue };
        let Some(value) = value(&wire, *kind, *repeats, depth)? else { continue };
        match (kind, repeats) {
            (Kind::TextMap | Kind::BytesMap, _) => {
                let entry = out.entry(*name).or_insert_with(|| json!({}));
                if let (Value::Object(all), Value::Object(one)) = (entry, value) {
                    all.extend(one);
                }
            }
            (_, true) => {
                let entry = out.entry(*name).or_insert_with(|| json!([]));
                if let Value::Array(all) = entry {
                    all.push(value);
                }
            }
            (_, false) => {
                out.insert((*name).to_owned(), value);
            }
        }
    }
    Ok(out)
}

/// The JSON of one field. Zero and empty mean "absent", as gogo-proto writes them out.
fn value(wire: &Wire<'_>, kind: Kind, repeats: bool, depth: usize) -> Result<Option<Value>, ApiError> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).map_err(|_| bad("a text is not UTF-8"));
    Ok(match (kind, wire) {
        (Kind::Bool, Wire::Number(number)) => Some(Value::Bool(*number != 0)),
        (Kind::Int, Wire::Number(number)) => Some(Value::from(*number as i64)),
        (Kind::Text, Wire::Bytes(bytes)) => {
            let text = text(bytes)?;
            (repeats || !text.is_empty()).then_some(Value::String(text))
        }
        (Kind::Bytes, Wire::Bytes(bytes)) => Some(Value::String(STANDARD.encode(bytes))),
        (Kind::Time, Wire::Bytes(bytes)) => time(bytes, "%Y-%m-%dT%H:%M:%SZ")?,
        (Kind::MicroTime, Wire::Bytes(bytes)) => time(bytes, "%Y-%m-%dT%H:%M:%S.%6fZ")?,
        (Kind::Message(fields), Wire::Bytes(bytes)) => Some(Value::Object(message(bytes, fields, depth + 1)?)),
        (Kind::Json, Wire::Bytes(bytes)) => {
            let raw = message(bytes, &[(1, "raw", Kind::Bytes, false)], depth + 1)?;
            let raw = raw.get("raw").and_then(Value::as_str).and_then(|t| STANDARD.decode(t).ok()).unwrap_or_default();
            serde_json::from_slice(&raw).ok()
        }
        (Kind::TextMap | Kind::BytesMap, Wire::Bytes(bytes)) => {
            let content = if matches!(kind, Kind::TextMap) { Kind::Text } else { Kind::Bytes };
            let pair = message(bytes, &[(1, "key", Kind::Text, false), (2, "value", content, false)], depth + 1)?;
            let key = pair.get("key").and_then(Value::as_str).unwrap_or_default();
            let content = pair.get("value").cloned().unwrap_or_else(|| json!(""));
            Some(json!({ key: content }))
        }
        _ => return Err(bad("a field has another kind than it should")),
    })
}

fn time(bytes: &[u8], format: &str) -> Result<Option<Value>, ApiError> {
    let parts = message(bytes, &[(1, "seconds", Kind::Int, false), (2, "nanos", Kind::Int, false)], DEPTH_MAX)?;
    let number = |name: &str| parts.get(name).and_then(Value::as_i64).unwrap_or(0);
    let (seconds, nanos) = (number("seconds"), number("nanos"));
    if seconds == 0 && nanos == 0 {
        return Ok(None);
    }
    let nanos = i32::try_from(nanos).map_err(|_| bad("a time is out of range"))?;
    let time = jiff::Timestamp::new(seconds, nanos).map_err(|_| bad("a time is out of range"))?;
    Ok(Some(time.strftime(format).to_string().into()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn field(number: u8, content: &[u8]) -> Vec<u8> {
        let mut out = vec![number << 3 | 2, u8::try_from(content.len()).unwrap()];
        out.extend_from_slice(content);
        out
    }

    fn envelope(version: &str, kind: &str, raw: &[u8]) -> Vec<u8> {
        let meta = [field(1, version.as_bytes()), field(2, kind.as_bytes())].concat();
        [MAGIC.to_vec(), field(1, &meta), field(2, raw)].concat()
    }

    #[test]
    fn a_secret_reads_as_its_json_form() {
        let meta = [field(1, b"s"), field(11, &[field(1, b"app"), field(2, b"web")].concat())].concat();
        let data = [field(1, b"key"), field(2, b"\x00\xff")].concat();
        let raw = [field(1, &meta), field(2, &data), field(3, b"Opaque")].concat();
        assert_eq!(
            decode(&envelope("v1", "Secret", &raw), "Secret").unwrap(),
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "labels": {"app": "web"}},
                   "data": {"key": "AP8="}, "type": "Opaque"})
        );
    }

    #[test]
    fn a_lease_has_micro_times() {
        let time = [vec![0x08], vec![0x80, 0xa8, 0xd6, 0xb9, 0x07], vec![0x10, 0x80, 0xad, 0xe2, 0x04]].concat();
        let spec = [field(1, b"me"), vec![0x10, 15], field(4, &time)].concat();
        let lease = decode(&envelope("coordination.k8s.io/v1", "Lease", &field(2, &spec)), "Lease").unwrap();
        assert_eq!(lease["spec"]["leaseDurationSeconds"], 15);
        assert!(lease["spec"]["renewTime"].as_str().unwrap().ends_with(".010000Z"), "{lease}");
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            for kind in ["Secret", "Event", "DeleteOptions"] {
                let _ = decode(&[MAGIC, &bytes].concat(), kind);
                let _ = decode(&envelope("v1", kind, &bytes[..bytes.len().min(100)]), kind);
            }
        }
    }
}
