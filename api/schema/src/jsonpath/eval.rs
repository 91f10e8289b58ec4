//! Walking the steps of a template over data.

use std::cmp::Ordering;

use serde_json::Value;

use super::{Item, JsonPathError, Operator, Step};

/// Values that one template may visit: recursive descents within each other multiply.
pub(super) const VISITS_MAX: usize = 1_000_000;

type Result<T> = std::result::Result<T, JsonPathError>;

pub(super) struct Eval {
    pub(super) allow_missing: bool,
    pub(super) visits: usize,
}

impl Eval {
    /// The text of a template: each action's values with spaces between them.
    pub(super) fn render(&mut self, items: &[Item], data: &Value, out: &mut String) -> Result<()> {
        let mut i = 0;
        while let Some(item) = items.get(i) {
            match item {
                Item::Text(text) => out.push_str(text),
                Item::Path(steps) => {
                    let found = self.walk(steps, vec![data])?;
                    for (n, value) in found.iter().enumerate() {
                        if n > 0 {
                            out.push(' ');
                        }
                        super::print(value, out);
                    }
                }
                Item::Range(steps) => {
                    let end = i + 1 + end_of_range(&items[i + 1..]);
                    for value in self.walk(steps, vec![data])? {
                        self.render(&items[i + 1..end], value, out)?;
                    }
                    i = end;
                }
                Item::End => {}
            }
            i += 1;
        }
        Ok(())
    }

    pub(super) fn walk<'v>(&mut self, steps: &'v [Step], start: Vec<&'v Value>) -> Result<Vec<&'v Value>> {
        steps.iter().try_fold(start, |values, step| self.step(step, values))
    }

    fn step<'v>(&mut self, step: &'v Step, values: Vec<&'v Value>) -> Result<Vec<&'v Value>> {
        self.visits += values.len() + 1;
        self.check_visits()?;
        match step {
            Step::Field(name) => {
                let found: Vec<&Value> = values.iter().filter_map(|v| v.get(name.as_str())).collect();
                if found.is_empty() && !values.is_empty() && !self.allow_missing {
                    return Err(JsonPathError(format!("{name} is not found")));
                }
                Ok(found)
            }
            Step::Wildcard => Ok(values.into_iter().flat_map(children).collect()),
            Step::Recursive => {
                let mut found = Vec::new();
                for value in values {
                    descend(value, &mut found, VISITS_MAX.saturating_sub(self.visits));
                }
                self.visits += found.len();
                self.check_visits()?;
                Ok(found)
            }
            Step::Index(index) => self.each_list(values, |list| {
                let length = list.len() as i64;
                let at = if *index < 0 { index + length } else { *index };
                if (0..length).contains(&at) {
                    Ok(vec![&list[at as usize]])
                } else {
                    Err(JsonPathError(format!("array index out of bounds: index {at}, length {length}")))
                }
            }),
            Step::Slice(first, last, step) => self.each_list(values, |list| slice(list, *first, *last, *step)),
            Step::Union(parts) => {
                let mut found = Vec::new();
                for part in parts {
                    found.extend(self.step(part, values.clone())?);
                }
                Ok(found)
            }
            Step::Path(steps) => self.walk(steps, values),
            Step::Literal(value) => Ok(vec![value]),
            Step::Filter(left, operator, right) => {
                let mut found = Vec::new();
                for value in values {
                    let Value::Array(list) = value else {
                        if value.is_null() {
                            continue;
                        }
                        return Err(JsonPathError(format!("{value} is not array or slice and cannot be filtered")));
                    };
                    for item in list {
                        if self.passes(left, *operator, right.as_deref(), item)? {
                            found.push(item);
                        }
                    }
                }
                Ok(found)
            }
        }
    }

    fn check_visits(&self) -> Result<()> {
        let message = "the template visits too many values";
        if self.visits < VISITS_MAX { Ok(()) } else { Err(JsonPathError(message.to_owned())) }
    }

