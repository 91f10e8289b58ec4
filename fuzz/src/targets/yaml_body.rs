//! YAML bodies: what is read is read again as JSON, and aliases make no bombs.

use berth_api::fuzzing::body;

use crate::shape::{depth, weight};

/// What aliases may add, in values and in bytes of text.
const ALIAS_VALUES_MAX: usize = 20_000;
const TEXT_BYTES_MAX: usize = 3 << 20;

pub(crate) fn run(bytes: &[u8]) {
    match body(bytes, true) {
        Ok((value, duplicates)) => {
            let (values, text) = weight(&value);
            assert!(depth(&value) <= 100 && duplicates.len() <= 64);
            assert!(values <= bytes.len() + ALIAS_VALUES_MAX + 1, "{values} values of {} bytes", bytes.len());
            // Escapes in a text make it shorter, aliases longer.
            assert!(text <= TEXT_BYTES_MAX.max(bytes.len()), "{text} bytes of text of {} bytes", bytes.len());
            assert_eq!(body(value.to_string().as_bytes(), false), Ok((value, Vec::new())));
        }
        Err((code, why)) => {
            assert_eq!(code, 400);
            assert!(why.len() <= 4 * bytes.len() + 1024, "{} bytes of error", why.len());
        }
    }
}
