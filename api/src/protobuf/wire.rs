//! The encoding under the messages: tags, numbers and lengths.

use super::Bad;

/// What stands behind a tag on the wire.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wire<'a> {
    Number(u64),
    /// Eight bytes, least significant first.
    Fixed64(u64),
    Fixed32,
    Bytes(&'a [u8]),
}

/// Reads fields one after the other.
#[derive(Debug)]
pub(super) struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn varint(&mut self) -> Result<u64, Bad> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = self.0.split_first().ok_or(Bad("it ends in a number"))?;
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Bad("a number is too long"))
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], Bad> {
        let (head, rest) = self.0.split_at_checked(count).ok_or(Bad("it ends in a field"))?;
        self.0 = rest;
        Ok(head)
    }

    /// The next field's number and content; `None` at the end.
    pub(super) fn field(&mut self) -> Result<Option<(u32, Wire<'a>)>, Bad> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let number = u32::try_from(tag >> 3).map_err(|_| Bad("a field number is too large"))?;
        let wire = match tag & 7 {
            0 => Wire::Number(self.varint()?),
            1 => {
                let bytes = self.take(8)?;
                Wire::Fixed64(bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte)))
            }
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| Bad("a length is too large"))?;
                Wire::Bytes(self.take(length)?)
            }
            5 => {
                self.take(4)?;
                Wire::Fixed32
            }
            _ => return Err(Bad("it has a field of an unknown kind")),
        };
        if number == 0 {
            return Err(Bad("a field number is zero"));
        }
        Ok(Some((number, wire)))
    }
}

impl<'a> Wire<'a> {
    pub(super) fn bytes(self) -> Result<&'a [u8], Bad> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            _ => Err(Bad("a field has another kind than it should")),
        }
    }

    pub(super) fn number(self) -> Result<u64, Bad> {
        match self {
            Self::Number(number) => Ok(number),
            _ => Err(Bad("a field has another kind than it should")),
        }
    }
}
