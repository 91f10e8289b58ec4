//! Label selectors: `app=web,tier in (a, b),!canary`.

use serde_json::Value;

use super::SelectorError;
use super::parse;
use super::words::{key_problem, value_problem};

/// All requirements must hold; none at all matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelSelector {
    pub requirements: Vec<Requirement>,
}

/// One term.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    pub key: String,
    pub operator: Operator,
    /// Sorted; empty for `Exists` and `DoesNotExist`.
    pub values: Vec<String>,
}

/// How a label's value is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    In,
    NotIn,
    Exists,
    DoesNotExist,
    GreaterThan,
    LessThan,
}

impl LabelSelector {
    /// Reads the query form.
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        Ok(Self { requirements: parse::parse(text)? })
    }

    /// Reads a `LabelSelector` object: `{matchLabels, matchExpressions}`. `null` and `{}` match everything.
    pub fn from_json(value: &Value) -> Result<Self, SelectorError> {
        let mut requirements = Vec::new();
        if let Some(labels) = value.get("matchLabels").and_then(Value::as_object) {
            for (key, value) in labels {
                let Some(value) = value.as_str() else {
                    return Err(SelectorError(format!("matchLabels[{key}]: must be a string")));
                };
                requirements.push(Requirement::new(key, Operator::In, vec![value.to_owned()])?);
            }
        }
        for term in value.get("matchExpressions").and_then(Value::as_array).into_iter().flatten() {
            let key = term.get("key").and_then(Value::as_str).unwrap_or_default();
            let operator = match term.get("operator").and_then(Value::as_str).unwrap_or_default() {
                "In" => Operator::In,
                "NotIn" => Operator::NotIn,
                "Exists" => Operator::Exists,
                "DoesNotExist" => Operator::DoesNotExist,
                other => {
                    return Err(SelectorError(format!("\"{other}\" is not a valid label selector operator")));
                }
            };
            let values = term.get("values").and_then(Value::as_array).into_iter().flatten();
            let values = values.filter_map(Value::as_str).map(str::to_owned).collect();
            requirements.push(Requirement::new(key, operator, values)?);
        }
        Ok(Self { requirements })
    }

    pub fn is_empty(&self) -> bool {
        self.requirements.is_empty()
    }

    /// Whether labels match; `lookup` gives a label's value.
    pub fn matches<'a>(&self, lookup: impl Fn(&str) -> Option<&'a str>) -> bool {
        self.requirements.iter().all(|r| r.holds(lookup(&r.key)))
    }

    /// Whether the `metadata.labels` of an object match.
    pub fn matches_object(&self, object: &Value) -> bool {
        let labels = object.get("metadata").and_then(|m| m.get("labels"));
        self.matches(|key| labels.and_then(|l| l.get(key)).and_then(Value::as_str))
    }
}

impl Requirement {
    /// Checks key and values as kube-apiserver does.
    pub fn new(key: &str, operator: Operator, mut values: Vec<String>) -> Result<Self, SelectorError> {
        if let Some(problem) = key_problem(key) {
            return Err(SelectorError(format!("key: Invalid value: \"{key}\": {problem}")));
        }
        let refuse = |text: &str| Err(SelectorError(format!("values: Invalid value: {values:?}: {text}")));
        match operator {
            Operator::In | Operator::NotIn if values.is_empty() => {
                return refuse("for 'in', 'notin' operators, values set can't be empty");
            }
            Operator::Exists | Operator::DoesNotExist if !values.is_empty() => {
                return refuse("values set must be empty for exists and does not exist");
            }
            Operator::GreaterThan | Operator::LessThan => {
                let [value] = values.as_slice() else {
                    return refuse("for 'Gt', 'Lt' operators, exactly one value is required");
                };
                if value.parse::<i64>().is_err() {
                    return Err(SelectorError(format!(
                        "values[0]: Invalid value: \"{value}\": for 'Gt', 'Lt' operators, the value must be an integer"
                    )));
                }
            }
            _ => {}
        }
        for (i, value) in values.iter().enumerate() {
            if let Some(problem) = value_problem(value) {
                return Err(SelectorError(format!("values[{i}][{key}]: Invalid value: \"{value}\": {problem}")));
            }
        }
        values.sort();
        values.dedup();
        Ok(Self { key: key.to_owned(), operator, values })
    }

    fn holds(&self, value: Option<&str>) -> bool {
        let listed = |v: &str| self.values.iter().any(|x| x == v);
        match (self.operator, value) {
            (Operator::Exists, v) => v.is_some(),
            (Operator::DoesNotExist, v) => v.is_none(),
            (Operator::In, v) => v.is_some_and(listed),
            (Operator::NotIn, v) => !v.is_some_and(listed),
            (Operator::GreaterThan | Operator::LessThan, v) => {
                let bound = self.values.first().and_then(|b| b.parse::<i64>().ok());
                let (Some(value), Some(bound)) = (v.and_then(|v| v.parse::<i64>().ok()), bound) else { return false };
                if self.operator == Operator::GreaterThan { value > bound } else { value < bound }
            }
        }
    }
}
