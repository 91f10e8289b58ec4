//! From bytes to what a target takes.

use serde_json::Value;

/// The bytes as text; what is no text is for those targets that take bytes.
pub(crate) fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

/// Several texts, parted by lines of `---`; missing ones are empty.
pub(crate) fn parts<const N: usize>(bytes: &[u8]) -> Option<[&str; N]> {
    let mut rest = text(bytes)?.splitn(N, "\n---\n");
    Some(std::array::from_fn(|_| rest.next().unwrap_or_default()))
}

/// JSON as the server reads it: no deeper than it lets in.
pub(crate) fn json(text: &str) -> Option<Value> {
    berth_api::fuzzing::body(text.as_bytes(), false).ok().map(|(value, _)| value)
}
