//! JSON patches: the result is no deeper and no larger than a patch may make it.

use berth_schema::patch::json_patch;

use crate::input;
use crate::shape::{depth, size};

/// The patch's own limits: levels, and bytes that copies add.
const DEPTH_MAX: usize = 100;
const COPY_BYTES_MAX: usize = 3 << 20;

pub(crate) fn run(bytes: &[u8]) {
    let Some([document, operations]) = input::parts::<2>(bytes) else { return };
    let (Some(document), Some(operations)) = (input::json(document), input::json(operations)) else { return };
    let result = json_patch(&document, &operations);
    assert_eq!(result, json_patch(&document, &operations));
    match result {
        Ok(patched) => {
            assert!(depth(&patched) <= DEPTH_MAX);
            // An empty key of the patch may stand as `"":` and a comma in the result.
            assert!(size(&patched) <= size(&document) + 2 * size(&operations) + COPY_BYTES_MAX);
            let rest = [serde_json::json!([]), serde_json::json!([{"op": "test", "path": "", "value": patched}])];
            for nothing in rest {
                assert_eq!(json_patch(&patched, &nothing).as_ref(), Ok(&patched));
            }
        }
        Err(why) => assert!(why.to_string().len() <= 4 * bytes.len() + 512, "{} bytes", why.to_string().len()),
    }
}
