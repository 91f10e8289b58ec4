//! What a label's key and value may look like, with kube-apiserver's words.

/// Bytes of a name part and of a value.
const WORD_BYTES_MAX: usize = 63;
/// Bytes of a key's prefix.
const PREFIX_BYTES_MAX: usize = 253;

/// What is wrong with a label or annotation key, if anything is.
pub fn key_problem(key: &str) -> Option<String> {
    let name = match key.split_once('/') {
        None => key,
        Some((prefix, name)) => {
            if name.contains('/') {
                return Some(format!(
                    "a qualified name {NAME_RULE} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
                ));
            }
            if prefix.is_empty() {
                return Some("prefix part must be non-empty".to_owned());
            }
            if prefix.len() > PREFIX_BYTES_MAX {
                return Some(format!("prefix part must be no more than {PREFIX_BYTES_MAX} bytes"));
            }
            if !is_subdomain(prefix) {
                return Some(format!("prefix part {SUBDOMAIN_RULE}"));
            }
            name
        }
    };
    if name.is_empty() {
        Some("name part must be non-empty".to_owned())
    } else if name.len() > WORD_BYTES_MAX {
        Some(format!("name part must be no more than {WORD_BYTES_MAX} bytes"))
    } else if !is_word(name) {
        Some(format!("name part {NAME_RULE}"))
    } else {
        None
    }
}

/// What is wrong with a label's value, if anything is.
pub fn value_problem(value: &str) -> Option<String> {
    if value.len() > WORD_BYTES_MAX {
        Some(format!("must be no more than {WORD_BYTES_MAX} bytes"))
    } else if !value.is_empty() && !is_word(value) {
        Some(VALUE_RULE.to_owned())
    } else {
        None
    }
}

const NAME_RULE: &str = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an \
    alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is \
    '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const VALUE_RULE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or \
    '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex \
    used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
const SUBDOMAIN_RULE: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' \
    or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is \
    '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";

fn is_word(text: &str) -> bool {
    let bytes = text.as_bytes();
    let edge = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
    edge(bytes.first())
        && edge(bytes.last())
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

fn is_subdomain(text: &str) -> bool {
    let is_label = |label: &str| {
        let bytes = label.as_bytes();
        let edge = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        edge(bytes.first())
            && edge(bytes.last())
            && bytes.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-')
    };
    text.split('.').all(is_label)
}
