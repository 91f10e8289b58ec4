//! A shape made ready for many nodes: names looked up, expressions compiled, wrong rules found out once.

use std::sync::Arc;

use regex::{Regex, RegexBuilder};

use crate::cluster::Cluster;
use crate::model::{Constraint, Operator, Protocol, Shape};

/// The largest compiled expression of a constraint, in bytes: enough for any list of host names that a person
/// would write, and small enough that thousands of tasks cannot fill the memory with them.
const EXPRESSION_BYTES_MAX: usize = 1 << 18;

pub(crate) struct Compiled {
    pub(crate) shape: Arc<Shape>,
    /// What is asked, above zero only. No index: no node has ever had such a resource.
    pub(crate) requests: Vec<(Option<usize>, i64)>,
    pub(crate) rules: Vec<Rule>,
    /// How many ports of any number are asked for.
    pub(crate) any_ports: u32,
    pub(crate) port_twice: Option<u16>,
}

/// A constraint, ready to judge.
pub(crate) struct Rule {
    pub(crate) field: String,
    pub(crate) test: Test,
    /// As a person wrote it.
    pub(crate) text: String,
}

pub(crate) enum Test {
    Unique,
    Cluster(Option<String>),
    GroupBy {
        values_min: usize,
    },
    Like(Regex),
    Unlike(Regex),
    MaxPer(u32),
    Is(String),
    /// Written so that it can never hold, and why.
    Wrong(String),
}

impl Test {
    /// Whether tasks that stand already decide.
    pub(crate) fn counts(&self) -> bool {
        matches!(self, Self::Unique | Self::Cluster(_) | Self::GroupBy { .. } | Self::MaxPer(_))
    }

    /// Whether a node that does not hold now may hold later in the same run, when other tasks were placed.
    pub(crate) fn may_open(&self) -> bool {
        matches!(self, Self::GroupBy { .. })
    }
}

impl Compiled {
    pub(crate) fn new(cluster: &Cluster, shape: Arc<Shape>) -> Self {
        let asked = shape.requests.0.iter().filter(|(_, amount)| amount.0 > 0);
        let requests = asked.map(|(name, amount)| (cluster.find_resource(name), amount.0)).collect();
        let rules = shape.constraints.iter().map(Rule::new).collect();
        let mut fixed: Vec<(Protocol, u16)> =
            shape.ports.iter().filter_map(|wish| Some((wish.protocol, wish.fixed?))).collect();
        fixed.sort_unstable();
        let port_twice = fixed.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0].1);
        let any_ports = shape.ports.iter().filter(|wish| wish.fixed.is_none()).count() as u32;
        Self { requests, rules, any_ports, port_twice, shape }
    }

    /// Names of the requested resources, beside [`Compiled::requests`].
    pub(crate) fn request_names(&self) -> impl Iterator<Item = &str> {
        self.shape.requests.0.iter().filter(|(_, amount)| amount.0 > 0).map(|(name, _)| name.as_str())
    }
}

impl Rule {
    fn new(constraint: &Constraint) -> Self {
        let Constraint { field, operator, value } = constraint;
        let value = value.as_deref().filter(|value| !value.is_empty());
        let (word, test) = match operator {
            Operator::Unique => ("UNIQUE", Test::Unique),
            Operator::Cluster => ("CLUSTER", Test::Cluster(value.map(str::to_owned))),
            Operator::GroupBy => (
                "GROUP_BY",
                match value.map_or(Ok(0), str::parse) {
                    Ok(values_min) => Test::GroupBy { values_min },
                    Err(_) => Test::Wrong("the value must be a whole number".to_owned()),
                },
            ),
            Operator::Like => ("LIKE", expression(value, Test::Like)),
            Operator::Unlike => ("UNLIKE", expression(value, Test::Unlike)),
            Operator::MaxPer => (
                "MAX_PER",
                match value.unwrap_or("").parse() {
                    Ok(most) => Test::MaxPer(most),
                    Err(_) => Test::Wrong("the value must be a whole number".to_owned()),
                },
            ),
            Operator::Is => (
                "IS",
                match value {
                    Some(value) => Test::Is(value.to_owned()),
                    None => Test::Wrong("a value is needed".to_owned()),
                },
            ),
        };
        let text = format!("{field} {word}{}{}", if value.is_some() { " " } else { "" }, value.unwrap_or(""));
        Self { field: field.clone(), test, text }
    }
}

/// The expression must match the whole value, as in Marathon.
fn expression(value: Option<&str>, test: fn(Regex) -> Test) -> Test {
    let Some(value) = value else { return Test::Wrong("a regular expression is needed".to_owned()) };
    match RegexBuilder::new(&format!("^(?:{value})$")).size_limit(EXPRESSION_BYTES_MAX).build() {
        Ok(regex) => test(regex),
        Err(_) => Test::Wrong("the value is not a regular expression that is supported".to_owned()),
    }
}
