//! What somebody typed, made harmless for the place where it goes: a filter (RFC 4515) or a name (RFC 4514).

use std::fmt::Write;

/// A value of a filter: characters that mean something there become `\xx`.
pub fn escape_filter(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for byte in value.bytes() {
        match byte {
            b'*' | b'(' | b')' | b'\\' | 0..=0x1f | 0x7f..=0xff => {
                let _ = write!(out, "\\{byte:02x}");
            }
            plain => out.push(char::from(plain)),
        }
    }
    out
}

/// A value of a distinguished name.
pub fn escape_dn(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    let last = value.chars().count().saturating_sub(1);
    for (index, c) in value.chars().enumerate() {
        match c {
            ',' | '+' | '"' | '\\' | '<' | '>' | ';' | '=' => {
                out.push('\\');
                out.push(c);
            }
            '#' | ' ' if index == 0 => {
                out.push('\\');
                out.push(c);
            }
            ' ' if index == last => out.push_str("\\ "),
            c if c.is_ascii_control() => {
                let _ = write!(out, "\\{:02x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out
}

/// The value of a name's first part: `cn=admins,ou=groups` is `admins`. The text itself when it is no name.
pub(super) fn first_rdn_value(dn: &str) -> String {
    let Some((_, rest)) = dn.split_once('=') else { return dn.to_owned() };
    let mut value: Vec<u8> = Vec::new();
    let mut bytes = rest.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b',' | b'+' | b';' => break,
            b'\\' => {
                let Some(first) = bytes.next() else { break };
                match (hex_digit(first), bytes.clone().next().and_then(hex_digit)) {
                    (Some(high), Some(low)) => {
                        value.push(high << 4 | low);
                        bytes.next();
                    }
                    _ => value.push(first),
                }
            }
            plain => value.push(plain),
        }
    }
    String::from_utf8_lossy(&value).into_owned()
}

/// The value of a hexadecimal digit.
pub(super) fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).map(|digit| digit as u8)
}

#[cfg(test)]
mod tests {
    use super::super::filter::Filter;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_attacks_become_plain_text() {
        assert_eq!(escape_filter("*)(uid=*"), r"\2a\29\28uid=\2a");
        assert_eq!(escape_filter("a\\b\0"), r"a\5cb\00");
        assert_eq!(escape_dn("admin,ou=x"), r"admin\,ou\=x");
        assert_eq!(escape_dn(" #a "), r"\ #a\ ");
        assert_eq!(escape_dn("#a"), r"\#a");
    }

    #[test]
    fn the_first_part_of_a_name_is_a_groups_name() {
        assert_eq!(first_rdn_value("cn=admins,ou=groups,dc=x"), "admins");
        assert_eq!(first_rdn_value(r"CN=a\, b,ou=x"), "a, b");
        assert_eq!(first_rdn_value(r"cn=\c3\a9"), "é");
        assert_eq!(first_rdn_value("plain"), "plain");
    }

    proptest! {
        #[test]
        fn a_value_in_a_filter_stays_one_value(value in "\\PC{1,40}|[*()\\\\\0-\x1f]{1,20}") {
            let filter = Filter::parse(&format!("(&(objectClass=person)(uid={}))", escape_filter(&value))).unwrap();
            let Filter::And(parts) = filter else { panic!("not a conjunction") };
            prop_assert_eq!(&parts[1], &Filter::Equal("uid".to_owned(), value.into_bytes()));
        }

        #[test]
        fn a_value_in_a_name_stays_one_value(value in "[^\0]{1,30}") {
            prop_assert_eq!(first_rdn_value(&format!("uid={},ou=people", escape_dn(&value))), value);
        }
    }
}
