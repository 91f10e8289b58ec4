//! String formats that are checked; names that are not listed here are ignored, as Kubernetes does.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::coded::Coded;

/// A checked format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    DateTime,
    Date,
    Duration,
    Byte,
    Uuid,
    Email,
    Ipv4,
    Ipv6,
    Cidr,
    Mac,
    Hostname,
    Uri,
    Int32,
    Coded(Coded),
}

impl Format {
    pub(crate) fn parse(name: &str) -> Option<Self> {
        // Dashes are only for people.
        let name = name.replace('-', "");
        Some(match name.as_str() {
            "datetime" => Self::DateTime,
            "date" => Self::Date,
            "duration" => Self::Duration,
            "byte" => Self::Byte,
            "uuid" => Self::Uuid,
            "email" => Self::Email,
            "ipv4" => Self::Ipv4,
            "ipv6" => Self::Ipv6,
            "cidr" => Self::Cidr,
            "mac" => Self::Mac,
            "hostname" => Self::Hostname,
            "uri" => Self::Uri,
            "int32" => Self::Int32,
            other => return Coded::parse(other).map(Self::Coded),
        })
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::DateTime => "date-time",
            Self::Date => "date",
            Self::Duration => "duration",
            Self::Byte => "byte",
            Self::Uuid => "uuid",
            Self::Email => "email",
            Self::Ipv4 => "ipv4",
            Self::Ipv6 => "ipv6",
            Self::Cidr => "cidr",
            Self::Mac => "mac",
            Self::Hostname => "hostname",
            Self::Uri => "uri",
            Self::Int32 => "int32",
            Self::Coded(coded) => coded.name(),
        }
    }

    /// Whether text has this format; number formats accept any text.
    pub(crate) fn accepts(self, text: &str) -> bool {
        match self {
            Self::DateTime => is_date_time(text),
            Self::Date => text.len() == 10 && text.parse::<jiff::civil::Date>().is_ok(),
            Self::Duration => is_go_duration(text),
            Self::Byte => is_base64(text),
            Self::Uuid => is_uuid(text),
            Self::Email => is_email(text),
            Self::Ipv4 => text.parse::<Ipv4Addr>().is_ok(),
            Self::Ipv6 => text.parse::<Ipv6Addr>().is_ok(),
            Self::Cidr => is_cidr(text),
            Self::Mac => is_mac(text),
            Self::Hostname => is_hostname(text),
            Self::Uri => is_absolute_uri(text),
            Self::Int32 => true,
            Self::Coded(coded) => coded.accepts(text),
        }
    }
}

/// RFC 3339, which is stricter than what date libraries read.
fn is_date_time(text: &str) -> bool {
    let bytes = text.as_bytes();
    let shaped = bytes.len() >= 20
        && matches!(bytes[10], b'T' | b't')
        && bytes[4] == b'-'
        && bytes[13] == b':'
        && !text.ends_with(']');
    shaped && text.parse::<jiff::Timestamp>().is_ok()
}

/// Go's duration: `1h30m`, `-1.5s`, `0`.
fn is_go_duration(text: &str) -> bool {
    let mut rest = text.strip_prefix(['-', '+']).unwrap_or(text);
    if rest == "0" {
        return true;
    }
    if rest.is_empty() {
        return false;
    }
    while !rest.is_empty() {
        let number = rest.bytes().take_while(|b| b.is_ascii_digit() || *b == b'.').count();
        let digits = rest.bytes().take(number).filter(u8::is_ascii_digit).count();
        if digits == 0 || number - digits > 1 {
            return false;
        }
        rest = &rest[number..];
        let Some(unit) = ["ns", "us", "µs", "ms", "s", "m", "h", "d", "w"].iter().find(|u| {
            // "m" must not eat the start of "ms"
            rest.starts_with(**u) && !rest[u.len()..].starts_with(|c: char| c.is_ascii_alphabetic())
        }) else {
            return false;
        };
        rest = &rest[unit.len()..];
    }
    true
}

fn is_base64(text: &str) -> bool {
    let bytes = text.as_bytes();
    let padding = bytes.iter().rev().take_while(|b| **b == b'=').count();
    bytes.len().is_multiple_of(4)
        && padding <= 2
        && bytes[..bytes.len() - padding].iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/'))
}

fn is_uuid(text: &str) -> bool {
    let plain = text.strip_prefix("urn:uuid:").unwrap_or(text);
    let digits = plain.bytes().filter(u8::is_ascii_hexdigit).count();
    let dashes = plain.bytes().filter(|b| *b == b'-').count();
    digits == 32 && digits + dashes == plain.len() && (dashes == 0 || dashes == 4)
}

fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    !local.is_empty() && !domain.is_empty() && !text.contains(char::is_whitespace)
}

fn is_cidr(text: &str) -> bool {
    let Some((address, bits)) = text.split_once('/') else { return false };
    let Ok(bits) = bits.parse::<u8>() else { return false };
    (address.parse::<Ipv4Addr>().is_ok() && bits <= 32) || (address.parse::<Ipv6Addr>().is_ok() && bits <= 128)
}

fn is_mac(text: &str) -> bool {
    let separator = if text.contains(':') { ':' } else { '-' };
    let parts: Vec<&str> = text.split(separator).collect();
    matches!(parts.len(), 6 | 8 | 20) && parts.iter().all(|p| p.len() == 2 && p.bytes().all(|b| b.is_ascii_hexdigit()))
}

fn is_hostname(text: &str) -> bool {
    let name = text.strip_suffix('.').unwrap_or(text);
    !name.is_empty()
        && name.len() <= 253
        && name.split('.').all(|label| {
            !label.is_empty()
                && label.len() <= 63
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.chars().all(|c| c.is_alphanumeric() || c == '-')
        })
}

fn is_absolute_uri(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else { return text.starts_with('/') };
    let valid = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'));
    valid && !rest.is_empty() && !text.contains(char::is_whitespace)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_accept_and_refuse() {
        let table: [(Format, &[&str], &[&str]); 9] = [
            (
                Format::DateTime,
                &["2026-11-22T17:35:22Z", "2026-11-22T17:35:22.123456+01:00"],
                &["", "2026-11-22", "2026-11-22 17:35:22Z", "2026-13-22T17:35:22Z"],
            ),
            (Format::Date, &["2026-11-22"], &["2026-11-32", "x"]),
            (Format::Duration, &["0", "1h30m", "1.5s", "100ms", "-2m"], &["", "5", "s", "1..5s", "1x"]),
            (Format::Byte, &["", "aGk=", "aGVsbG8h"], &["aGk", "a===", "a b="]),
            (Format::Uuid, &["370ae2e2-a1a0-4ef4-928b-63c9d82df6f4"], &["370ae2e2", "zz"]),
            (Format::Ipv4, &["10.0.0.1"], &["10.0.0.256", "::1"]),
            (Format::Cidr, &["10.0.0.0/8", "fd00::/64"], &["10.0.0.0", "10.0.0.0/33"]),
            (Format::Hostname, &["a.b-c.d"], &["-a", "a..b", ""]),
            (Format::Uri, &["https://example.com/x", "urn:a"], &["not a uri", ""]),
        ];
        for (format, good, bad) in table {
            for text in good {
                assert!(format.accepts(text), "{format:?} {text}");
            }
            for text in bad {
                assert!(!format.accepts(text), "{format:?} {text}");
            }
        }
    }
}
