//! Small private files, written only when they change.

use std::path::Path;

/// Writes a file that only its owner can read: beside its place, to disk, then into its place.
///
/// # Errors
/// What the file system says.
pub(crate) fn write_private(path: &Path, content: &[u8]) -> std::io::Result<()> {
    // On a full disk nothing new can be written: what stands there already must not stop a start.
    if std::fs::read(path).is_ok_and(|present| present == content) {
        return Ok(());
    }
    berth_identity::files::write_private(path, content)
}
