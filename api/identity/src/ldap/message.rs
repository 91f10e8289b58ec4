//! LDAP messages (RFC 4511): the five that a login sends, and what comes back.

use super::filter::Filter;
use crate::der::{self, Malformed, Reader};

pub(super) const BIND_RESPONSE: u8 = 0x61;
pub(super) const SEARCH_ENTRY: u8 = 0x64;
pub(super) const SEARCH_DONE: u8 = 0x65;
pub(super) const SEARCH_REFERENCE: u8 = 0x73;
pub(super) const EXTENDED_RESPONSE: u8 = 0x78;

/// StartTLS (RFC 4511, 4.14).
const START_TLS: &[u8] = b"1.3.6.1.4.1.1466.20037";

/// Most values of an entry that are taken.
const VALUES_MAX: usize = 2000;

/// How deep a search goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    Base,
    Subtree,
}

/// An object of the directory, as far as it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub dn: String,
    attributes: Vec<(String, Vec<String>)>,
}

impl Entry {
    /// The values of an attribute; its name's case does not matter.
    pub(crate) fn values(&self, attribute: &str) -> &[String] {
        let found = self.attributes.iter().find(|(name, _)| name.eq_ignore_ascii_case(attribute));
        found.map_or(&[], |(_, values)| values)
    }
}

fn message(id: i64, operation: Vec<u8>) -> Vec<u8> {
    der::constructed(der::SEQUENCE, &[&der::integer(der::INTEGER, id), &operation])
}

/// A simple bind, LDAP version 3.
pub(super) fn bind(id: i64, dn: &str, password: &str) -> Vec<u8> {
    let version = der::integer(der::INTEGER, 3);
    let name = der::tlv(der::OCTET_STRING, dn.as_bytes());
    message(id, der::constructed(0x60, &[&version, &name, &der::tlv(0x80, password.as_bytes())]))
}

/// The wish to speak TLS from now on.
pub(super) fn start_tls(id: i64) -> Vec<u8> {
    message(id, der::tlv(0x77, &der::tlv(0x80, START_TLS)))
}

/// The end.
pub(super) fn unbind(id: i64) -> Vec<u8> {
    message(id, der::tlv(0x42, &[]))
}

/// A search for at most `size` entries.
pub(super) fn search(id: i64, base: &str, scope: Scope, size: i64, filter: &Filter, attributes: &[&str]) -> Vec<u8> {
    let scope = if scope == Scope::Base { 0 } else { 2 };
    let wanted: Vec<u8> = attributes.iter().flat_map(|a| der::tlv(der::OCTET_STRING, a.as_bytes())).collect();
    let parts: [&[u8]; 8] = [
        &der::tlv(der::OCTET_STRING, base.as_bytes()),
        &der::integer(der::ENUMERATED, scope),
        // Aliases are not followed: an alias could lead out of the base.
        &der::integer(der::ENUMERATED, 0),
        &der::integer(der::INTEGER, size),
        // The server's own time limit; ours is around the whole login.
        &der::integer(der::INTEGER, 30),
        &der::tlv(der::BOOLEAN, &[0]),
        &filter.encode(),
        &der::tlv(der::SEQUENCE, &wanted),
    ];
    message(id, der::constructed(0x63, &parts))
}

/// A message's id, the kind of its operation, and the operation.
pub(super) fn read(content: &[u8]) -> Result<(i64, u8, &[u8]), Malformed> {
    let mut reader = Reader::new(content);
    let id = reader.int(der::INTEGER)?;
    let (tag, operation) = reader.next()?;
    Ok((id, tag, operation))
}

/// The code of a result: 0 is success, 49 is "invalid credentials".
pub(super) fn result_code(operation: &[u8]) -> Result<i64, Malformed> {
    Reader::new(operation).int(der::ENUMERATED)
}

/// An entry that was found.
pub(super) fn entry(operation: &[u8]) -> Result<Entry, Malformed> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).map_err(|_| Malformed);
    let mut reader = Reader::new(operation);
    let dn = text(reader.expect(der::OCTET_STRING)?)?;
    let mut list = Reader::new(reader.expect(der::SEQUENCE)?);
    let mut attributes = Vec::new();
    let mut count = 0;
    while !list.is_empty() {
        let mut attribute = Reader::new(list.expect(der::SEQUENCE)?);
        let name = text(attribute.expect(der::OCTET_STRING)?)?;
        let mut set = Reader::new(attribute.expect(der::SET)?);
        let mut values = Vec::new();
        while !set.is_empty() && count < VALUES_MAX {
            count += 1;
            // A value that is no text (a photo) is nobody's name.
            values.extend(text(set.expect(der::OCTET_STRING)?).ok());
        }
        attributes.push((name, values));
    }
    Ok(Entry { dn, attributes })
}
