//! What reads messages of directories, as functions of bytes: for the crate that fuzzes them. Behind a feature that
//! nothing which ships turns on.

use crate::der::{self, Reader};
use crate::ldap::fuzzing as ldap;

pub use ldap::{entry, filter, first_rdn_value, result_code};

/// The values that stand behind one another, and the same written anew.
pub fn der_values(bytes: &[u8]) -> (Vec<(u8, Vec<u8>)>, Vec<u8>) {
    let (mut reader, mut values, mut again) = (Reader::new(bytes), Vec::new(), Vec::new());
    while let Ok((tag, content)) = reader.next() {
        again.extend(der::tlv(tag, content));
        values.push((tag, content.to_vec()));
    }
    (values, again)
}

/// A number as DER reads it, and the same written anew.
pub fn der_number(bytes: &[u8]) -> Option<(i64, Vec<u8>)> {
    let number = Reader::new(bytes).int(der::INTEGER).ok()?;
    Some((number, der::integer(der::INTEGER, number)))
}
