//! Search filters in their text form (RFC 4515), and as they go over the wire (RFC 4511, 4.5.1.7).

use super::escape::hex_digit;
use crate::der;

/// Deepest nesting that is read.
const DEPTH_MAX: usize = 16;

/// A filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Filter {
    And(Vec<Filter>),
    Or(Vec<Filter>),
    Not(Box<Filter>),
    Equal(String, Vec<u8>),
    AtLeast(String, Vec<u8>),
    AtMost(String, Vec<u8>),
    Present(String),
    /// The pieces between the stars; the first and the last may be empty.
    Pieces(String, Vec<Vec<u8>>),
}

/// A filter is not well-formed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct FilterError(&'static str);

impl Filter {
    /// Reads a filter.
    pub(super) fn parse(text: &str) -> Result<Self, FilterError> {
        let mut parser = Parser { rest: text };
        let filter = parser.filter(0)?;
        if parser.rest.is_empty() { Ok(filter) } else { Err(FilterError("something follows the filter")) }
    }

    /// The filter as bytes of a search.
    pub(super) fn encode(&self) -> Vec<u8> {
        let pair = |tag: u8, attribute: &str, value: &[u8]| {
            let attribute = der::tlv(der::OCTET_STRING, attribute.as_bytes());
            der::constructed(tag, &[&attribute, &der::tlv(der::OCTET_STRING, value)])
        };
        let all = |tag: u8, parts: &[Self]| der::tlv(tag, &parts.iter().flat_map(Self::encode).collect::<Vec<u8>>());
        match self {
            Self::And(parts) => all(0xa0, parts),
            Self::Or(parts) => all(0xa1, parts),
            Self::Not(part) => der::tlv(0xa2, &part.encode()),
            Self::Equal(attribute, value) => pair(0xa3, attribute, value),
            Self::AtLeast(attribute, value) => pair(0xa5, attribute, value),
            Self::AtMost(attribute, value) => pair(0xa6, attribute, value),
            Self::Present(attribute) => der::tlv(0x87, attribute.as_bytes()),
            Self::Pieces(attribute, pieces) => {
                let last = pieces.len().saturating_sub(1);
                let mut encoded = Vec::new();
                for (index, piece) in pieces.iter().enumerate().filter(|(_, piece)| !piece.is_empty()) {
                    let tag = if index == 0 {
                        0x80
                    } else if index == last {
                        0x82
                    } else {
                        0x81
                    };
                    encoded.extend(der::tlv(tag, piece));
                }
                let attribute = der::tlv(der::OCTET_STRING, attribute.as_bytes());
                der::constructed(0xa4, &[&attribute, &der::tlv(der::SEQUENCE, &encoded)])
            }
        }
    }
}

struct Parser<'a> {
    rest: &'a str,
}

