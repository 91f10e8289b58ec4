//! From bytes to a JSON value: bounded in size and depth, with every duplicate key noticed.

use std::cell::RefCell;
use std::fmt;

use berth_schema::Path;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::status::ApiError;

/// The most bytes of a body, as in Kubernetes.
pub(crate) const BODY_BYTES_MAX: usize = 3 * 1024 * 1024;

/// The deepest nesting. The deepest schema in use needs about 50; serde_json itself stops at 128.
const DEPTH_MAX: usize = 100;

/// What aliases may expand to: a few shared blocks, not a bomb.
const ALIAS_EVENTS_MAX: usize = 20_000;

/// More duplicates than this are not listed: a body made of them must not make a longer answer.
const DUPLICATES_MAX: usize = 64;

/// A body's format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Json,
    Yaml,
    Protobuf,
}

/// A decoded body.
#[derive(Debug)]
pub(crate) struct Decoded {
    pub value: Value,
    /// Paths of keys that were given twice; the last one counts.
    pub duplicates: Vec<String>,
}

impl Format {
    /// The format of a Content-Type; none at all means JSON.
    pub(crate) fn of(content_type: Option<&str>) -> Option<Self> {
        let media = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
        match media.to_ascii_lowercase().as_str() {
            "" | "*/*" | "application/json" => Some(Self::Json),
            "application/yaml" | "application/x-yaml" | "text/yaml" => Some(Self::Yaml),
            "application/vnd.kubernetes.protobuf" => Some(Self::Protobuf),
            _ => None,
        }
    }
}

/// Decodes a JSON or YAML body.
///
/// # Errors
/// 400 for what cannot be read or is nested too deep.
pub(crate) fn decode(bytes: &[u8], format: Format) -> Result<Decoded, ApiError> {
    match format {
        Format::Json => json(bytes),
        Format::Yaml => yaml(bytes),
        Format::Protobuf => Err(ApiError::unsupported_media("application/json, application/yaml")),
    }
}

fn json(bytes: &[u8]) -> Result<Decoded, ApiError> {
    if bytes.is_empty() {
        return Err(ApiError::bad_request("couldn't get version/kind; json parse error: unexpected end of JSON input"));
    }
    let duplicates = RefCell::new(Vec::new());
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = Node { path: &Path::ROOT, depth: 0, duplicates: &duplicates }
        .deserialize(&mut reader)
        .and_then(|value| reader.end().map(|()| value))
        .map_err(|error| ApiError::bad_request(format!("couldn't get version/kind; json parse error: {error}")))?;
    Ok(Decoded { value, duplicates: duplicates.into_inner() })
}

fn yaml(bytes: &[u8]) -> Result<Decoded, ApiError> {
    let text = std::str::from_utf8(bytes)
        .map_err(|_| ApiError::bad_request("error decoding YAML: the body is not UTF-8"))?;
    // Most "YAML" bodies of clients are JSON, which is read faster and with duplicates noticed.
    if text.trim_start().starts_with('{')
        && let Ok(decoded) = json(bytes)
    {
        return Ok(decoded);
    }
    if indentation_is_too_deep(text) {
        return Err(ApiError::bad_request(format!("error decoding YAML: nested deeper than {DEPTH_MAX} levels")));
    }
    let mut alias_limits = serde_saphyr::options::AliasLimits::default();
    alias_limits.max_total_replayed_events = ALIAS_EVENTS_MAX;
    let options = serde_saphyr::options! {
        alias_limits: alias_limits,
        legacy_octal_numbers: true,
        duplicate_keys: serde_saphyr::options::DuplicateKeyPolicy::LastWins,
    };
    let value: Value = serde_saphyr::from_str_with_options(text, options)
        .map_err(|error| ApiError::bad_request(format!("error decoding YAML: {}", one_line(&error.to_string()))))?;
    if depth_exceeds(&value, DEPTH_MAX) {
        return Err(ApiError::bad_request(format!("error decoding YAML: nested deeper than {DEPTH_MAX} levels")));
    }
    Ok(Decoded { value: whole_numbers(value), duplicates: Vec::new() })
}

