//! The linked form of an expression.

use std::collections::BTreeSet;
use std::sync::Arc;

use regex::Regex;

use crate::library::Function;
use crate::library::cost::CallCost;
use crate::value::{MapKey, Value};

#[derive(Debug)]
pub(super) enum Node {
    Const(Value<'static>),
    Path(Box<Path>),
    And(Box<[Node]>),
    Or(Box<[Node]>),
    /// Condition and the two branches.
    Conditional(Box<[Node; 3]>),
    Equal(Box<[Node; 2]>),
    NotEqual(Box<[Node; 2]>),
    Call(Box<Call>),
    /// `x in [constants]`.
    Member(Box<(Node, BTreeSet<MapKey<'static>>)>),
    Pattern(Box<Pattern>),
    NotStrictlyFalse(Box<Node>),
    /// `optional.or(optional)`.
    Or2(Box<[Node; 2]>),
    /// `optional.orValue(value)`.
    OrValue(Box<[Node; 2]>),
    List(Box<[(bool, Node)]>),
    Map(Box<[MapEntry]>),
    Struct(Box<Struct>),
    Fold(Box<Fold>),
    Bind(Box<Bind>),
}

/// A chain of selections and indexes, which costs differ for from those of calls.
#[derive(Debug)]
pub(super) struct Path {
    pub root: Root,
    /// What reading the root costs: nothing in the branch of a conditional or in `has`.
    pub root_cost: u64,
    pub qualifiers: Vec<Qualifier>,
}

#[derive(Debug)]
pub(super) enum Root {
    /// Index into the program's variables.
    Variable(u32),
    /// Index into the frame's registers.
    Register(u32),
    Node(Node),
}

#[derive(Debug)]
pub(super) struct Qualifier {
    pub by: By,
    pub optional: bool,
    /// `has(..)`: only whether it is there. The last of its path.
    pub test_only: bool,
}

#[derive(Debug)]
pub(super) enum By {
    /// A name as written, and the JSON name it stands for in objects with declared fields (`None`: there is none).
    Field {
        name: Box<str>,
        raw: Option<Box<str>>,
    },
    Key(Value<'static>),
    Computed(Node),
}

#[derive(Debug)]
pub(super) struct Call {
    pub function: Function,
    pub cost: CallCost,
    pub args: Box<[Node]>,
}

/// A call with a pattern that is a literal.
#[derive(Debug)]
pub(super) struct Pattern {
    pub kind: PatternKind,
    pub regex: Arc<Regex>,
    pub cost: CallCost,
    pub args: Box<[Node]>,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum PatternKind {
    Matches,
    Find,
    FindAll,
}

#[derive(Debug)]
pub(super) struct MapEntry {
    pub optional: bool,
    pub key: Node,
    pub value: Node,
}

#[derive(Debug)]
pub(super) struct Struct {
    pub type_name: Arc<str>,
    pub fields: Box<[(Arc<str>, bool, Node)]>,
}

/// A comprehension; its variables live in registers of their own.
#[derive(Debug)]
pub(super) struct Fold {
    pub range: Node,
    pub accumulator: u32,
    pub first: u32,
    pub second: Option<u32>,
    pub init: Node,
    pub body: Body,
    pub result: Node,
}

#[derive(Debug)]
pub(super) enum Body {
    /// As written.
    Generic { condition: Node, step: Node },
    /// `filter ? accu + [element] : accu`: appends in place.
    Append { filter: Option<Node>, element: Node, cost: u64 },
    /// `filter ? cel.@mapInsert(accu, key, value) : accu`, or with a map of entries in place of key and value.
    Insert { filter: Option<Node>, key: Option<Node>, value: Node },
}

#[derive(Debug)]
pub(super) struct Bind {
    pub register: u32,
    pub init: Arc<Node>,
    pub body: Node,
}
