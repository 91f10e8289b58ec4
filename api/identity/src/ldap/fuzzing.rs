//! The readers of LDAP as functions of bytes.

use super::{escape, filter::Filter, message};

/// A name and how many values its attributes have, of a message that tells an entry.
pub fn entry(content: &[u8], attribute: &str) -> Option<(String, usize)> {
    let (_, _, operation) = message::read(content).ok()?;
    let entry = message::entry(operation).ok()?;
    let count = entry.values(attribute).len();
    Some((entry.dn, count))
}

/// The code of a result.
pub fn result_code(content: &[u8]) -> Option<i64> {
    let (_, _, operation) = message::read(content).ok()?;
    message::result_code(operation).ok()
}

/// A filter as it goes over the wire.
pub fn filter(text: &str) -> Option<Vec<u8>> {
    Filter::parse(text).ok().map(|filter| filter.encode())
}

/// The value of a name's first part.
pub fn first_rdn_value(dn: &str) -> String {
    escape::first_rdn_value(dn)
}
