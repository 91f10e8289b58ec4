//! Patterns in RE2's syntax, as Go reads it, rewritten for the `regex` crate.
//!
//! The two agree except in corners: `\d`, `\w`, `\s` and `\b` mean ASCII in RE2; a `[` or `&&` inside of brackets, and a
//! brace that begins no repetition, are plain characters there; `\Q..\E` quotes.

/// The same pattern for the `regex` crate.
pub(super) fn translate(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len() + 8);
    let mut rest = pattern;
    while let Some(character) = rest.chars().next() {
        rest = match character {
            '\\' => escape(rest, &mut out, false),
            '[' => class(rest, &mut out),
            '{' => {
                let is_repetition = is_repetition(rest);
                out.push_str(if is_repetition { "{" } else { "\\{" });
                &rest[1..]
            }
            other => {
                out.push(other);
                &rest[other.len_utf8()..]
            }
        };
    }
    out
}

/// `{n}`, `{n,}` or `{n,m}`.
fn is_repetition(rest: &str) -> bool {
    let Some((inside, _)) = rest[1..].split_once('}') else { return false };
    let (low, high) = inside.split_once(',').unwrap_or((inside, ""));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    !low.is_empty() && is_number(low) && is_number(high)
}

/// An escape at the beginning of `rest`; gives back what follows it.
fn escape<'t>(rest: &'t str, out: &mut String, in_class: bool) -> &'t str {
    let Some(escaped) = rest[1..].chars().next() else {
        out.push('\\');
        return "";
    };
    let after = &rest[1 + escaped.len_utf8()..];
    let ascii = match (escaped, in_class) {
        ('d', true) => "0-9",
        ('d', false) => "[0-9]",
        ('D', false) => "[^0-9]",
        ('w', true) => "0-9A-Za-z_",
        ('w', false) => "[0-9A-Za-z_]",
        ('W', false) => "[^0-9A-Za-z_]",
        ('s', true) => "\\t\\n\\x0C\\r ",
        ('s', false) => "[\\t\\n\\x0C\\r ]",
        ('S', false) => "[^\\t\\n\\x0C\\r ]",
        ('D', true) => "[^0-9]",
        ('W', true) => "[^0-9A-Za-z_]",
        ('S', true) => "[^\\t\\n\\x0C\\r ]",
        ('b', false) => "(?-u:\\b)",
        ('<' | '>', _) => {
            if escaped == '<' {
                "<"
            } else {
                ">"
            }
        }
        ('Q', _) => {
            let (quoted, after) = after.split_once("\\E").unwrap_or((after, ""));
            for character in quoted.chars() {
                literal(character, out);
            }
            return after;
        }
        _ => {
            out.push('\\');
            out.push(escaped);
            return after;
        }
    };
    out.push_str(ascii);
    after
}

fn literal(character: char, out: &mut String) {
    if character.is_ascii_punctuation() && !matches!(character, '<' | '>') {
        out.push('\\');
    }
    out.push(character);
}

/// A bracketed class at the beginning of `rest`; gives back what follows it.
fn class<'t>(rest: &'t str, out: &mut String) -> &'t str {
    out.push('[');
    let mut rest = &rest[1..];
    if let Some(after) = rest.strip_prefix('^') {
        out.push('^');
        rest = after;
    }
    // a bracket at the very beginning is a member
    if let Some(after) = rest.strip_prefix(']') {
        out.push_str("\\]");
        rest = after;
    }
    while let Some(character) = rest.chars().next() {
        rest = match character {
            ']' => {
                out.push(']');
                return &rest[1..];
            }
            '\\' => escape(rest, out, true),
            '[' => match rest.strip_prefix("[:").and_then(|named| named.split_once(":]")) {
                Some((name, after)) if name.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'^') => {
                    out.push_str("[:");
                    out.push_str(name);
                    out.push_str(":]");
                    after
                }
                _ => {
                    out.push_str("\\[");
                    &rest[1..]
                }
            },
            '&' | '~' => {
                out.push('\\');
                out.push(character);
                &rest[1..]
            }
            other => {
                out.push(other);
                &rest[other.len_utf8()..]
            }
        };
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::translate;

    #[test]
    fn the_corners_of_re2_are_kept() {
        let table = [
            (r"^[a-z]+\d$", r"^[a-z]+[0-9]$"),
            (r"[\w.-]", r"[0-9A-Za-z_.-]"),
            (r"a{2,3}{x}", r"a{2,3}\{x}"),
            (r"[[]", r"[\[]"),
            (r"[[:alpha:]&&]", r"[[:alpha:]\&\&]"),
            (r"\Qa.b\E.", r"a\.b."),
            (r"[]a]", r"[\]a]"),
        ];
        for (pattern, expected) in table {
            assert_eq!(translate(pattern), expected);
        }
    }
}
