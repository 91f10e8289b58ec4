//! From the text of a template to its steps.

use serde_json::Value;

use super::{Item, JsonPathError, Operator, Step};

/// A template longer than this is no template.
const TEMPLATE_BYTES_MAX: usize = 64 * 1024;
/// Filters within filters.
const DEPTH_MAX: usize = 16;

type Result<T> = std::result::Result<T, JsonPathError>;

fn error<T>(message: impl Into<String>) -> Result<T> {
    Err(JsonPathError(message.into()))
}

/// Text and `{actions}`.
pub(super) fn template(text: &str) -> Result<Vec<Item>> {
    if text.len() > TEMPLATE_BYTES_MAX {
        return error(format!("a template may have {TEMPLATE_BYTES_MAX} bytes at most"));
    }
    let mut items = Vec::new();
    let mut rest = text;
    while let Some(open) = rest.find('{') {
        if open > 0 {
            items.push(Item::Text(rest[..open].to_owned()));
        }
        let mut scan = Scan { text: &rest[open + 1..], at: 0 };
        action(&mut scan, &mut items)?;
        rest = &rest[open + 1 + scan.at..];
    }
    if !rest.is_empty() {
        items.push(Item::Text(rest.to_owned()));
    }
    check_ranges(&items)?;
    Ok(items)
}

fn check_ranges(items: &[Item]) -> Result<()> {
    let mut open = 0_usize;
    for item in items {
        match item {
            Item::Range(_) => open += 1,
            Item::End if open == 0 => return error("not in range, nothing to end"),
            Item::End => open -= 1,
            Item::Text(_) | Item::Path(_) => {}
        }
    }
    if open > 0 { error("a range has no end") } else { Ok(()) }
}

struct Scan<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Scan<'t> {
    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn take(&mut self, prefix: &str) -> bool {
        let found = self.rest().starts_with(prefix);
        if found {
            self.at += prefix.len();
        }
        found
    }

    fn skip_space(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    /// A word that ends before another step, a bracket or a space.
    fn word(&mut self) -> String {
        let mut out = String::new();
        let mut chars = self.rest().char_indices();
        let mut length = self.rest().len();
        while let Some((i, c)) = chars.next() {
            match c {
                '\\' => out.extend(chars.next().map(|(_, c)| c)),
                '.' | ',' | '[' | ']' | '$' | '@' | '{' | '}' => {
                    length = i;
                    break;
                }
                c if c.is_whitespace() => {
                    length = i;
                    break;
                }
                c => out.push(c),
            }
        }
        self.at += length;
        out
    }

    /// A quoted text; the quote stands here.
    fn quoted(&mut self) -> Result<String> {
        let Some(quote) = self.peek() else { return error("unterminated quoted string") };
        let mut out = String::new();
        let mut chars = self.rest().char_indices().skip(1);
        while let Some((i, c)) = chars.next() {
            match c {
                c if c == quote => {
                    self.at += i + 1;
                    return Ok(out);
                }
                '\\' => match chars.next() {
                    Some((_, 'n')) => out.push('\n'),
                    Some((_, 't')) => out.push('\t'),
                    Some((_, 'r')) => out.push('\r'),
                    Some((_, c)) => out.push(c),
                    None => break,
                },
                c => out.push(c),
            }
        }
        error("unterminated quoted string")
    }
}

fn action(scan: &mut Scan<'_>, items: &mut Vec<Item>) -> Result<()> {
    loop {
        scan.skip_space();
        let starts_word = |word: &str| {
            let after = scan.rest().strip_prefix(word);
            after.is_some_and(|after| after.starts_with(|c: char| c.is_whitespace() || c == '}'))
        };
        match scan.peek() {
            None => return error("unclosed action"),
            Some('}') => {
                scan.at += 1;
                return Ok(());
            }
            Some('"' | '\'') => items.push(Item::Text(scan.quoted()?)),
            Some(_) if starts_word("range") => {
                scan.take("range");
                scan.skip_space();
                items.push(Item::Range(path(scan, 0)?));
            }
            Some(_) if starts_word("end") => {
                scan.take("end");
                items.push(Item::End);
            }
            Some('.' | '[' | '$' | '@') => items.push(Item::Path(path(scan, 0)?)),
            Some(_) => {
                let word = scan.word();
                match serde_json::from_str::<Value>(&word) {
                    Ok(Value::Number(_) | Value::Bool(_)) => items.push(Item::Text(word)),
                    _ => return error(format!("unrecognized identifier {word}")),
                }
            }
        }
    }
}

/// `$.a.b[0]..c`; stops where no step goes on.
fn path(scan: &mut Scan<'_>, depth: usize) -> Result<Vec<Step>> {
    if depth > DEPTH_MAX {
        return error(format!("filters may be nested {DEPTH_MAX} deep at most"));
    }
    let mut steps = Vec::new();
    if !scan.take("$") {
        scan.take("@");
    }
    loop {
        if scan.take("..") {
            steps.push(Step::Recursive);
            let word = scan.word();
            match &*word {
                "" => {}
                "*" => steps.push(Step::Wildcard),
                _ => steps.push(Step::Field(word)),
            }
        } else if scan.take(".") {
            let word = scan.word();
            match &*word {
                "" => {}
                "*" => steps.push(Step::Wildcard),
                _ => steps.push(Step::Field(word)),
            }
        } else if scan.take("[") {
            steps.push(bracket(scan, depth)?);
        } else {
            return Ok(steps);
        }
    }
}

