//! The rarer formats of strings: identifiers, colours, numbers with a check digit, names of Kubernetes.

/// A format whose texts are a code of some kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coded {
    BsonObjectId,
    /// A UUID of this version.
    Uuid(u8),
    Isbn,
    Isbn10,
    Isbn13,
    CreditCard,
    Ssn,
    HexColor,
    RgbColor,
    ShortName,
    LongName,
}

const SHORT_NAME_CHARS_MAX: usize = 63;
const LONG_NAME_CHARS_MAX: usize = 253;

impl Coded {
    /// `name` without its dashes.
    pub(super) fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "bsonobjectid" => Self::BsonObjectId,
            "uuid3" => Self::Uuid(3),
            "uuid4" => Self::Uuid(4),
            "uuid5" => Self::Uuid(5),
            "isbn" => Self::Isbn,
            "isbn10" => Self::Isbn10,
            "isbn13" => Self::Isbn13,
            "creditcard" => Self::CreditCard,
            "ssn" => Self::Ssn,
            "hexcolor" => Self::HexColor,
            "rgbcolor" => Self::RgbColor,
            "k8sshortname" => Self::ShortName,
            "k8slongname" => Self::LongName,
            _ => return None,
        })
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::BsonObjectId => "bsonobjectid",
            Self::Uuid(3) => "uuid3",
            Self::Uuid(4) => "uuid4",
            Self::Uuid(_) => "uuid5",
            Self::Isbn => "isbn",
            Self::Isbn10 => "isbn10",
            Self::Isbn13 => "isbn13",
            Self::CreditCard => "creditcard",
            Self::Ssn => "ssn",
            Self::HexColor => "hexcolor",
            Self::RgbColor => "rgbcolor",
            Self::ShortName => "k8s-short-name",
            Self::LongName => "k8s-long-name",
        }
    }

    pub(super) fn accepts(self, text: &str) -> bool {
        match self {
            Self::BsonObjectId => text.len() == 24 && is_hex(text),
            Self::Uuid(version) => is_uuid(text, version),
            Self::Isbn => is_isbn10(text) || is_isbn13(text),
            Self::Isbn10 => is_isbn10(text),
            Self::Isbn13 => is_isbn13(text),
            Self::CreditCard => is_credit_card(text),
            Self::Ssn => is_ssn(text),
            Self::HexColor => {
                let digits = text.strip_prefix('#').unwrap_or(text);
                matches!(digits.len(), 3 | 6) && is_hex(digits)
            }
            Self::RgbColor => is_rgb(text),
            Self::ShortName => text.len() <= SHORT_NAME_CHARS_MAX && is_label(text),
            Self::LongName => text.len() <= LONG_NAME_CHARS_MAX && text.split('.').all(is_label),
        }
    }
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_hexdigit())
}

fn is_uuid(text: &str, version: u8) -> bool {
    let digits: Vec<u8> = text.bytes().filter(|b| *b != b'-').collect();
    let variant =
        version == 3 || digits.get(16).is_some_and(|d| matches!(d.to_ascii_lowercase(), b'8' | b'9' | b'a' | b'b'));
    digits.len() == 32
        && matches!(text.len(), 32 | 36)
        && digits.iter().all(u8::is_ascii_hexdigit)
        && digits[12] == b'0' + version
        && variant
}

/// The digits of a number that may be written with dashes and spaces.
fn bare(text: &str) -> Vec<u8> {
    text.bytes().filter(|b| !matches!(b, b'-' | b' ')).collect()
}

fn is_isbn10(text: &str) -> bool {
    let digits = bare(text);
    let value = |(i, b): (usize, &u8)| match b {
        b'0'..=b'9' => Some(u32::from(b - b'0')),
        b'X' | b'x' if i == 9 => Some(10),
        _ => None,
    };
    let sum: Option<u32> = digits.iter().enumerate().map(|(i, b)| Some(value((i, b))? * (i as u32 + 1))).sum();
    digits.len() == 10 && sum.is_some_and(|sum| sum.is_multiple_of(11))
}

fn is_isbn13(text: &str) -> bool {
    let digits = bare(text);
    if digits.len() != 13 || !digits.iter().all(u8::is_ascii_digit) {
        return false;
    }
    let weigh = |(i, b): (usize, &u8)| u32::from(b - b'0') * if i % 2 == 0 { 1 } else { 3 };
    digits.iter().enumerate().map(weigh).sum::<u32>().is_multiple_of(10)
}

fn is_credit_card(text: &str) -> bool {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_digit).collect();
    if !(13..=19).contains(&digits.len()) {
        return false;
    }
    let double = |n: u32| if n > 4 { n * 2 - 9 } else { n * 2 };
    let weigh = |(i, b): (usize, &u8)| {
        let n = u32::from(b - b'0');
        if i % 2 == 1 { double(n) } else { n }
    };
    digits.iter().rev().enumerate().map(weigh).sum::<u32>().is_multiple_of(10)
}

fn is_ssn(text: &str) -> bool {
    let digits = bare(text);
    digits.len() == 9
        && digits.iter().all(u8::is_ascii_digit)
        && matches!(text.len(), 9..=11)
        && text.bytes().enumerate().all(|(i, b)| b.is_ascii_digit() || matches!(i, 3 | 5 | 6))
}

fn is_rgb(text: &str) -> bool {
    let Some(inner) = text.strip_prefix("rgb(").and_then(|rest| rest.strip_suffix(')')) else { return false };
    let parts: Vec<&str> = inner.split(',').map(str::trim).collect();
    parts.len() == 3 && parts.iter().all(|part| part.parse::<u8>().is_ok() && !part.starts_with('+'))
}

fn is_label(text: &str) -> bool {
    let is_end = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    text.starts_with(is_end) && text.ends_with(is_end) && text.chars().all(|c| is_end(c) || c == '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_told_from_other_texts() {
        let table = [
            ("bsonobjectid", "507f1f77bcf86cd799439011", "507f1f77"),
            ("uuid3", "bcd02e22-68f0-3046-a512-327cca9def8f", "bcd02e22-68f0-4046-a512-327cca9def8f"),
            ("uuid4", "025b0d74-00a2-4048-bf57-227c5111bb34", "025b0d74-00a2-4048-0f57-227c5111bb34"),
            ("uuid5", "886313e1-3b8a-5372-9b90-0c9aee199e5d", "886313e1-3b8a-4372-9b90-0c9aee199e5d"),
            ("isbn", "0321751043", "0321751044"),
            ("isbn", "978-0321751041", "978-0321751042"),
            ("isbn10", "0321751043", "978-0321751041"),
            ("isbn13", "978-0321751041", "0321751043"),
            ("creditcard", "4111-1111-1111-1111", "4111-1111-1111-1112"),
            ("ssn", "111-11-1111", "111-111-111"),
            ("hexcolor", "#FFFFFF", "#FFFG"),
            ("rgbcolor", "rgb(255, 255,25)", "rgb(256,0,0)"),
            ("k8sshortname", "a-1", "a.b"),
            ("k8slongname", "a.b-c", "A.b"),
        ];
        for (name, good, bad) in table {
            let format = Coded::parse(name).unwrap();
            assert!(format.accepts(good), "{name} {good}");
            assert!(!format.accepts(bad), "{name} {bad}");
        }
    }
}
