//! Quantities: the canonical form says the same, and the two readers agree.

use berth_cel::env::Env;
use berth_cel::{Activation, Budget, Program, compile};
use berth_types::Quantity;

use crate::input;

/// Kubernetes' largest amount, in billionths.
const LARGEST_NANOS: i128 = i64::MAX as i128 * 1_000_000_000;

pub(crate) fn run(bytes: &[u8]) {
    let Some(text) = input::text(bytes) else { return };
    let quantity = Quantity(text.to_owned());
    let (milli, units, nanos) = (quantity.milli(), quantity.units(), quantity.nanos());
    assert_eq!((milli.is_ok(), units.is_ok()), (nanos.is_ok(), nanos.is_ok()));
    if let Ok(canonical) = quantity.canonical() {
        let again = Quantity(canonical.clone());
        assert_eq!(again.nanos(), nanos, "{text} and {canonical}");
        assert_eq!(again.canonical().as_deref(), Ok(canonical.as_str()));
        assert!(nanos.is_ok() && canonical.len() <= 64, "{canonical}");
    }
    if text.len() > 100 {
        return;
    }
    let plain = text.bytes().all(|b| b.is_ascii_graphic() && b != b'\'' && b != b'\\');
    if !plain {
        assert!(nanos.is_err(), "{text:?}");
        return;
    }
    let checked = compile(&format!("isQuantity('{text}')"), &Env::new()).unwrap();
    let program = Program::new(&checked).unwrap();
    let is_one = program.eval(&Activation::new(), &mut Budget::default()).unwrap().as_bool();
    // What is above the largest amount, or has dozens of digits, may be too long for an expression.
    if text.len() <= 24 && nanos.is_ok_and(|nanos| nanos.abs() < LARGEST_NANOS) {
        assert_eq!(is_one, Some(true), "{text} is a quantity in an object and none in an expression");
    }
}
