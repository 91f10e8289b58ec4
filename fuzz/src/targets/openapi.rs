//! Documents of kinds whose schema somebody wrote: JSON, and the same as protobuf that can be read.

use std::sync::Arc;

use berth_schema::openapi::{KindDoc, v2_json, v2_protobuf, v3};

use crate::input;
use crate::shape::size;

pub(crate) fn run(bytes: &[u8]) {
    let Some(schema) = input::text(bytes).and_then(input::json) else { return };
    // Any JSON in place of the document: what is not there is left out.
    well_formed(&v2_protobuf(&schema));
    let text = |text: &str| text.to_owned();
    let kind = KindDoc {
        group: text("demo.example.com"),
        version: text("v1"),
        kind: text("Widget"),
        list_kind: text("WidgetList"),
        plural: text("widgets"),
        singular: text("widget"),
        namespaced: true,
        schema: Arc::new(schema.clone()),
        status: true,
        scale: true,
        strategic: false,
        verbs: ["get", "list", "watch", "create", "patch"].map(text).into(),
    };
    let kinds = [kind];
    let document = v2_json("Berth", "v1.0", &kinds);
    let wire = v2_protobuf(&document);
    well_formed(&wire);
    assert!(wire.len() <= 4 * size(&document), "{} bytes of {}", wire.len(), size(&document));
    let third = v3("Berth", "v1.0", &kinds);
    assert!(third.is_object() && document["definitions"].is_object());
}

/// Every field has its length.
fn well_formed(mut wire: &[u8]) {
    let varint = |rest: &mut &[u8]| {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let (byte, after) = rest.split_first().expect("a number ends");
            *rest = after;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return value;
            }
        }
        panic!("a number is too long");
    };
    while !wire.is_empty() {
        let tag = varint(&mut wire);
        let length = match tag & 7 {
            0 => {
                varint(&mut wire);
                0
            }
            1 => 8,
            2 => varint(&mut wire) as usize,
            other => panic!("wire type {other}"),
        };
        wire = wire.get(length..).expect("a field ends");
    }
}
