//! Query strings: decoded pairs, first one wins for single values.

/// The decoded pairs of a query string, in their order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Query {
    pairs: Vec<(String, String)>,
    is_cut: bool,
}

/// The most pairs: no client sends more, and each costs an allocation.
const PAIRS_MAX: usize = 256;

impl Query {
    /// Reads a query string. Broken pairs are kept as they stand: an unknown parameter is never an error.
    pub(crate) fn parse(text: Option<&str>) -> Self {
        let text = text.unwrap_or_default();
        let mut parts = text.split('&').map(|pair| pair.trim_start_matches('?')).filter(|pair| !pair.is_empty());
        let pairs = parts
            .by_ref()
            .take(PAIRS_MAX)
            .map(|pair| {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                let decode = |part: &str| percent_decode(part, true).unwrap_or_else(|| part.to_owned());
                (decode(name), decode(value))
            })
            .collect();
        Self { pairs, is_cut: parts.next().is_some() }
    }

    /// More parameters came than are looked at. Such a request must be refused: a `dryRun` may be among the rest.
    pub(crate) fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// The first value of a parameter.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// The first value, unless it is empty.
    pub(crate) fn filled(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|v| !v.is_empty())
    }

    /// Every value of a parameter.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.pairs.iter().filter(move |(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// Go's reading of a boolean parameter: present and not `0` or `false`.
    pub(crate) fn flag(&self, name: &str) -> bool {
        self.get(name).is_some_and(|v| !matches!(v, "0" | "false" | "False" | "FALSE"))
    }
}

/// Decodes `%41`; `+` is a space in queries only. `None` for broken encoding or text that is not UTF-8.
pub(super) fn percent_decode(text: &str, plus_is_space: bool) -> Option<String> {
    let is_encoded = text.contains('%') || plus_is_space && text.contains('+');
    if !is_encoded {
        return Some(text.to_owned());
    }
    let hex = |b: u8| char::from(b).to_digit(16).map(|d| d as u8);
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'%' => {
                out.push(hex(*bytes.get(at + 1)?)? << 4 | hex(*bytes.get(at + 2)?)?);
                at += 3;
            }
            b'+' if plus_is_space => {
                out.push(b' ');
                at += 1;
            }
            other => {
                out.push(other);
                at += 1;
            }
        }
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kube_rs_question_marks_are_tolerated() {
        let query = Query::parse(Some("?&watch=true&labelSelector=a%3Db,c+in+(d)"));
        assert!(query.flag("watch"));
        assert_eq!(query.get("labelSelector"), Some("a=b,c in (d)"));
        assert!(!Query::parse(Some("watch=0")).flag("watch"));
    }

    #[test]
    fn broken_encoding_is_kept_as_text() {
        assert_eq!(Query::parse(Some("a=%zz")).get("a"), Some("%zz"));
        assert_eq!(percent_decode("%ff", false), None);
    }
}
