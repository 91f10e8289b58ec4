//! Protobuf's wire form, as much as is needed to write messages.

/// A message under construction.
#[derive(Default)]
pub(super) struct Message {
    bytes: Vec<u8>,
}

const VARINT: u32 = 0;
const FIXED64: u32 = 1;
const LENGTH_DELIMITED: u32 = 2;

impl Message {
    pub(super) fn text(&mut self, field: u32, text: &str) {
        if !text.is_empty() {
            self.chunk(field, text.as_bytes());
        }
    }

    /// A message inside; present even when empty.
    pub(super) fn message(&mut self, field: u32, message: &Message) {
        self.chunk(field, &message.bytes);
    }

    pub(super) fn boolean(&mut self, field: u32, value: bool) {
        if value {
            self.tag(field, VARINT);
            self.bytes.push(1);
        }
    }

    pub(super) fn integer(&mut self, field: u32, value: i64) {
        if value != 0 {
            self.tag(field, VARINT);
            self.varint(value as u64);
        }
    }

    pub(super) fn double(&mut self, field: u32, value: f64) {
        if value != 0.0 {
            self.tag(field, FIXED64);
            self.bytes.extend(value.to_le_bytes());
        }
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    fn chunk(&mut self, field: u32, bytes: &[u8]) {
        self.tag(field, LENGTH_DELIMITED);
        self.varint(bytes.len() as u64);
        self.bytes.extend_from_slice(bytes);
    }

    fn tag(&mut self, field: u32, kind: u32) {
        self.varint(u64::from(field << 3 | kind));
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }
}
