//! What a directory answers, and the filters and names that we make of what people type.

use berth_identity::fuzzing::{entry, filter, first_rdn_value, result_code};
use berth_identity::ldap::{escape_dn, escape_filter};

use crate::input;

pub(crate) fn run(bytes: &[u8]) {
    if let Some((dn, count)) = entry(bytes, "memberOf") {
        assert!(dn.len() + count <= bytes.len());
        let _ = first_rdn_value(&dn);
    }
    let _ = result_code(bytes);
    let Some(text) = input::text(bytes) else { return };
    if let Some(wire) = filter(text) {
        // A part of a filter has a tag, a length and an attribute's tag and length around it, one in the other.
        assert!(wire.len() <= 8 * text.len() + 16, "{} bytes of {}", wire.len(), text.len());
    }
    let typed = format!("(&(objectClass=person)(uid={}))", escape_filter(text));
    let usual = filter("(&(objectClass=person)(uid=))").unwrap();
    let wire = filter(&typed).expect("what is escaped is a value");
    assert!(wire.len() >= usual.len() + text.len() && wire.ends_with(text.as_bytes()), "and nothing but the value");
    assert_eq!(first_rdn_value(&format!("uid={},dc=x", escape_dn(text))), text, "a name is a name");
}
