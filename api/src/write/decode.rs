//! From bytes to a JSON value: bounded in size and depth, with every duplicate key noticed.

use std::cell::{Cell, RefCell};
use std::fmt;

use berth_schema::Path;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::map::Entry;
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
    // Without aliases the texts are part of the body.
    let text_left = Cell::new(usize::MAX);
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = Node { path: &Path::ROOT, depth: 0, duplicates: &duplicates, text_left: &text_left }
        .deserialize(&mut reader)
        .and_then(|value| reader.end().map(|()| value))
        .map_err(|error| ApiError::bad_request(format!("couldn't get version/kind; json parse error: {error}")))?;
    Ok(Decoded { value, duplicates: duplicates.into_inner() })
}

fn yaml(bytes: &[u8]) -> Result<Decoded, ApiError> {
    let text =
        std::str::from_utf8(bytes).map_err(|_| ApiError::bad_request("error decoding YAML: the body is not UTF-8"))?;
    // Most "YAML" bodies of clients are JSON, which is read faster and with duplicates noticed.
    if text.trim_start().starts_with('{')
        && let Ok(decoded) = json(bytes)
    {
        return Ok(decoded);
    }
    let mut alias_limits = serde_saphyr::options::AliasLimits::default();
    alias_limits.max_total_replayed_events = ALIAS_EVENTS_MAX;
    let options = serde_saphyr::options! {
        alias_limits: alias_limits,
        legacy_octal_numbers: true,
        duplicate_keys: serde_saphyr::options::DuplicateKeyPolicy::PassThrough,
    };
    let duplicates = RefCell::new(Vec::new());
    // An alias repeats a text as it repeats a value: a body may not become larger than any body may be.
    let text_left = Cell::new(BODY_BYTES_MAX.max(text.len()));
    let value = serde_saphyr::with_deserializer_from_str_with_options(text, options, |reader| {
        Node { path: &Path::ROOT, depth: 0, duplicates: &duplicates, text_left: &text_left }.deserialize(reader)
    })
    .map_err(|error| {
        ApiError::bad_request(format!("error decoding YAML: {}", in_words(one_line(&error.to_string()))))
    })?;
    Ok(Decoded { value: whole_numbers(value), duplicates: duplicates.into_inner() })
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

/// The parser's words, where they are meant for programmers, in those of users.
fn in_words(message: &str) -> &str {
    if message.contains("multiple YAML documents") {
        "the body must be one document, and has several"
    } else if message.contains("budget breached: Depth") {
        "nested too deep: at most 64 levels are read"
    } else if message.contains("budget breached") {
        "the document has too many parts"
    } else {
        message
    }
}

/// The first line of a message: parsers append pictures of the input.
fn one_line(message: &str) -> &str {
    message.lines().next().unwrap_or_default()
}

/// Builds one value and notes duplicate keys on the way.
#[derive(Clone, Copy)]
struct Node<'a> {
    path: &'a Path<'a>,
    depth: usize,
    duplicates: &'a RefCell<Vec<String>>,
    /// Bytes of texts and keys that may follow.
    text_left: &'a Cell<usize>,
}

impl Node<'_> {
    fn check_depth<E: serde::de::Error>(&self) -> Result<(), E> {
        if self.depth >= DEPTH_MAX {
            return Err(E::custom(format!("nested deeper than {DEPTH_MAX} levels")));
        }
        Ok(())
    }

    fn take<E: serde::de::Error>(&self, text: &str) -> Result<(), E> {
        let left = self.text_left.get().checked_sub(text.len());
        self.text_left.set(left.ok_or_else(|| E::custom("the document's aliases repeat too much text"))?);
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

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Value, E> {
        self.take(value)?;
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E: serde::de::Error>(self, value: String) -> Result<Value, E> {
        self.take(&value)?;
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
            let node = Node { path: &path, depth: self.depth + 1, ..self };
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
            self.take(&key)?;
            let value = {
                let path = self.path.field(&key);
                map.next_value_seed(Node { path: &path, depth: self.depth + 1, ..self })?
            };
            match found.entry(key) {
                Entry::Vacant(place) => {
                    place.insert(value);
                }
                Entry::Occupied(mut place) => {
                    let mut duplicates = self.duplicates.borrow_mut();
                    if duplicates.len() < DUPLICATES_MAX {
                        duplicates.push(self.path.field(place.key()).text());
                    }
                    place.insert(value);
                }
            }
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
        for bytes in [
            &b""[..],
            b"{",
            b"\xff\xfe",
            b"{\"a\":\"\xff\"}",
            b"{\"a\":1}\0",
            b"{\"a\": \0}",
            deep.as_bytes(),
            deep_maps.as_bytes(),
        ] {
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
    fn aliases_repeat_no_more_text_than_a_body_may_have() {
        const SIZE: usize = 100_000;
        let text = "x".repeat(SIZE);
        let document = |count| format!("a: &a \"{text}\"\nb: [{}]\n", vec!["*a"; count].join(","));
        let error = decode(document(BODY_BYTES_MAX / SIZE + 1).as_bytes(), Format::Yaml).unwrap_err();
        assert!(error.message().contains("repeat too much text"), "{}", error.message());
        assert!(decode(document(BODY_BYTES_MAX / SIZE - 2).as_bytes(), Format::Yaml).is_ok());
    }

    #[test]
    fn yaml_tells_duplicates_and_takes_brackets_in_texts() {
        let decoded = decode(b"a: 1\nb: {c: 1, c: 2}\na: 3\n", Format::Yaml).unwrap();
        assert_eq!(decoded.duplicates, ["b.c", "a"]);
        assert_eq!(decoded.value, serde_json::json!({"a": 3, "b": {"c": 2}}));
        let text = format!("a: \"{}\"\n", "[".repeat(5_000));
        assert_eq!(decode(text.as_bytes(), Format::Yaml).unwrap().value["a"].as_str().map(str::len), Some(5_000));
    }

    #[test]
    fn deep_yaml_is_refused_before_it_is_walked() {
        let indented: String = (0..2_000).map(|n| format!("{}a:\n", " ".repeat(n))).collect();
        for text in ["- ".repeat(500_000), "? ".repeat(100_000), "[".repeat(500_000), "{a: ".repeat(200_000), indented]
        {
            assert_eq!(decode(text.as_bytes(), Format::Yaml).unwrap_err().code(), 400);
        }
    }

    #[test]
    fn yaml_numbers_read_as_kubectl_reads_them() {
        let value = decode(b"a: 1.0\nb: 1e3\nc: 0644\nd: yes\n", Format::Yaml).unwrap().value;
        assert_eq!(value, serde_json::json!({"a": 1, "b": 1000, "c": 420, "d": true}));
    }
}
