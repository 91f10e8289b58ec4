//! Strategic merge patches of the standard kinds.

use berth_schema::patch::{BuiltinLists, strategic_merge_patch};
use serde_json::json;

use crate::input;
use crate::shape::{depth, size};

const KINDS: [(&str, &str); 5] = [
    ("", "ConfigMap"),
    ("", "Namespace"),
    ("", "ServiceAccount"),
    ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"),
    ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy"),
];

pub(crate) fn run(bytes: &[u8]) {
    let Some([document, patch]) = input::parts::<2>(bytes) else { return };
    let (Some(document), Some(patch)) = (input::json(document), input::json(patch)) else { return };
    if !document.is_object() {
        return;
    }
    for (group, kind) in KINDS {
        let lists = BuiltinLists::of(group, kind).unwrap();
        assert_eq!(strategic_merge_patch(&document, &json!({}), lists).as_ref(), Ok(&document), "an empty patch");
        match strategic_merge_patch(&document, &patch, lists) {
            Ok(patched) => {
                assert_eq!(strategic_merge_patch(&document, &patch, lists).as_ref(), Ok(&patched));
                assert!(depth(&patched) <= depth(&document).max(depth(&patch)) + 1);
                assert!(size(&patched) <= size(&document) + size(&patch), "{patched}");
            }
            Err(why) => assert!(why.to_string().len() <= 4 * bytes.len() + 512),
        }
    }
}
