//! Tag, length, value: the little of DER and BER that keys, certificates and LDAP messages need.

/// A value is not well-formed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a value's tag or length is not well-formed")]
pub(crate) struct Malformed;

pub(crate) const BOOLEAN: u8 = 0x01;
pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const BIT_STRING: u8 = 0x03;
pub(crate) const OCTET_STRING: u8 = 0x04;
pub(crate) const NULL: u8 = 0x05;
pub(crate) const OID: u8 = 0x06;
pub(crate) const ENUMERATED: u8 = 0x0a;
pub(crate) const UTC_TIME: u8 = 0x17;
pub(crate) const GENERALIZED_TIME: u8 = 0x18;
pub(crate) const SEQUENCE: u8 = 0x30;
pub(crate) const SET: u8 = 0x31;

/// One value with its tag and length.
pub(crate) fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let mut out = Vec::with_capacity(length + 6);
    out.push(tag);
    if length < 0x80 {
        out.push(length as u8);
    } else {
        let bytes = (length as u64).to_be_bytes();
        let skip = bytes.iter().take_while(|b| **b == 0).count();
        out.push(0x80 | (bytes.len() - skip) as u8);
        out.extend_from_slice(&bytes[skip..]);
    }
    out.extend_from_slice(content);
    out
}

/// A constructed value of several parts.
pub(crate) fn constructed(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    tlv(tag, &parts.concat())
}

/// An integer, as short as it can be.
pub(crate) fn integer(tag: u8, value: i64) -> Vec<u8> {
    let bytes = value.to_be_bytes();
    let redundant = |w: &[u8]| (w[0] == 0 && w[1] < 0x80) || (w[0] == 0xff && w[1] >= 0x80);
    let skip = bytes.windows(2).take_while(|w| redundant(w)).count();
    tlv(tag, &bytes[skip..])
}

/// An unsigned big-endian number: a zero goes before a set top bit.
pub(crate) fn unsigned(bytes: &[u8]) -> Vec<u8> {
    let skip = bytes.iter().take_while(|b| **b == 0).count().min(bytes.len().saturating_sub(1));
    let bytes = &bytes[skip..];
    if bytes.first().is_some_and(|b| b & 0x80 != 0) {
        return tlv(INTEGER, &[&[0], bytes].concat());
    }
    tlv(INTEGER, bytes)
}

/// A bit string of whole bytes.
pub(crate) fn bits(bytes: &[u8]) -> Vec<u8> {
    tlv(BIT_STRING, &[&[0], bytes].concat())
}

/// Reads values one after the other. Lengths of up to four bytes, low tag numbers only.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next value's tag and content.
    pub(crate) fn next(&mut self) -> Result<(u8, &'a [u8]), Malformed> {
        let (tag, content, rest) = split(self.rest)?.ok_or(Malformed)?;
        self.rest = rest;
        Ok((tag, content))
    }

    /// The next value, which must have this tag.
    pub(crate) fn expect(&mut self, tag: u8) -> Result<&'a [u8], Malformed> {
        let (found, content) = self.next()?;
        if found == tag { Ok(content) } else { Err(Malformed) }
    }

    /// The next number; at most eight bytes.
    pub(crate) fn int(&mut self, tag: u8) -> Result<i64, Malformed> {
        let content = self.expect(tag)?;
        if content.is_empty() || content.len() > 8 {
            return Err(Malformed);
        }
        let sign = if content[0] & 0x80 == 0 { 0 } else { -1i64 };
        Ok(content.iter().fold(sign, |value, byte| (value << 8) | i64::from(*byte)))
    }
}

/// A value as it lies in a buffer: tag, content, and what comes after it.
pub(crate) type Split<'a> = (u8, &'a [u8], &'a [u8]);

/// Cuts the first value off; `None` when more bytes are needed.
pub(crate) fn split(bytes: &[u8]) -> Result<Option<Split<'_>>, Malformed> {
    let [tag, first, rest @ ..] = bytes else { return Ok(None) };
    if tag & 0x1f == 0x1f {
        return Err(Malformed);
    }
    let (length, rest) = match *first {
        short @ 0..=0x7f => (usize::from(short), rest),
        // 0x80 is BER's indefinite form, which neither DER nor LDAP allows.
        long @ 0x81..=0x84 => {
            let count = usize::from(long & 0x7f);
            let Some((length, rest)) = rest.split_at_checked(count) else { return Ok(None) };
            (length.iter().fold(0usize, |sum, byte| (sum << 8) | usize::from(*byte)), rest)
        }
        _ => return Err(Malformed),
    };
    Ok(rest.split_at_checked(length).map(|(content, rest)| (*tag, content, rest)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_are_as_short_as_they_can_be() {
        assert_eq!(integer(INTEGER, 0), [2, 1, 0]);
        assert_eq!(integer(INTEGER, 127), [2, 1, 127]);
        assert_eq!(integer(INTEGER, 128), [2, 2, 0, 128]);
        assert_eq!(integer(INTEGER, -1), [2, 1, 255]);
        assert_eq!(unsigned(&[0, 0, 0x80]), [2, 2, 0, 0x80]);
        assert_eq!(unsigned(&[0]), [2, 1, 0]);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(tag in 0u8..0x1f, content in proptest::collection::vec(any::<u8>(), 0..400), n: i64) {
            let written = tlv(tag, &content);
            let mut reader = Reader::new(&written);
            prop_assert_eq!(reader.next(), Ok((tag, &content[..])));
            prop_assert!(reader.is_empty());
            prop_assert_eq!(Reader::new(&integer(INTEGER, n)).int(INTEGER), Ok(n));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let mut reader = Reader::new(&bytes);
            while !reader.is_empty() && reader.next().is_ok() {}
        }
    }
}
