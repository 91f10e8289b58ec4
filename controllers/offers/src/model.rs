//! What placement knows of nodes and tasks: plain data, translated from the API's kinds by the controller.

use std::collections::BTreeMap;

use crate::ranges::Ranges;
use crate::resources::Resources;

/// A machine that tasks can be placed on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// Unique name.
    pub name: String,
    /// What tasks may have of it.
    pub total: Resources,
    /// Ports that may be allotted to tasks that take any.
    pub ports: Ranges,
    /// Facts for constraints.
    pub attributes: BTreeMap<String, String>,
    /// Labels of the node's object.
    pub labels: BTreeMap<String, String>,
    /// Marks that keep tasks away.
    pub taints: Vec<Taint>,
    /// Cordoned.
    pub unschedulable: bool,
    /// Its agent answers.
    pub ready: bool,
}

impl Node {
    /// The value that constraints, selectors and affinity see under a name: attributes first, then labels.
    /// `hostname`, `@hostname`, `@region` and `@zone` are Marathon's names for well-known labels.
    pub fn field(&self, name: &str) -> Option<&str> {
        let direct = || self.attributes.get(name).or_else(|| self.labels.get(name)).map(String::as_str);
        let label = |label: &str| self.labels.get(label).map(String::as_str);
        match name {
            "hostname" | "@hostname" | "kubernetes.io/hostname" | "metadata.name" => {
                Some(label("kubernetes.io/hostname").filter(|_| name != "metadata.name").unwrap_or(&self.name))
            }
            "@region" => direct().or_else(|| label("topology.kubernetes.io/region")),
            "@zone" => direct().or_else(|| label("topology.kubernetes.io/zone")),
            _ => direct(),
        }
    }
}

/// A mark on a node that keeps tasks away which do not tolerate it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taint {
    /// Name of the mark.
    pub key: String,
    /// Its value; may be empty.
    pub value: String,
    /// What it does.
    pub effect: Effect,
}

/// What a taint does to tasks that do not tolerate it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Effect {
    /// Nothing new is placed.
    NoSchedule,
    /// Placed only when nothing else fits.
    PreferNoSchedule,
    /// Nothing new is placed and what runs is ended.
    NoExecute,
}

/// A taint that a task puts up with.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Toleration {
    /// Name of the taint; `None` tolerates every one.
    pub key: Option<String>,
    /// The value that the taint must have; `None` tolerates any (operator `Exists`).
    pub value: Option<String>,
    /// The effect; `None` tolerates all.
    pub effect: Option<Effect>,
}

impl Toleration {
    /// Whether the task puts up with this taint.
    pub fn covers(&self, taint: &Taint) -> bool {
        self.key.as_ref().is_none_or(|key| *key == taint.key)
            && self.value.as_ref().is_none_or(|value| *value == taint.value)
            && self.effect.is_none_or(|effect| effect == taint.effect)
    }
}

/// Network protocol of a port. Port 53 of TCP and of UDP are two ports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// TCP.
    #[default]
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

/// A port that a task wants on its node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortWish {
    /// This one, or any of the node's range.
    pub fixed: Option<u16>,
    /// Of which protocol.
    pub protocol: Protocol,
}

/// A rule on where tasks of one owner may stand (Marathon's constraints).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Constraint {
    /// The node's field that is judged: see [`Node::field`].
    pub field: String,
    /// How.
    pub operator: Operator,
    /// The operator's parameter.
    pub value: Option<String>,
}

/// How a constraint judges a field. Counts are of the owner's tasks that hold a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operator {
    /// One task a value.
    Unique,
    /// All tasks on one value.
    Cluster,
    /// Evenly over the values, one apart at most.
    GroupBy,
    /// Matches the whole regular expression.
    Like,
    /// Does not match it, or is missing.
    Unlike,
    /// At most so many tasks a value.
    MaxPer,
    /// Is this value; numbers are compared as numbers.
    Is,
}

/// One alternative of required node affinity: all expressions must hold. One without expressions never holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AffinityTerm(pub Vec<Expression>);

/// A demand on one field of a node.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Expression {
    /// Name of the field: see [`Node::field`].
    pub key: String,
    /// What is asked of it.
    pub operator: ExpressionOperator,
    /// The operator's values.
    pub values: Vec<String>,
}

/// Kubernetes' node selector operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ExpressionOperator {
    /// Is one of the values.
    In,
    /// Is missing or none of the values.
    NotIn,
    /// Is there.
    Exists,
    /// Is missing.
    DoesNotExist,
    /// Is a whole number above the first value.
    Gt,
    /// Is a whole number below the first value.
    Lt,
}

/// All that decides where a task can go. Tasks with equal shapes are placed together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Shape {
    /// Whose tasks count together for constraints and spreading.
    pub owner: String,
    /// The role that the resources are charged to.
    pub role: String,
    /// Higher goes first within the role.
    pub priority: i32,
    /// What must be free.
    pub requests: Resources,
    /// Ports, in the order in which they are allotted.
    pub ports: Vec<PortWish>,
    /// Fields that must have these values.
    pub node_selector: BTreeMap<String, String>,
    /// Required node affinity: one of these must hold; none means no demand.
    pub affinity: Vec<AffinityTerm>,
    /// Taints that are put up with.
    pub tolerations: Vec<Toleration>,
    /// Rules within the owner.
    pub constraints: Vec<Constraint>,
}
