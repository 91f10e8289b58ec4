//! JSONPath in kubectl's dialect, for Table cells and `-o jsonpath`.

mod eval;
mod parse;
#[cfg(test)]
mod tests;

use std::fmt::Write;

use serde_json::Value;

use self::eval::Eval;

/// Values that the path of one cell may visit. A list has thousands of cells, and their paths and objects are other
/// people's: more than this is a blank cell.
const CELL_VISITS_MAX: usize = 10_000;

/// A compiled template such as `{.items[*].metadata.name}` or `{range .items[*]}{.x}{"\n"}{end}`.
#[derive(Clone, Debug)]
pub struct Template {
    items: Vec<Item>,
    allow_missing: bool,
}

/// What is wrong with a template or with the data it met.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct JsonPathError(pub String);

#[derive(Clone, Debug)]
enum Item {
    Text(String),
    Path(Vec<Step>),
    Range(Vec<Step>),
    End,
}

#[derive(Clone, Debug)]
enum Step {
    Field(String),
    Wildcard,
    Recursive,
    Index(i64),
    /// First, behind last, step.
    Slice(Option<i64>, Option<i64>, Option<i64>),
    Union(Vec<Step>),
    Path(Vec<Step>),
    Filter(Vec<Step>, Operator, Option<Vec<Step>>),
    Literal(Value),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Exists,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Template {
    /// Reads a template with braces and text. Missing fields are no error, as with kubectl.
    pub fn parse(text: &str) -> Result<Self, JsonPathError> {
        Ok(Self { items: parse::template(text)?, allow_missing: true })
    }

    /// Reads kubectl's relaxed forms too: `metadata.name`, `.metadata.name`, `{metadata.name}`.
    pub fn parse_relaxed(text: &str) -> Result<Self, JsonPathError> {
        let inner = text.strip_prefix('{').and_then(|t| t.strip_suffix('}')).unwrap_or(text);
        if inner.contains(['{', '}']) || inner.is_empty() {
            return Self::parse(text);
        }
        let is_path = inner.starts_with(['.', '[', '$', '@']);
        Self::parse(&if is_path { format!("{{{inner}}}") } else { format!("{{.{inner}}}") })
    }

    /// Whether missing fields are skipped (the default) or are an error.
    pub fn allow_missing(self, allow: bool) -> Self {
        Self { allow_missing: allow, ..self }
    }

    /// The text that kubectl prints.
    pub fn render(&self, data: &Value) -> Result<String, JsonPathError> {
        let mut out = String::new();
        self.eval().render(&self.items, data, &mut out)?;
        Ok(out)
    }

    /// The values that the template's first path finds; nothing when it does not fit the data, or visits too much of it.
    pub fn find<'v>(&'v self, data: &'v Value) -> Vec<&'v Value> {
        let first = self.items.iter().find_map(|item| match item {
            Item::Path(steps) => Some(steps),
            _ => None,
        });
        let mut eval = Eval { allow_missing: self.allow_missing, visits: eval::VISITS_MAX - CELL_VISITS_MAX };
        first.and_then(|steps| eval.walk(steps, vec![data]).ok()).unwrap_or_default()
    }

    fn eval(&self) -> Eval {
        Eval { allow_missing: self.allow_missing, visits: 0 }
    }
}

/// A value as kubectl prints it: scalars plain, objects and lists as JSON.
pub(crate) fn print(value: &Value, out: &mut String) {
    match value {
        Value::String(text) => out.push_str(text),
        // Writing into a String cannot fail.
        other => drop(write!(out, "{other}")),
    }
}
