//! Query strings and the options in them.

use berth_api::fuzzing;

use crate::input;

pub(crate) fn run(bytes: &[u8]) {
    let Some([query, options]) = input::parts::<2>(bytes) else { return };
    let body = input::json(options);
    assert_eq!(fuzzing::query(query, body.as_ref()), fuzzing::query(query, body.as_ref()));
    let _ = fuzzing::query(query, None);
}
