//! Why a task fits nowhere, counted by nodes, in words that a person can act on.

use std::collections::BTreeMap;
use std::fmt;

use crate::model::Protocol;
use crate::resources::show;

/// Why one node does not fit; a node counts under the first that applies.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// Its agent does not answer.
    NotReady,
    /// Cordoned.
    Cordoned,
    /// A taint that the task does not tolerate.
    Taint(String),
    /// A label or attribute that the node selector asks for (`disk=ssd`).
    Selector(String),
    /// No term of the required node affinity holds.
    Affinity,
    /// A constraint, as it was written, and what stands against it.
    Constraint(String),
    /// Resources and how much is missing of each, in thousandths. Counted together by resource, with the least
    /// that is missing.
    Short(Vec<(String, i128)>),
    /// A fixed port is taken.
    PortTaken(u16, Protocol),
    /// The task asks for the same port twice.
    PortTwice(u16),
    /// So many more free ports are wanted.
    PortsShort(u32),
}

impl Reason {
    /// The same reason without amounts: what is counted together.
    fn class(&self) -> Self {
        match self {
            Self::Short(list) => Self::Short(list.iter().map(|(name, _)| (name.clone(), 0)).collect()),
            Self::PortsShort(_) => Self::PortsShort(0),
            other => other.clone(),
        }
    }

    /// Keeps the smaller amounts of both.
    fn lower_to(&mut self, other: &Self) {
        match (self, other) {
            (Self::Short(mine), Self::Short(theirs)) => {
                for (mine, theirs) in mine.iter_mut().zip(theirs) {
                    mine.1 = mine.1.min(theirs.1);
                }
            }
            (Self::PortsShort(mine), Self::PortsShort(theirs)) => *mine = (*mine).min(*theirs),
            _ => {}
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotReady => f.write_str("not ready"),
            Self::Cordoned => f.write_str("cordoned"),
            Self::Taint(taint) => write!(f, "taint {taint} not tolerated"),
            Self::Selector(pair) => write!(f, "no label or attribute {pair}"),
            Self::Affinity => f.write_str("node affinity does not match"),
            Self::Constraint(text) => write!(f, "constraint {text}"),
            Self::Short(list) => {
                for (i, (name, milli)) in list.iter().enumerate() {
                    let comma = if i == 0 { "" } else { ", " };
                    write!(f, "{comma}{name} short by {}", show(name, *milli))?;
                }
                Ok(())
            }
            Self::PortTaken(port, Protocol::Tcp) => write!(f, "port {port} taken"),
            Self::PortTaken(port, protocol) => {
                write!(f, "port {port}/{} taken", format!("{protocol:?}").to_lowercase())
            }
            Self::PortTwice(port) => write!(f, "port {port} is asked for twice by the task itself"),
            Self::PortsShort(count) => write!(f, "free ports short by {count}"),
        }
    }
}

/// A reason and how many nodes it keeps out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReasonCount {
    /// Why.
    pub reason: Reason,
    /// How many nodes.
    pub nodes: u32,
}

/// Why a task is not placed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Explanation {
    /// How many nodes there are.
    pub nodes: u32,
    /// How many would do. Above zero only when `role` stands in the way.
    pub fitting: u32,
    /// Why the others do not fit, most frequent first.
    pub reasons: Vec<ReasonCount>,
    /// What the role stands in the way with, if it does.
    pub role: Option<String>,
}

impl Explanation {
    pub(crate) fn new(verdicts: impl IntoIterator<Item = Option<Reason>>, role: Option<String>) -> Self {
        let mut all = Self { role, ..Self::default() };
        let mut classes: BTreeMap<Reason, ReasonCount> = BTreeMap::new();
        for verdict in verdicts {
            all.nodes += 1;
            let Some(reason) = verdict else {
                all.fitting += 1;
                continue;
            };
            let class = reason.class();
            let count = classes.entry(class).or_insert_with(|| ReasonCount { reason: reason.clone(), nodes: 0 });
            count.nodes += 1;
            count.reason.lower_to(&reason);
        }
        all.reasons = classes.into_values().collect();
        all.reasons.sort_by_key(|reason| std::cmp::Reverse(reason.nodes));
        all
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(role) = &self.role {
            f.write_str(role)?;
            return if self.fitting > 0 {
                write!(f, " ({} of {} nodes fit)", self.fitting, self.nodes)
            } else {
                Ok(())
            };
        }
        if self.nodes == 0 {
            return f.write_str("there are no nodes");
        }
        write!(f, "{} of {} nodes fit", self.fitting, self.nodes)?;
        for (i, count) in self.reasons.iter().enumerate() {
            write!(f, "{} {}: {}", if i == 0 { ":" } else { ";" }, count.nodes, count.reason)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_counted_by_nodes_with_the_least_shortage() {
        let short = |milli| Some(Reason::Short(vec![("cpu".to_owned(), milli)]));
        let why = Explanation::new([short(900), Some(Reason::PortTaken(8080, Protocol::Tcp)), short(500)], None);
        assert_eq!(why.to_string(), "0 of 3 nodes fit: 2: cpu short by 500m; 1: port 8080 taken");
    }

    #[test]
    fn no_nodes_are_told_plainly() {
        assert_eq!(Explanation::new([], None).to_string(), "there are no nodes");
    }
}