    fn each_list<'v>(
        &self,
        values: Vec<&'v Value>,
        pick: impl Fn(&'v [Value]) -> Result<Vec<&'v Value>>,
    ) -> Result<Vec<&'v Value>> {
        let mut found = Vec::new();
        for value in values {
            match value {
                Value::Null => {}
                Value::Array(list) => found.extend(pick(list)?),
                other => return Err(JsonPathError(format!("{other} is not array or slice"))),
            }
        }
        Ok(found)
    }

    fn passes(&mut self, left: &[Step], operator: Operator, right: Option<&[Step]>, item: &Value) -> Result<bool> {
        let lefts = match self.walk(left, vec![item]) {
            Err(_) if operator == Operator::Exists => return Ok(false),
            result => result?,
        };
        let Some(right) = right else { return Ok(!lefts.is_empty()) };
        let rights = self.walk(right, vec![item])?;
        match (lefts.as_slice(), rights.as_slice()) {
            ([], _) | (_, []) => Ok(false),
            ([left], [right]) => Ok(operator.holds(left, right)),
            _ => Err(JsonPathError("can only compare one element at a time".to_owned())),
        }
    }
}

impl Operator {
    fn holds(self, left: &Value, right: &Value) -> bool {
        let order = compare(left, right);
        match self {
            Self::Exists => true,
            Self::Equal => order == Some(Ordering::Equal),
            Self::NotEqual => order != Some(Ordering::Equal),
            Self::Less => order == Some(Ordering::Less),
            Self::LessOrEqual => matches!(order, Some(Ordering::Less | Ordering::Equal)),
            Self::Greater => order == Some(Ordering::Greater),
            Self::GreaterOrEqual => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
        }
    }
}

fn compare(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::Number(a), Value::Number(b)) => match (a.as_i64(), b.as_i64()) {
            (Some(a), Some(b)) => Some(a.cmp(&b)),
            _ => a.as_f64()?.partial_cmp(&b.as_f64()?),
        },
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
        (a, b) if a == b => Some(Ordering::Equal),
        _ => None,
    }
}

fn children(value: &Value) -> Vec<&Value> {
    match value {
        Value::Object(map) => map.values().collect(),
        Value::Array(list) => list.iter().collect(),
        _ => Vec::new(),
    }
}

/// The value and all containers below it, outermost first; stops at `limit` values.
fn descend<'v>(value: &'v Value, out: &mut Vec<&'v Value>, limit: usize) {
    let inner = children(value);
    if !inner.is_empty() && out.len() < limit {
        out.push(value);
        inner.into_iter().for_each(|child| descend(child, out, limit));
    }
}

fn slice(list: &[Value], first: Option<i64>, last: Option<i64>, step: Option<i64>) -> Result<Vec<&Value>> {
    let length = list.len() as i64;
    let from_end = |index: i64| if index < 0 { index + length } else { index };
    let first = from_end(first.unwrap_or(0));
    let last = from_end(last.unwrap_or(length));
    let step = step.unwrap_or(1);
    if step <= 0 {
        return Err(JsonPathError("step must be > 0".to_owned()));
    }
    if first == last {
        return Ok(Vec::new());
    }
    for (index, shown) in [(first, first), (last - 1, last - 1)] {
        if !(0..length).contains(&index) {
            return Err(JsonPathError(format!("array index out of bounds: index {shown}, length {length}")));
        }
    }
    if first > last {
        return Err(JsonPathError(format!("starting index {first} is greater than ending index {last}")));
    }
    Ok(list[first as usize..last as usize].iter().step_by(step as usize).collect())
}

/// The place of the matching end within `items`, which follow a range.
fn end_of_range(items: &[Item]) -> usize {
    let mut open = 0;
    for (i, item) in items.iter().enumerate() {
        match item {
            Item::Range(_) => open += 1,
            Item::End if open == 0 => return i,
            Item::End => open -= 1,
            Item::Text(_) | Item::Path(_) => {}
        }
    }
    items.len()
}
