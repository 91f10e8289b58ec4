//! Whether a JSON body fits the types of a standard kind: what Kubernetes' typed decoding refuses before any rule is
//! looked at. Errors name types and places, never values: they may be secrets.

use base64::DecodeError;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::table::{Field, Message, Type, message_of};

/// The message whose content is checked where definitions are.
const SCHEMA: &str = "JSONSchemaProps";

/// Checks the types of an object as it was sent.
///
/// # Errors
/// What does not fit, in the words of Go's decoder.
pub(crate) fn check_json(group: &str, kind: &str, object: &Value) -> Result<(), String> {
    match message_of(group, kind) {
        Some(message) => Walk { kind }.members(object, message, ""),
        None => Ok(()),
    }
}

struct Walk<'a> {
    kind: &'a str,
}

impl Walk<'_> {
    fn members(&self, object: &Value, message: &Message, at: &str) -> Result<(), String> {
        let Value::Object(members) = object else { return self.mismatch(object, at, &go_struct(message)) };
        for field in message.fields() {
            if let Type::Inline(inner) = field.kind() {
                self.members(object, inner.get(), at)?;
            } else if let Some(value) = members.get(field.name()).filter(|value| !value.is_null()) {
                // The server's own check of metadata is older than the object, and says more.
                if field.name() != "metadata" || !at.is_empty() {
                    self.field(value, field, at)?;
                }
            }
        }
        Ok(())
    }

    fn field(&self, value: &Value, field: &Field, at: &str) -> Result<(), String> {
        let at = if at.is_empty() { field.name().to_owned() } else { format!("{at}.{}", field.name()) };
        self.value(value, field.kind(), &at)
    }

    fn value(&self, value: &Value, kind: &Type, at: &str) -> Result<(), String> {
        let fits = match kind {
            Type::String => value.is_string(),
            Type::Bool => value.is_boolean(),
            Type::Int32 => value.as_i64().is_some_and(|number| i32::try_from(number).is_ok()),
            Type::Int64 => value.as_i64().is_some(),
            Type::Double => value.is_number(),
            Type::Quantity => value.is_string() || value.is_number(),
            Type::Texts => value.as_array().is_some_and(|items| items.iter().all(Value::is_string)),
            Type::Bytes => return self.bytes(value, at),
            Type::Time => return self.time(value, at, "2006-01-02T15:04:05Z07:00", false),
            Type::MicroTime => return self.time(value, at, "2006-01-02T15:04:05.000000Z07:00", true),
            Type::Json | Type::SchemaOrBool | Type::SchemaOrSchemas | Type::SchemaOrTexts => true,
            Type::Message(inner) if inner.get().short_name() == SCHEMA => value.is_object(),
            Type::Message(inner) | Type::Inline(inner) => return self.members(value, inner.get(), at),
            Type::List(inner) => {
                let Value::Array(items) = value else { return self.mismatch(value, at, &go_type(kind)) };
                return items.iter().filter(|item| !item.is_null()).try_for_each(|item| self.value(item, inner, at));
            }
            Type::Map(inner) => {
                let Value::Object(entries) = value else { return self.mismatch(value, at, &go_type(kind)) };
                return entries.values().filter(|v| !v.is_null()).try_for_each(|item| self.value(item, inner, at));
            }
        };
        if fits { Ok(()) } else { self.mismatch(value, at, &go_type(kind)) }
    }

    fn mismatch(&self, value: &Value, at: &str, wanted: &str) -> Result<(), String> {
        let given = match value {
            Value::Null => "null",
            Value::Bool(_) => "bool",
            Value::Number(_) => "number",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        };
        let dot = if at.is_empty() { "" } else { "." };
        Err(format!("json: cannot unmarshal {given} into Go struct field {}{dot}{at} of type {wanted}", self.kind))
    }

    fn bytes(&self, value: &Value, at: &str) -> Result<(), String> {
        let Value::String(text) = value else { return self.mismatch(value, at, "[]uint8") };
        // Go's decoder skips line breaks.
        let decoded = if text.contains(['\n', '\r']) {
            STANDARD.decode(text.replace(['\n', '\r'], ""))
        } else {
            STANDARD.decode(text)
        };
        match decoded {
            Ok(_) => Ok(()),
            Err(error) => Err(format!("illegal base64 data at input byte {}", offset(&error, text.len()))),
        }
    }

    fn time(&self, value: &Value, at: &str, layout: &str, micro: bool) -> Result<(), String> {
        let Value::String(text) = value else { return self.mismatch(value, at, "string") };
        let has_micros = || {
            let fraction = text.split('.').nth(1).unwrap_or_default();
            fraction.bytes().take_while(u8::is_ascii_digit).count() == 6
        };
        let is_time = text.contains('T') && text.parse::<jiff::Timestamp>().is_ok();
        if is_time && (!micro || has_micros()) {
            return Ok(());
        }
        let shown: String = text.chars().take(40).collect();
        Err(format!("parsing time {shown:?} as {layout:?}: cannot parse {shown:?} as {layout:?}"))
    }
}

fn offset(error: &DecodeError, length: usize) -> usize {
    match error {
        DecodeError::InvalidByte(at, _) | DecodeError::InvalidLastSymbol(at, _) => *at,
        DecodeError::InvalidLength(_) | DecodeError::InvalidPadding => length,
    }
}

fn go_struct(message: &Message) -> String {
    format!("v1.{}", message.short_name())
}

fn go_type(kind: &Type) -> String {
    match kind {
        Type::String | Type::Time | Type::MicroTime => "string".to_owned(),
        Type::Bool => "bool".to_owned(),
        Type::Int32 => "int32".to_owned(),
        Type::Int64 => "int64".to_owned(),
        Type::Double => "float64".to_owned(),
        Type::Bytes => "[]uint8".to_owned(),
        Type::Quantity => "resource.Quantity".to_owned(),
        Type::Texts => "[]string".to_owned(),
        Type::Json | Type::SchemaOrBool | Type::SchemaOrSchemas | Type::SchemaOrTexts => "v1.JSON".to_owned(),
        Type::Message(inner) | Type::Inline(inner) => go_struct(inner.get()),
        Type::List(inner) => format!("[]{}", go_type(inner)),
        Type::Map(inner) => format!("map[string]{}", go_type(inner)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_does_not_fit_is_named_by_type_and_place() {
        let cases = [
            (
                "",
                "ConfigMap",
                json!({"data": {"a": 1}}),
                "json: cannot unmarshal number into Go struct field ConfigMap.data of type string",
            ),
            (
                "",
                "ConfigMap",
                json!({"data": []}),
                "json: cannot unmarshal array into Go struct field ConfigMap.data of type map[string]string",
            ),
            ("", "Secret", json!({"data": {"a": "hunter2!"}}), "illegal base64 data at input byte 7"),
            (
                "coordination.k8s.io",
                "Lease",
                json!({"spec": {"leaseDurationSeconds": "x"}}),
                "json: cannot unmarshal string into Go struct field Lease.spec.leaseDurationSeconds of type int32",
            ),
        ];
        for (group, kind, object, why) in cases {
            assert_eq!(check_json(group, kind, &object).unwrap_err(), why);
        }
        let micro = |time: &str| check_json("coordination.k8s.io", "Lease", &json!({"spec": {"renewTime": time}}));
        assert!(micro("2026-01-01T00:00:00.000000Z").is_ok());
        assert!(micro("2026-01-01T00:00:00Z").unwrap_err().starts_with("parsing time"));
    }
}
