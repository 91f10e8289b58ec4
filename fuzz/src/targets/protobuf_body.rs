//! Protobuf bodies, read as every kind that there is: what comes out fits the kind's types and is bounded.

use std::sync::OnceLock;

use berth_api::fuzzing::{protobuf_body, protobuf_kinds, typed};

use crate::shape::{depth, weight};

/// The server's limits: values, levels.
const VALUES_MAX: usize = 300_000;
const DEPTH_MAX: usize = 110;

pub(crate) fn run(bytes: &[u8]) {
    static KINDS: OnceLock<Vec<(&'static str, &'static str)>> = OnceLock::new();
    let kinds = KINDS.get_or_init(protobuf_kinds);
    // As it stands, and as the content of an envelope.
    let mut wrapped = b"k8s\0\x12".to_vec();
    let mut length = bytes.len();
    while length >= 0x80 {
        wrapped.push(length as u8 | 0x80);
        length >>= 7;
    }
    wrapped.push(length as u8);
    wrapped.extend_from_slice(bytes);
    let body = if bytes.starts_with(b"k8s\0") { bytes } else { &wrapped };
    for (group, kind) in kinds {
        match protobuf_body(body, group, kind) {
            Ok(object) => {
                let (values, text) = weight(&object);
                assert!(values <= 2 * VALUES_MAX && depth(&object) <= DEPTH_MAX, "{kind}: {values} values");
                // Bytes become base64, and names of fields come from the table.
                assert!(text <= 2 * body.len() + 64 * values, "{kind}: {text} bytes of text");
                // A field may stand in JSON text inside a message: that is looked at elsewhere.
                assert_eq!(typed(group, kind, &object), Ok(()), "{kind}: {object}");
            }
            Err((code, why)) => assert!(code == 400 && why.len() < 200, "{kind}: {code} {why}"),
        }
    }
}
