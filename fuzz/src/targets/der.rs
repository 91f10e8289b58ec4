//! Tag, length, value: what is read is read again from what is written.

use berth_identity::fuzzing::{der_number, der_values};

pub(crate) fn run(bytes: &[u8]) {
    let (values, written) = der_values(bytes);
    assert!(written.len() <= bytes.len(), "lengths are written as short as they can be");
    assert_eq!(der_values(&written), (values, written.clone()));
    if let Some((number, written)) = der_number(bytes) {
        assert_eq!(der_number(&written).map(|(again, _)| again), Some(number));
    }
}
