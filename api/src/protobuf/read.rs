//! From a message to the JSON that the same object has when it is sent as JSON.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Number, Value};

use super::Bad;
use super::table::{Field, Message, Type, Zero, message_named};
use super::wire::{Reader, Wire};

/// The deepest nesting of what comes out, as for JSON bodies.
const DEPTH_MAX: usize = 100;
/// Values that one body may have. A body of the largest size that is allowed holds fewer in any real object; one that
/// is made of empty messages (two bytes each) must not become a thousand times its size.
const VALUES_MAX: usize = 300_000;

/// Reads messages, within what is left of a body's allowance.
pub(super) struct Messages {
    left: usize,
}

impl Messages {
    pub(super) fn new() -> Self {
        Self { left: VALUES_MAX }
    }

    /// One more value.
    fn count(&mut self) -> Result<(), Bad> {
        self.left = self.left.checked_sub(1).ok_or(Bad("it has too many parts"))?;
        Ok(())
    }

    /// Reads a message.
    pub(super) fn message(&mut self, bytes: &[u8], message: &Message, depth: usize) -> Result<Map<String, Value>, Bad> {
        let mut out = Map::new();
        self.into(bytes, message, depth, &mut out)?;
        Ok(out)
    }

    /// Reads a message into members that may be there already: a message that comes in two pieces is one.
    fn into(&mut self, bytes: &[u8], message: &Message, depth: usize, out: &mut Map<String, Value>) -> Result<(), Bad> {
        if depth > DEPTH_MAX {
            return Err(Bad("it is nested too deep"));
        }
        let mut reader = Reader(bytes);
        while let Some((number, wire)) = reader.field()? {
            if let Some(field) = message.field(number) {
                self.field(wire, field, depth, out)?;
            }
        }
        for field in message.fields().iter().filter(|field| field.zero() == Zero::Always) {
            let zero = match field.kind() {
                Type::String => Value::from(""),
                Type::Bool => Value::from(false),
                Type::Int32 | Type::Int64 => Value::from(0),
                _ => continue,
            };
            if !out.contains_key(field.name()) {
                self.count()?;
                out.insert(field.name().to_owned(), zero);
            }
        }
        Ok(())
    }

    fn field(&mut self, wire: Wire<'_>, field: &Field, depth: usize, out: &mut Map<String, Value>) -> Result<(), Bad> {
        self.count()?;
        let name = field.name();
        match field.kind() {
            Type::Inline(inner) => return self.into(wire.bytes()?, inner.get(), depth + 1, out),
            Type::Message(inner) => {
                let slot = out.entry(name).or_insert_with(|| Value::Object(Map::new()));
                if let Value::Object(members) = slot {
                    self.into(wire.bytes()?, inner.get(), depth + 1, members)?;
                }
            }
            Type::List(inner) => {
                let slot = out.entry(name).or_insert_with(|| Value::Array(Vec::new()));
                if let Value::Array(items) = slot {
                    self.item(wire, inner, depth + 1, items)?;
                }
            }
            Type::Map(inner) => {
                let (key, value) = self.pair(wire.bytes()?, inner, depth + 1)?;
                let slot = out.entry(name).or_insert_with(|| Value::Object(Map::new()));
                if let Value::Object(members) = slot {
                    members.insert(key, value);
                }
            }
            scalar => match self.value(wire, scalar, depth + 1)? {
                Some(value) if field.zero() == Zero::Given || !is_zero(&value) => {
                    out.insert(name.to_owned(), value);
                }
                // The last of several counts, also when it is empty.
                _ => {
                    out.remove(name);
                }
            },
        }
        Ok(())
    }

    /// An item of a list, or several numbers in one piece.
    fn item(&mut self, wire: Wire<'_>, kind: &Type, depth: usize, items: &mut Vec<Value>) -> Result<(), Bad> {
        if let (Type::Int32 | Type::Int64 | Type::Bool, Wire::Bytes(packed)) = (kind, wire) {
            let mut reader = Reader(packed);
            while !reader.0.is_empty() {
                self.count()?;
                let number = Wire::Number(reader.varint()?);
                items.extend(self.value(number, kind, depth)?);
            }
            return Ok(());
        }
        items.push(self.value(wire, kind, depth)?.unwrap_or_default());
        Ok(())
    }

    /// An entry of a map: a message of a key and a value.
    fn pair(&mut self, bytes: &[u8], kind: &Type, depth: usize) -> Result<(String, Value), Bad> {
        let (mut key, mut value) = (String::new(), None);
        let mut reader = Reader(bytes);
        while let Some((number, wire)) = reader.field()? {
            match number {
                1 => key = text(wire)?,
                2 => value = self.value(wire, kind, depth)?,
                _ => {}
            }
        }
        let value = match value {
            Some(value) => value,
            None => self.value(Wire::Bytes(&[]), kind, depth)?.unwrap_or_default(),
        };
        Ok((key, value))
    }

