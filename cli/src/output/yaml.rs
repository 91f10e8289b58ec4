//! Values as YAML, in the shape that kubectl prints: sorted keys, lists not indented, quotes only where needed.

use serde_json::Value;

use crate::manifest::scalar;

/// The value as a YAML document.
pub(crate) fn emit(value: &Value) -> String {
    let mut text = String::new();
    block(&mut text, value, 0);
    text
}

/// One line of a scalar or empty collection; the start of a block otherwise.
fn block(text: &mut String, value: &Value, indent: usize) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (key, value) in map {
                pad(text, indent);
                entry(text, key, value, indent);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for item in items {
                pad(text, indent);
                text.push('-');
                after_dash(text, item, indent);
            }
        }
        scalar => {
            pad(text, indent);
            text.push_str(&inline(scalar, indent));
            text.push('\n');
        }
    }
}

fn entry(text: &mut String, key: &str, value: &Value, indent: usize) {
    text.push_str(&word(key));
    text.push(':');
    match value {
        Value::Object(map) if !map.is_empty() => {
            text.push('\n');
            block(text, value, indent + 2);
        }
        Value::Array(items) if !items.is_empty() => {
            text.push('\n');
            block(text, value, indent);
        }
        scalar => {
            text.push(' ');
            text.push_str(&inline(scalar, indent));
            text.push('\n');
        }
    }
}

fn after_dash(text: &mut String, item: &Value, indent: usize) {
    match item {
        Value::Object(map) if !map.is_empty() => {
            for (at, (key, value)) in map.iter().enumerate() {
                if at == 0 {
                    text.push(' ');
                } else {
                    pad(text, indent + 2);
                }
                entry(text, key, value, indent + 2);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for (at, inner) in items.iter().enumerate() {
                if at == 0 {
                    text.push(' ');
                } else {
                    pad(text, indent + 2);
                }
                text.push('-');
                after_dash(text, inner, indent + 2);
            }
        }
        scalar => {
            text.push(' ');
            text.push_str(&inline(scalar, indent));
            text.push('\n');
        }
    }
}

fn inline(value: &Value, indent: usize) -> String {
    match value {
        Value::String(text) if is_literal(text) => literal(text, indent + 2),
        Value::String(text) => word(text),
        Value::Object(_) => "{}".to_owned(),
        Value::Array(_) => "[]".to_owned(),
        other => other.to_string(),
    }
}

/// Several lines of plain text are easier to read, and to edit, as a literal block.
fn is_literal(text: &str) -> bool {
    text.trim_end_matches('\n').contains('\n')
        && !text.starts_with([' ', '\n'])
        && !text.chars().any(|c| c.is_control() && c != '\n' && c != '\t')
        && !text.contains(" \n")
}

fn literal(text: &str, indent: usize) -> String {
    let body = text.trim_end_matches('\n');
    let ends = text.len() - body.len();
    let mut out = match ends {
        0 => "|-".to_owned(),
        1 => "|".to_owned(),
        _ => "|+".to_owned(),
    };
    for line in body.split('\n') {
        out.push('\n');
        if !line.is_empty() {
            pad(&mut out, indent);
            out.push_str(line);
        }
    }
    out.extend(std::iter::repeat_n('\n', ends.saturating_sub(1)));
    out
}

/// A string, quoted only when it would be read as something else.
fn word(text: &str) -> String {
    if is_plain(text) {
        return text.to_owned();
    }
    let has_controls = text.chars().any(|c| c.is_control() || matches!(c, '\u{feff}' | '\u{2028}' | '\u{2029}'));
    if !has_controls {
        return format!("'{}'", text.replace('\'', "''"));
    }
    // JSON's escapes are YAML's, but for a few separators that YAML treats as line ends.
    let quoted = Value::String(text.to_owned()).to_string();
    quoted
        .chars()
        .map(|c| {
            if (c as u32) > 0x7e && (c.is_control() || matches!(c, '\u{feff}' | '\u{2028}' | '\u{2029}')) {
                format!("\\u{:04x}", c as u32)
            } else {
                c.to_string()
            }
        })
        .collect()
}

fn is_plain(text: &str) -> bool {
    let safe_start =
        |c: char| c.is_alphanumeric() || matches!(c, '/' | '_' | '.' | '(' | '$' | '+' | '<' | '^' | '~' | ';');
    if !text.starts_with(safe_start) || text.ends_with([' ', ':']) {
        return false;
    }
    if text.contains(": ")
        || text.contains(" #")
        || text.chars().any(|c| c.is_control() || matches!(c, '\u{feff}' | '\u{2028}' | '\u{2029}'))
    {
        return false;
    }
    // `1_000`, `yes`, `0644`, `~`: anything that is not read as text is quoted; dates and `1:30` are, for others' readers.
    let looks_like_time = text.starts_with(|c: char| c.is_ascii_digit())
        && text.chars().all(|c| c.is_ascii_digit() || ":-TZ. ".contains(c))
        && text.contains([':', '-']);
    matches!(scalar::resolve(text), Ok(Value::String(_))) && !looks_like_time && text != "=" && text != "<<"
}

fn pad(text: &mut String, indent: usize) {
    text.extend(std::iter::repeat_n(' ', indent));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::yaml::parse;
    use serde_json::json;

    #[test]
    fn the_shape_is_kubectls() {
        let value = json!({"apiVersion": "v1", "spec": {"list": [{"a": 1, "b": [2]}, "x"], "none": null, "empty": {}, "no": []}});
        assert_eq!(
            emit(&value),
            "apiVersion: v1\nspec:\n  empty: {}\n  list:\n  - a: 1\n    b:\n    - 2\n  - x\n  \"no\": []\n  none: null\n"
                .replace("\"no\"", "'no'")
        );
    }

    #[test]
    fn everything_is_read_back_as_it_was() {
        let texts = [
            "",
            " ",
            "yes",
            "no",
            "null",
            "~",
            "0644",
            "1e3",
            "1_000",
            "1:30",
            "2024-01-01",
            "a: b",
            "a #b",
            "#x",
            "- x",
            "it's",
            "\"q\"",
            "a\nb",
            "a\nb\n",
            "a\n\nb\n\n",
            "tab\there",
            "\u{0}",
            "\u{85}",
            "\u{2028}",
            "\u{feff}x",
            "x:",
            "{a}",
            "[a]",
            "*a",
            "&a",
            "!a",
            "%a",
            "@a",
            "`a",
            "|",
            ">",
            "?",
            "? x",
            "-",
            "--",
            "---",
            "...",
            "=",
            "<<",
            ".5",
            "+1",
            "0x1F",
            "é",
            "a\n b",
            " a\nb",
            "a \nb",
            "line\n",
            "\n",
            "a\tb\n\tc",
            ",",
            "exec python3 -m http.server $PORT0",
            "100m",
            "a'b: c",
            "\\",
            "a\\nb",
        ];
        let mut object = serde_json::Map::new();
        for (at, text) in texts.iter().enumerate() {
            object.insert(format!("k{at}"), json!(text));
            object.insert((*text).to_owned(), json!([text, [text], {"in": text}]));
        }
        let value = Value::Object(object);
        let text = emit(&value);
        match parse(&text) {
            Ok(documents) => {
                let back = documents[0].to_value();
                for (key, wanted) in value.as_object().unwrap() {
                    assert_eq!(back.get(key), Some(wanted), "{key:?}\n{}", emit(&json!({ key: wanted })));
                }
            }
            Err(error) => panic!("{error:?}\n{text}"),
        }
    }
}
