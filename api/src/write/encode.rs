//! From a JSON value to bytes, once: the stored form has no resourceVersion, the answered form gets it spliced in.

use bytes::Bytes;
use serde_json::Value;

/// An object's bytes, and where its metadata begins.
#[derive(Debug)]
pub(crate) struct Encoded {
    bytes: Bytes,
    /// Position after the `{` of the metadata.
    metadata_at: usize,
    metadata_is_empty: bool,
}

impl Encoded {
    /// Serialises an object that has metadata without a resourceVersion.
    pub(crate) fn new(object: &Value) -> Self {
        let mut out = Vec::with_capacity(1024);
        let mut metadata_at = 1;
        let mut metadata_is_empty = true;
        out.push(b'{');
        for (index, (name, value)) in object.as_object().into_iter().flatten().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            serde_json::to_writer(&mut out, name).expect("text serialises");
            out.push(b':');
            if name == "metadata" {
                metadata_at = out.len() + 1;
                metadata_is_empty = value.as_object().is_none_or(serde_json::Map::is_empty);
            }
            serde_json::to_writer(&mut out, value).expect("plain data serialises");
        }
        out.push(b'}');
        Self { bytes: out.into(), metadata_at, metadata_is_empty }
    }

    /// The stored form.
    pub(crate) fn stored(&self) -> Bytes {
        self.bytes.clone()
    }

    /// The answered form.
    pub(crate) fn with_revision(&self, revision: u64) -> Bytes {
        let comma = if self.metadata_is_empty { "" } else { "," };
        let field = format!("\"resourceVersion\":\"{revision}\"{comma}");
        let mut out = Vec::with_capacity(self.bytes.len() + field.len());
        out.extend_from_slice(&self.bytes[..self.metadata_at]);
        out.extend_from_slice(field.as_bytes());
        out.extend_from_slice(&self.bytes[self.metadata_at..]);
        out.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_revision_lands_in_the_metadata_of_the_object() {
        let object = serde_json::json!({"data": {"metadata": {"x": 1}}, "metadata": {"name": "a"}});
        let text = Encoded::new(&object).with_revision(7);
        let back: Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(back["metadata"], serde_json::json!({"name": "a", "resourceVersion": "7"}));
        assert_eq!(back["data"], object["data"]);
    }
}
