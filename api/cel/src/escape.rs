//! Names of properties as expressions write them: `a-b` is `self.a__dash__b`.
//!
//! Kubernetes' rules, from before the language had backticks: `__`, `.`, `-` and `/` become words between double
//! underscores, and so do whole names that are reserved words. A name with any other character cannot be selected.

use std::borrow::Cow;

const RESERVED: [&str; 21] = [
    "true",
    "false",
    "null",
    "in",
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
    "var",
    "void",
    "while",
];

const SEQUENCES: [(&str, &str); 4] = [("__", "underscores"), (".", "dot"), ("-", "dash"), ("/", "slash")];

/// Whether a word of the language names nothing.
#[must_use]
pub fn is_reserved(word: &str) -> bool {
    RESERVED.contains(&word)
}

/// The name an expression uses for a property; nothing when it cannot name it.
#[must_use]
pub fn escape(property: &str) -> Option<Cow<'_, str>> {
    if property.is_empty() || property.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    if is_reserved(property) {
        return Some(Cow::Owned(format!("__{property}__")));
    }
    if !property.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-' | '/')) {
        return None;
    }
    if !SEQUENCES.iter().any(|(plain, _)| property.contains(plain)) {
        return Some(Cow::Borrowed(property));
    }
    let mut escaped = String::with_capacity(property.len() + 8);
    let mut rest = property;
    'next: while let Some(c) = rest.chars().next() {
        for (plain, word) in SEQUENCES {
            if let Some(behind) = rest.strip_prefix(plain) {
                escaped.push_str("__");
                escaped.push_str(word);
                escaped.push_str("__");
                rest = behind;
                continue 'next;
            }
        }
        escaped.push(c);
        rest = &rest[c.len_utf8()..];
    }
    Some(Cow::Owned(escaped))
}

/// The property that a name in an expression stands for; nothing when it holds an unknown escape.
#[must_use]
pub fn unescape(name: &str) -> Option<Cow<'_, str>> {
    if !name.contains("__") {
        return Some(Cow::Borrowed(name));
    }
    let mut plain = String::with_capacity(name.len());
    let mut rest = name;
    while let Some(start) = rest.find("__") {
        let word = &rest[start + 2..];
        // A word ends at the next underscore, which must be one of two.
        let length = word.find('_').unwrap_or(0);
        if length == 0 || !word[length..].starts_with("__") {
            // No escape starts here: an underscore stays, and the search goes on behind it.
            plain.push_str(&rest[..=start]);
            rest = &rest[start + 1..];
            continue;
        }
        plain.push_str(&rest[..start]);
        let word = &word[..length];
        match SEQUENCES.iter().find(|(_, escape)| *escape == word) {
            Some((sequence, _)) => plain.push_str(sequence),
            None if RESERVED.contains(&word) && name.len() == length + 4 => plain.push_str(word),
            None => return None,
        }
        rest = &rest[start + 2 + length + 2..];
    }
    plain.push_str(rest);
    Some(Cow::Owned(plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_escape_and_come_back() {
        let table = [
            ("abc", Some("abc")),
            ("a_b", Some("a_b")),
            ("a__b", Some("a__underscores__b")),
            ("a___b", Some("a__underscores___b")),
            ("a.b", Some("a__dot__b")),
            ("a-b/c", Some("a__dash__b__slash__c")),
            (".a", Some("__dot__a")),
            ("namespace", Some("__namespace__")),
            ("int", Some("int")),
            ("1a", None),
            ("", None),
            ("a b", None),
            ("a$", None),
            ("é", None),
        ];
        for (property, expected) in table {
            let escaped = escape(property);
            assert_eq!(escaped.as_deref(), expected, "{property}");
            if let Some(escaped) = escaped {
                assert_eq!(unescape(&escaped).as_deref(), Some(property));
            }
        }
    }

    #[test]
    fn unknown_escapes_are_no_names() {
        assert_eq!(unescape("a__what__b"), None);
        assert_eq!(unescape("a__if__b"), None);
        assert_eq!(unescape("a__").as_deref(), Some("a__"));
    }
}