    /// The JSON of one value; `None` for a time that is not set.
    fn value(&mut self, wire: Wire<'_>, kind: &Type, depth: usize) -> Result<Option<Value>, Bad> {
        Ok(Some(match kind {
            Type::String => Value::String(text(wire)?),
            Type::Bool => Value::Bool(wire.number()? != 0),
            // Negative numbers of 32 bits are written with 64.
            Type::Int32 => Value::from(wire.number()? as i32),
            Type::Int64 => Value::from(wire.number()? as i64),
            Type::Double => double(wire)?,
            Type::Bytes => Value::String(STANDARD.encode(wire.bytes()?)),
            Type::Time => return time(wire.bytes()?, "%Y-%m-%dT%H:%M:%SZ"),
            Type::MicroTime => return time(wire.bytes()?, "%Y-%m-%dT%H:%M:%S.%6fZ"),
            Type::Quantity => match content(wire.bytes()?)?.map(text).transpose()? {
                Some(text) if !text.is_empty() => Value::String(text),
                _ => Value::from("0"),
            },
            Type::Json => match content(wire.bytes()?)?.map(Wire::bytes).transpose()? {
                Some(raw) if !raw.is_empty() => {
                    serde_json::from_slice(raw).map_err(|_| Bad("a value that should be JSON is not"))?
                }
                _ => return Ok(None),
            },
            Type::Texts => {
                let mut reader = Reader(wire.bytes()?);
                let mut texts = Vec::new();
                while let Some((number, wire)) = reader.field()? {
                    if number == 1 {
                        self.count()?;
                        texts.push(Value::String(text(wire)?));
                    }
                }
                Value::Array(texts)
            }
            Type::SchemaOrBool | Type::SchemaOrSchemas | Type::SchemaOrTexts => {
                return self.choice(wire.bytes()?, kind, depth);
            }
            Type::Message(inner) | Type::Inline(inner) => {
                Value::Object(self.message(wire.bytes()?, inner.get(), depth)?)
            }
            Type::List(_) | Type::Map(_) => return Err(Bad("a list stands where none can")),
        }))
    }

    /// A schema, or what may stand in its place: JSON tells them apart by their type, a message by its fields.
    fn choice(&mut self, bytes: &[u8], kind: &Type, depth: usize) -> Result<Option<Value>, Bad> {
        let Some(schema_message) = message_named("extension.JSONSchemaProps") else { return Ok(None) };
        let (mut allows, mut schema, mut list) = (false, None, Vec::new());
        let mut reader = Reader(bytes);
        while let Some((number, wire)) = reader.field()? {
            self.count()?;
            match (kind, number) {
                (Type::SchemaOrBool, 1) => allows = wire.number()? != 0,
                (Type::SchemaOrBool, 2) | (_, 1) => {
                    schema = Some(Value::Object(self.message(wire.bytes()?, schema_message, depth)?));
                }
                (Type::SchemaOrSchemas, 2) => {
                    list.push(Value::Object(self.message(wire.bytes()?, schema_message, depth + 1)?));
                }
                (Type::SchemaOrTexts, 2) => list.push(Value::String(text(wire)?)),
                _ => {}
            }
        }
        Ok(match kind {
            Type::SchemaOrBool => Some(schema.unwrap_or(Value::Bool(allows))),
            _ if !list.is_empty() => Some(Value::Array(list)),
            _ => schema,
        })
    }
}

/// The value that was not given, where it looks the same as one that was.
fn is_zero(value: &Value) -> bool {
    match value {
        Value::String(text) => text.is_empty(),
        Value::Bool(flag) => !flag,
        Value::Number(number) => number.as_f64() == Some(0.0),
        _ => false,
    }
}

fn text(wire: Wire<'_>) -> Result<String, Bad> {
    String::from_utf8(wire.bytes()?.to_vec()).map_err(|_| Bad("a text is not UTF-8"))
}

/// The first field of a message that has no other.
fn content(bytes: &[u8]) -> Result<Option<Wire<'_>>, Bad> {
    let mut found = None;
    let mut reader = Reader(bytes);
    while let Some((number, wire)) = reader.field()? {
        if number == 1 {
            found = Some(wire);
        }
    }
    Ok(found)
}

/// Whole numbers have no fraction in Kubernetes' JSON.
fn double(wire: Wire<'_>) -> Result<Value, Bad> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let Wire::Fixed64(bits) = wire else { return Err(Bad("a field has another kind than it should")) };
    let float = f64::from_bits(bits);
    if float.fract() == 0.0 && float.abs() < EXACT {
        return Ok(Value::from(float as i64));
    }
    Number::from_f64(float).map(Value::Number).ok_or(Bad("a number is infinite"))
}

/// A time; an empty message is none.
fn time(bytes: &[u8], format: &str) -> Result<Option<Value>, Bad> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let (mut seconds, mut nanos) = (0i64, 0i32);
    let mut reader = Reader(bytes);
    while let Some((number, wire)) = reader.field()? {
        match number {
            1 => seconds = wire.number()? as i64,
            2 => nanos = wire.number()? as i32,
            _ => {}
        }
    }
    let out_of_range = Bad("a time is out of range");
    // The year 1 is how Go says "never".
    if seconds == GO_ZERO_SECONDS {
        return Ok(None);
    }
    if !(0..1_000_000_000).contains(&nanos) {
        return Err(out_of_range);
    }
    let time = jiff::Timestamp::new(seconds, nanos).map_err(|_| out_of_range)?;
    // Before the year 1 JSON has no form for it, nor has Go.
    if seconds < GO_ZERO_SECONDS {
        return Err(out_of_range);
    }
    Ok(Some(time.strftime(format).to_string().into()))
}

/// Seconds from 1970 to Go's zero time, the first day of the year 1.
const GO_ZERO_SECONDS: i64 = -62_135_596_800;
