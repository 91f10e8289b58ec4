//! Kubernetes' protobuf bodies of the standard kinds: read by a table of field numbers, never written (every client
//! accepts JSON answers).
//!
//! What comes out is the JSON that the same client would have sent: later steps cannot tell the difference.

mod read;
mod table;
#[cfg(test)]
mod tests;
mod typed;
mod wire;

use serde_json::Value;

use self::read::Messages;
use self::wire::{Reader, Wire};
use crate::status::ApiError;

#[cfg(feature = "fuzzing")]
pub(crate) use self::table::all_kinds;
pub(crate) use self::table::{Message, Type, message_of};
pub(crate) use self::typed::check_json;

/// What every envelope begins with.
const MAGIC: &[u8] = b"k8s\0";

/// Why bytes are not the message that they should be.
#[derive(Clone, Copy, Debug)]
struct Bad(&'static str);

/// Decodes a protobuf body of a standard kind into its JSON form. `group` is empty for the core group; options of a
/// delete are kind `DeleteOptions` of group `meta.k8s.io`.
///
/// # Errors
/// 415 for kinds that have no table, 400 for bytes that are not what they should be.
pub(crate) fn decode(bytes: &[u8], group: &str, kind: &str) -> Result<Value, ApiError> {
    let message =
        message_of(group, kind).ok_or_else(|| ApiError::unsupported_media("application/json, application/yaml"))?;
    object(bytes, message).map_err(|Bad(why)| ApiError::bad_request(format!("the protobuf body cannot be read: {why}")))
}

/// The envelope is a message of its own: type, content, and how the content is encoded.
fn object(bytes: &[u8], message: &Message) -> Result<Value, Bad> {
    let body = bytes.strip_prefix(MAGIC).ok_or(Bad("it does not begin with the magic bytes"))?;
    let (mut version, mut kind, mut raw): (&[u8], &[u8], &[u8]) = (&[], &[], &[]);
    let mut envelope = Reader(body);
    while let Some((number, wire)) = envelope.field()? {
        match number {
            1 => {
                let mut names = Reader(wire.bytes()?);
                while let Some((number, wire)) = names.field()? {
                    match number {
                        1 => version = wire.bytes()?,
                        2 => kind = wire.bytes()?,
                        _ => {}
                    }
                }
            }
            2 => raw = wire.bytes()?,
            3 if !is_empty(wire) => return Err(Bad("its content is encoded once more")),
            _ => {}
        }
    }
    let mut object = Messages::new().message(raw, message, 0)?;
    for (field, bytes) in [("apiVersion", version), ("kind", kind)] {
        if !bytes.is_empty() {
            let text = String::from_utf8(bytes.to_vec()).map_err(|_| Bad("a text is not UTF-8"))?;
            object.insert(field.to_owned(), text.into());
        }
    }
    Ok(Value::Object(object))
}

fn is_empty(wire: Wire<'_>) -> bool {
    wire.bytes().is_ok_and(<[u8]>::is_empty)
}
