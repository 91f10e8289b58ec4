//! What a webhook answers: never more patch than was sent.

use berth_api::fuzzing::admission_answer;

pub(crate) fn run(bytes: &[u8]) {
    for (old, mutating) in [(false, false), (false, true), (true, false), (true, true)] {
        match admission_answer(old, mutating, bytes) {
            Ok((_, patch)) => assert!(patch.len() <= bytes.len(), "a patch is told in base64"),
            Err(why) => assert!(why.len() <= 6 * bytes.len() + 512, "an error does not grow with the input: {why}"),
        }
    }
}
