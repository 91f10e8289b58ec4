//! `$(VAR)` in commands, arguments and values, by Kubernetes' rules: an unknown variable stays as written, `$$`
//! is one `$`, and nothing else is special.

/// Replaces `$(NAME)` by what `lookup` gives.
pub fn expand<'a>(text: &str, lookup: impl Fn(&str) -> Option<&'a str>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        if let Some(tail) = after.strip_prefix('$') {
            out.push('$');
            rest = tail;
        } else if let Some((name, tail)) = after.strip_prefix('(').and_then(|t| t.split_once(')')) {
            match lookup(name) {
                Some(value) => out.push_str(value),
                None => out.extend(["$(", name, ")"]),
            }
            rest = tail;
        } else {
            out.push('$');
            rest = after;
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let lookup = |name: &str| match name {
            "A" => Some("1"),
            "B" => Some("$(A)"),
            _ => None,
        };
        assert_eq!(expand(text, lookup), expected, "{text}");
    }

    #[test]
    fn variables_are_replaced_once_and_unknown_ones_stay() {
        check("x$(A)y$(A)", "x1y1");
        check("$(B)", "$(A)");
        check("$(NO)", "$(NO)");
        check("$(NO)$(A)", "$(NO)1");
    }

    #[test]
    fn a_doubled_dollar_escapes() {
        check("$$(A)", "$(A)");
        check("$$$(A)", "$1");
        check("$A ${A} $", "$A ${A} $");
        check("$(A", "$(A");
    }
}
