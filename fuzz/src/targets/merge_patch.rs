//! Merge patches: a second time changes nothing, and nothing grows but by what the patch has.

use berth_schema::patch::merge_patch;

use crate::input;
use crate::shape::{depth, size};

pub(crate) fn run(bytes: &[u8]) {
    let Some([document, patch]) = input::parts::<2>(bytes) else { return };
    let (Some(document), Some(patch)) = (input::json(document), input::json(patch)) else { return };
    match merge_patch(&document, &patch) {
        Ok(merged) => {
            assert_eq!(merge_patch(&merged, &patch).as_ref(), Ok(&merged));
            assert!(depth(&merged) <= depth(&document).max(depth(&patch)));
            assert!(size(&merged) <= size(&document) + size(&patch));
            if document.is_object() {
                assert_eq!(merge_patch(&document, &serde_json::json!({})).as_ref(), Ok(&document));
            }
        }
        Err(why) => assert!(!patch.is_object(), "{why}"),
    }
}
