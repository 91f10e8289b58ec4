//! The other direction of the server's protobuf: JSON to bytes, by the same table of numbers, as Kubernetes' clients
//! write them (zero values of fields that are no pointers are written out).

use std::collections::HashMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

const TABLE: &str = include_str!("../../src/protobuf/messages.txt");

struct Field {
    number: u64,
    name: &'static str,
    kind: &'static str,
    is_pointer: bool,
}

/// Encodes objects.
pub(crate) struct Encoder {
    messages: HashMap<&'static str, Vec<Field>>,
    /// API group to package.
    packages: HashMap<&'static str, &'static str>,
}

impl Encoder {
    pub(crate) fn new() -> Self {
        let (mut messages, mut packages) = (HashMap::new(), HashMap::new());
        let mut current = "";
        for line in TABLE.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let mut words = line.split(' ');
            let first = words.next().unwrap();
            if first == "package" {
                let (package, group) = (words.next().unwrap(), words.next().unwrap());
                packages.insert(if group == "-" { "" } else { group }, package);
            } else if let Ok(number) = first.parse() {
                let (name, kind) = (words.next().unwrap(), words.next().unwrap());
                let field = Field {
                    number,
                    name,
                    kind: kind.trim_start_matches(['?', '!']),
                    is_pointer: kind.starts_with('?'),
                };
                messages.entry(current).or_insert_with(Vec::new).push(field);
            } else {
                current = first;
                messages.entry(current).or_insert_with(Vec::new);
            }
        }
        Self { messages, packages }
    }

    /// The whole body of an object: envelope and message.
    pub(crate) fn body(&self, object: &Value) -> Vec<u8> {
        let version = object["apiVersion"].as_str().unwrap();
        let kind = object["kind"].as_str().unwrap();
        let group = version.split_once('/').map_or("", |(group, _)| group);
        let group = if kind == "DeleteOptions" { "meta.k8s.io" } else { group };
        let raw = self.message(&format!("{}.{kind}", self.packages[group]), object);
        envelope(version, kind, &raw)
    }

    fn message(&self, name: &str, value: &Value) -> Vec<u8> {
        let mut out = Vec::new();
        for field in &self.messages[name] {
            if let Some(inner) = field.kind.strip_prefix('+') {
                out.extend(bytes(field.number, &self.message(inner, value)));
                continue;
            }
            let given = &value[field.name];
            if let Some(kind) = field.kind.strip_prefix("[]") {
                for item in given.as_array().into_iter().flatten() {
                    out.extend(self.field(field.number, kind, item));
                }
            } else if let Some(kind) = field.kind.strip_prefix("{}") {
                for (key, item) in given.as_object().into_iter().flatten() {
                    let pair = [bytes(1, key.as_bytes()), self.field(2, kind, item)].concat();
                    out.extend(bytes(field.number, &pair));
                }
            } else if !given.is_null() {
                out.extend(self.field(field.number, field.kind, given));
            } else if !field.is_pointer {
                match field.kind {
                    "string" => out.extend(bytes(field.number, b"")),
                    "int32" | "int64" | "bool" => out.extend(number(field.number, 0)),
                    "time" | "microtime" => out.extend(bytes(field.number, b"")),
                    message if message.contains('.') => {
                        out.extend(bytes(field.number, &self.message(message, &Value::Null)));
                    }
                    _ => {}
                }
            }
        }
        out
    }

    fn field(&self, at: u64, kind: &str, value: &Value) -> Vec<u8> {
        let text = || value.as_str().unwrap().as_bytes();
        let schema = |value: &Value| self.message("extension.JSONSchemaProps", value);
        match kind {
            "string" => bytes(at, text()),
            "bool" => number(at, u64::from(value.as_bool().unwrap())),
            "int32" | "int64" => number(at, value.as_i64().unwrap() as u64),
            "double" => [varint(at << 3 | 1), value.as_f64().unwrap().to_bits().to_le_bytes().to_vec()].concat(),
            "bytes" => bytes(at, &STANDARD.decode(text()).unwrap()),
            "quantity" => bytes(at, &bytes(1, text())),
            "json" => bytes(at, &bytes(1, value.to_string().as_bytes())),
            "time" | "microtime" => {
                let time: jiff::Timestamp = value.as_str().unwrap().parse().unwrap();
                let nanos = number(2, time.subsec_nanosecond() as u64);
                bytes(at, &[number(1, time.as_second() as u64), nanos].concat())
            }
            "texts" => {
                let texts = value.as_array().unwrap().iter().flat_map(|t| bytes(1, t.as_str().unwrap().as_bytes()));
                bytes(at, &texts.collect::<Vec<u8>>())
            }
            "schema|bool" => match value {
                Value::Bool(flag) => bytes(at, &number(1, u64::from(*flag))),
                other => bytes(at, &[number(1, 1), bytes(2, &schema(other))].concat()),
            },
            "schema|schemas" | "schema|texts" => match value {
                Value::Array(items) => {
                    let parts = items.iter().flat_map(|item| match item {
                        Value::String(text) => bytes(2, text.as_bytes()),
                        other => bytes(2, &schema(other)),
                    });
                    bytes(at, &parts.collect::<Vec<u8>>())
                }
                other => bytes(at, &bytes(1, &schema(other))),
            },
            message => bytes(at, &self.message(message, value)),
        }
    }
}

/// Type and content, with the magic bytes before them.
pub(crate) fn envelope(version: &str, kind: &str, raw: &[u8]) -> Vec<u8> {
    let meta = [bytes(1, version.as_bytes()), bytes(2, kind.as_bytes())].concat();
    [b"k8s\0".to_vec(), bytes(1, &meta), bytes(2, raw), bytes(3, b""), bytes(4, b"")].concat()
}

pub(crate) fn varint(mut value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
    out
}

pub(crate) fn bytes(field: u64, content: &[u8]) -> Vec<u8> {
    [varint(field << 3 | 2), varint(content.len() as u64), content.to_vec()].concat()
}

pub(crate) fn number(field: u64, value: u64) -> Vec<u8> {
    [varint(field << 3), varint(value)].concat()
}