/// Behind a `[`, up to and with its `]`.
fn bracket(scan: &mut Scan<'_>, depth: usize) -> Result<Step> {
    let inner = inner_of_bracket(scan)?.trim();
    if let Some(condition) = inner.strip_prefix("?(").and_then(|c| c.strip_suffix(')')) {
        return filter(condition, depth);
    }
    let parts = split_outside_quotes(inner, ',');
    let mut steps = Vec::new();
    for part in parts {
        steps.push(selector(part.trim(), depth)?);
    }
    match steps.len() {
        1 => Ok(steps.remove(0)),
        _ => Ok(Step::Union(steps)),
    }
}

fn inner_of_bracket<'t>(scan: &mut Scan<'t>) -> Result<&'t str> {
    let rest = scan.rest();
    let mut depth = 1;
    let mut quote = None;
    let mut escaped = false;
    for (i, c) in rest.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if quote == Some(c) => quote = None,
            _ if quote.is_some() => {}
            '"' | '\'' => quote = Some(c),
            '[' => depth += 1,
            ']' => {
                depth -= 1;
                if depth == 0 {
                    scan.at += i + 1;
                    return Ok(&rest[..i]);
                }
            }
            _ => {}
        }
    }
    error("unterminated array")
}

fn split_outside_quotes(text: &str, separator: char) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut start = 0;
    let mut quote = None;
    for (i, c) in text.char_indices() {
        match c {
            c if quote == Some(c) => quote = None,
            _ if quote.is_some() => {}
            '"' | '\'' => quote = Some(c),
            c if c == separator => {
                parts.push(&text[start..i]);
                start = i + c.len_utf8();
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

/// One part between brackets: `*`, `'name'`, `1`, `-1`, `0:3:2`, or a path (`.a`) of a union.
fn selector(text: &str, depth: usize) -> Result<Step> {
    if text == "*" {
        return Ok(Step::Wildcard);
    }
    if text.starts_with(['\'', '"']) {
        let mut scan = Scan { text, at: 0 };
        let name = scan.quoted()?;
        return if scan.rest().is_empty() {
            Ok(Step::Field(name))
        } else {
            error(format!("invalid array index {text}"))
        };
    }
    if text.starts_with(['.', '@', '$']) {
        let mut scan = Scan { text, at: 0 };
        let steps = path(&mut scan, depth + 1)?;
        return if scan.rest().is_empty() {
            Ok(Step::Path(steps))
        } else {
            error(format!("invalid array index {text}"))
        };
    }
    let parts: Vec<&str> = text.split(':').collect();
    let number = |part: Option<&&str>| match part.map(|p| p.trim()) {
        None | Some("") => Ok(None),
        Some(part) => part.parse::<i64>().map(Some).or_else(|_| error(format!("invalid array index {text}"))),
    };
    let (first, last, step) = (number(parts.first())?, number(parts.get(1))?, number(parts.get(2))?);
    match (parts.len(), first) {
        (1, Some(index)) => Ok(Step::Index(index)),
        (2 | 3, _) => Ok(Step::Slice(first, last, step)),
        _ => error(format!("invalid array index {text}")),
    }
}

fn filter(condition: &str, depth: usize) -> Result<Step> {
    let side = |text: &str| operand(text.trim(), depth + 1);
    let signs = [
        ("==", Operator::Equal),
        ("!=", Operator::NotEqual),
        ("<=", Operator::LessOrEqual),
        (">=", Operator::GreaterOrEqual),
        ("<", Operator::Less),
        (">", Operator::Greater),
    ];
    let mut quote = None;
    for (i, c) in condition.char_indices() {
        match c {
            c if quote == Some(c) => quote = None,
            _ if quote.is_some() => {}
            '"' | '\'' => quote = Some(c),
            _ => {
                let rest = &condition[i..];
                if let Some((sign, operator)) = signs.iter().find(|(sign, _)| rest.starts_with(sign)) {
                    let right = &rest[sign.len()..];
                    return Ok(Step::Filter(side(&condition[..i])?, *operator, Some(side(right)?)));
                }
            }
        }
    }
    Ok(Step::Filter(side(condition)?, Operator::Exists, None))
}

fn operand(text: &str, depth: usize) -> Result<Vec<Step>> {
    if text.starts_with(['\'', '"']) {
        let mut scan = Scan { text, at: 0 };
        let literal = scan.quoted()?;
        return Ok(vec![Step::Literal(Value::from(literal))]);
    }
    if text.starts_with(['@', '$', '.', '[']) {
        let mut scan = Scan { text, at: 0 };
        let steps = path(&mut scan, depth)?;
        return if scan.rest().trim().is_empty() { Ok(steps) } else { error(format!("invalid filter {text}")) };
    }
    match serde_json::from_str::<Value>(text) {
        Ok(value) => Ok(vec![Step::Literal(value)]),
        Err(_) => error(format!("unrecognized identifier {text}")),
    }
}