/// Flow collections nest without indentation; both are counted before a parser recurses into them.
fn indentation_is_too_deep(text: &str) -> bool {
    let mut depth = 0usize;
    for byte in text.bytes() {
        match byte {
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEPTH_MAX * 4 {
            return true;
        }
    }
    false
}

fn depth_exceeds(value: &Value, left: usize) -> bool {
    match value {
        Value::Array(items) => left == 0 || items.iter().any(|v| depth_exceeds(v, left - 1)),
        Value::Object(map) => left == 0 || map.values().any(|v| depth_exceeds(v, left - 1)),
        _ => false,
    }
}

/// `1.0` and `1e3` are whole numbers to kubectl.
fn whole_numbers(value: Value) -> Value {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match value {
        Value::Number(number) if number.is_f64() => match number.as_f64() {
            Some(float) if float.fract() == 0.0 && float.abs() < EXACT => Value::from(float as i64),
            _ => Value::Number(number),
        },
        Value::Array(items) => Value::Array(items.into_iter().map(whole_numbers).collect()),
        Value::Object(map) => Value::Object(map.into_iter().map(|(k, v)| (k, whole_numbers(v))).collect()),
        other => other,
    }
}

/// The first line of a message: parsers append pictures of the input.
fn one_line(message: &str) -> &str {
    message.lines().next().unwrap_or_default()
}

/// Builds one value and notes duplicate keys on the way.
struct Node<'a> {
    path: &'a Path<'a>,
    depth: usize,
    duplicates: &'a RefCell<Vec<String>>,
}

impl Node<'_> {
    fn check_depth<E: serde::de::Error>(&self) -> Result<(), E> {
        if self.depth >= DEPTH_MAX {
            return Err(E::custom(format!("nested deeper than {DEPTH_MAX} levels")));
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        self.check_depth()?;
        let mut items = Vec::new();
        loop {
            let path = self.path.index(items.len());
            let node = Node { path: &path, depth: self.depth + 1, duplicates: self.duplicates };
            match seq.next_element_seed(node)? {
                Some(item) => items.push(item),
                None => return Ok(Value::Array(items)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        self.check_depth()?;
        let mut found = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            let path = self.path.field(&key);
            let node = Node { path: &path, depth: self.depth + 1, duplicates: self.duplicates };
            let value = map.next_value_seed(node)?;
            if found.contains_key(&key) {
                let mut duplicates = self.duplicates.borrow_mut();
                if duplicates.len() < DUPLICATES_MAX {
                    duplicates.push(path.text());
                }
            }
            found.insert(key, value);
        }
        Ok(Value::Object(found))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json_ok(text: &str) -> Decoded {
        decode(text.as_bytes(), Format::Json).unwrap()
    }

    #[test]
    fn duplicate_keys_are_noticed_with_their_path() {
        let decoded = json_ok(r#"{"spec":{"color":"a","l":[{"x":1,"x":2}],"color":"b"}}"#);
        assert_eq!(decoded.duplicates, ["spec.l[0].x", "spec.color"]);
        assert_eq!(decoded.value["spec"]["color"], "b");
    }

    #[test]
    fn bad_bytes_are_refused_without_a_panic() {
        let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
        let deep_maps = format!("{}1{}", "{\"a\":".repeat(10_000), "}".repeat(10_000));
        for bytes in [&b""[..], b"{", b"\xff\xfe", b"{\"a\":\"\xff\"}", b"{\"a\":1}\0", b"{\"a\": \0}", deep.as_bytes(), deep_maps.as_bytes()] {
            assert_eq!(decode(bytes, Format::Json).unwrap_err().code(), 400);
        }
        assert_eq!(decode(deep.as_bytes(), Format::Yaml).unwrap_err().code(), 400);
    }

    #[test]
    fn yaml_bombs_are_refused_quickly() {
        let mut bomb = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x]\n");
        for n in 1..12 {
            bomb.push_str(&format!("a{n}: &a{n} [{}]\n", vec![format!("*a{}", n - 1); 9].join(",")));
        }
        let started = std::time::Instant::now();
        assert_eq!(decode(bomb.as_bytes(), Format::Yaml).unwrap_err().code(), 400);
        assert!(started.elapsed().as_secs() < 20, "a bomb must not burn");
    }

    #[test]
    fn yaml_numbers_read_as_kubectl_reads_them() {
        let value = decode(b"a: 1.0\nb: 1e3\nc: 0644\nd: yes\n", Format::Yaml).unwrap().value;
        assert_eq!(value, serde_json::json!({"a": 1, "b": 1000, "c": 420, "d": true}));
    }
}