impl<'a> Parser<'a> {
    fn take(&mut self, token: char) -> bool {
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn filter(&mut self, depth: usize) -> Result<Filter, FilterError> {
        if depth > DEPTH_MAX {
            return Err(FilterError("the filter is nested too deeply"));
        }
        if !self.take('(') {
            return Err(FilterError("a filter starts with a parenthesis"));
        }
        let filter = if self.take('&') {
            Filter::And(self.several(depth)?)
        } else if self.take('|') {
            Filter::Or(self.several(depth)?)
        } else if self.take('!') {
            Filter::Not(Box::new(self.filter(depth + 1)?))
        } else {
            self.comparison()?
        };
        if self.take(')') { Ok(filter) } else { Err(FilterError("a parenthesis is not closed")) }
    }

    fn several(&mut self, depth: usize) -> Result<Vec<Filter>, FilterError> {
        let mut parts = Vec::new();
        while self.rest.starts_with('(') {
            parts.push(self.filter(depth + 1)?);
        }
        if parts.is_empty() { Err(FilterError("& and | need filters")) } else { Ok(parts) }
    }

    fn comparison(&mut self) -> Result<Filter, FilterError> {
        let end = self.rest.find([')', '(']).ok_or(FilterError("a parenthesis is not closed"))?;
        let (text, rest) = self.rest.split_at(end);
        self.rest = rest;
        let (left, value) = text.split_once('=').ok_or(FilterError("a comparison has no ="))?;
        let (attribute, kind) = match left.as_bytes().last() {
            Some(kind @ (b'>' | b'<')) => (&left[..left.len() - 1], Some(*kind)),
            _ => (left, None),
        };
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b';');
        if attribute.is_empty() || !attribute.bytes().all(plain) {
            return Err(FilterError("an attribute's name has letters, digits, '-', '.' and ';' only"));
        }
        let attribute = attribute.to_owned();
        match kind {
            Some(b'>') => Ok(Filter::AtLeast(attribute, unescape(value)?)),
            Some(_) => Ok(Filter::AtMost(attribute, unescape(value)?)),
            None if value == "*" => Ok(Filter::Present(attribute)),
            None if value.contains('*') => {
                let pieces: Result<Vec<_>, _> = value.split('*').map(unescape).collect();
                Ok(Filter::Pieces(attribute, pieces?))
            }
            None => Ok(Filter::Equal(attribute, unescape(value)?)),
        }
    }
}

fn unescape(text: &str) -> Result<Vec<u8>, FilterError> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        let mut digit = || bytes.next().and_then(hex_digit).ok_or(FilterError("after \\ come two hex digits"));
        let (high, low) = (digit()?, digit()?);
        out.push(high << 4 | low);
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_read_as_the_standard_says() {
        let eq = |a: &str, v: &str| Filter::Equal(a.to_owned(), v.as_bytes().to_vec());
        assert_eq!(Filter::parse("(cn=Babs Jensen)"), Ok(eq("cn", "Babs Jensen")));
        assert_eq!(Filter::parse("(!(cn=Tim Howes))"), Ok(Filter::Not(Box::new(eq("cn", "Tim Howes")))));
        assert_eq!(
            Filter::parse("(&(objectClass=Person)(|(sn=Jensen)(cn=Babs J*)))"),
            Ok(Filter::And(vec![
                eq("objectClass", "Person"),
                Filter::Or(vec![eq("sn", "Jensen"), Filter::Pieces("cn".into(), vec![b"Babs J".to_vec(), vec![]])])
            ]))
        );
        assert_eq!(Filter::parse(r"(cn=*\2A*)"), Ok(Filter::Pieces("cn".into(), vec![vec![], b"*".to_vec(), vec![]])));
        assert_eq!(Filter::parse("(age>=18)"), Ok(Filter::AtLeast("age".into(), b"18".to_vec())));
        assert_eq!(Filter::parse("(mail=*)"), Ok(Filter::Present("mail".into())));
        for bad in
            ["", "cn=a", "(cn=a", "(cn=a))", "(&)", "(cn)", "(=a)", r"(cn=\2)", r"(cn=\zz)", "(c n=a)", "(cn=a(b)"]
        {
            assert!(Filter::parse(bad).is_err(), "{bad}");
        }
        assert!(Filter::parse(&format!("{}(a=b){}", "(!".repeat(100), ")".repeat(100))).is_err());
    }

    #[test]
    fn filters_are_sent_as_the_standard_says() {
        assert_eq!(Filter::parse("(a=b)").unwrap().encode(), [0xa3, 6, 4, 1, b'a', 4, 1, b'b']);
        assert_eq!(Filter::parse("(a=*)").unwrap().encode(), [0x87, 1, b'a']);
        let pieces = Filter::parse("(a=b*c)").unwrap().encode();
        assert_eq!(pieces, [0xa4, 11, 4, 1, b'a', 0x30, 6, 0x80, 1, b'b', 0x82, 1, b'c']);
    }
}
