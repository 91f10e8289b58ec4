//! The syntax tree of an expression, as the parser makes it and the checker completes it.
//!
//! One tree serves both stages. What the parser cannot know (slots of identifiers, overloads of calls) starts out
//! empty and is filled by [`crate::check`]; the evaluator and the cost estimator only see checked trees.

use std::sync::Arc;

use crate::types::Type;

/// Numbers an expression within its tree: dense, starting at 1 (0 is never used). Index of [`crate::Checked`]'s tables.
pub type ExprId = u32;

/// One node: what it is, its number, and where it stands in the source (in characters, not bytes).
#[derive(Clone, Debug, PartialEq)]
pub struct Expr {
    pub id: ExprId,
    /// Offset of the token that names the node (the operator of a call, the dot of a selection), in characters.
    pub offset: u32,
    pub kind: ExprKind,
}

#[derive(Clone, Debug, PartialEq)]
pub enum ExprKind {
    Literal(Literal),
    Ident(Ident),
    Select(Box<Select>),
    Call(Box<Call>),
    List(Vec<Element>),
    Map(Vec<Entry>),
    /// Construction of an object: `Object.spec{replicas: 3}`.
    Struct(Box<Struct>),
    Comprehension(Box<Comprehension>),
    Bind(Box<Bind>),
}

#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    String(Arc<str>),
    Bytes(Arc<[u8]>),
}

/// A name standing for a value.
#[derive(Clone, Debug, PartialEq)]
pub struct Ident {
    /// After checking the full name: `a.b` when a variable of that dotted name is declared.
    pub name: Arc<str>,
    pub slot: Slot,
}

/// Where the evaluator finds the value of an identifier.
#[derive(Clone, Debug, PartialEq)]
pub enum Slot {
    /// Not checked yet.
    Unresolved,
    /// Index into [`crate::Checked::variables`].
    Variable(u32),
    /// Index into the stack of local variables, counted from its bottom.
    ///
    /// A [`Bind`] pushes its variable for the time of its body. A [`Comprehension`] evaluates `range` and `init`
    /// first, then pushes the accumulator, then `iter_var`, then `iter_var2` when there is one; `result` is evaluated
    /// with only the accumulator pushed.
    Local(u32),
    /// The name of a type, as a value: `int`, `google.protobuf.Timestamp`.
    Type(Type),
}

/// `operand.field`, `operand.?field` or, as the argument of `has`, the test for presence.
#[derive(Clone, Debug, PartialEq)]
pub struct Select {
    pub operand: Expr,
    /// As written, Kubernetes escapes (`__dot__`) and all; backticks are removed.
    pub field: Arc<str>,
    /// `has(operand.field)`: the value is a bool. When the operand is an optional the test looks into it.
    pub test_only: bool,
    /// `operand.?field`: the value is an optional.
    pub optional: bool,
}

/// A call. Operators are functions with the names in [`ops`].
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// The receiver of a member call. Qualified names of global functions (`optional.of`, `math.greatest`) have none
    /// once checked: the parser leaves `optional` here and the checker moves it into `function`.
    pub target: Option<Expr>,
    pub function: Arc<str>,
    pub args: Vec<Expr>,
    /// Ids of the overloads that may apply, of those declared in [`crate::declarations`]: more than one when an
    /// operand is dynamic. Empty before checking.
    pub overloads: Vec<&'static str>,
}

/// A list element; `[?x]` adds nothing when the optional is empty.
#[derive(Clone, Debug, PartialEq)]
pub struct Element {
    pub optional: bool,
    pub value: Expr,
}

/// A map entry; `{?k: v}` adds nothing when the optional `v` is empty.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub id: ExprId,
    pub optional: bool,
    pub key: Expr,
    pub value: Expr,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Struct {
    /// Dotted, without a leading dot: `JSONPatch`, `Object.spec.template`.
    pub type_name: Arc<str>,
    pub fields: Vec<Field>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    pub id: ExprId,
    pub offset: u32,
    pub optional: bool,
    pub name: Arc<str>,
    pub value: Expr,
}

/// A fold over a list (elements, or index and element) or a map (keys, or key and value).
///
/// `accu = init; for (iter_var, iter_var2) in range { if !condition { break }; accu = step }; result`.
/// An error in the condition does not end the fold unless it is the last word (`@not_strictly_false`).
#[derive(Clone, Debug, PartialEq)]
pub struct Comprehension {
    /// The macro it comes from: an evaluator may run the macro's meaning instead of the generic fold.
    pub fold: Fold,
    pub iter_var: Arc<str>,
    pub iter_var2: Option<Arc<str>>,
    pub range: Expr,
    /// [`ACCUMULATOR`], unless the fold is nested by hand.
    pub accu_var: Arc<str>,
    pub init: Expr,
    pub condition: Expr,
    pub step: Expr,
    pub result: Expr,
}

/// The macro behind a [`Comprehension`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fold {
    /// `init true; condition @not_strictly_false(accu); step accu && predicate; result accu`.
    All,
    /// `init false; condition @not_strictly_false(!accu); step accu || predicate; result accu`.
    Exists,
    /// `init 0; condition true; step predicate ? accu + 1 : accu; result accu == 1`.
    ExistsOne,
    /// `init []; condition true; step accu + [transform]` or `filter ? accu + [transform] : accu; result accu`.
    Map,
    /// `init []; condition true; step predicate ? accu + [iter_var] : accu; result accu`.
    Filter,
    /// Two variables; steps as [`Fold::Map`].
    TransformList,
    /// Two variables; `init {}; step cel.@mapInsert(accu, key, transform)`, possibly under a filter.
    TransformMap,
    /// Two variables; `init {}; step cel.@mapInsert(accu, {key: value})`, possibly under a filter.
    TransformMapEntry,
}

/// `cel.bind(var, init, body)`, and what `optMap` and `optFlatMap` make: `init` is evaluated at most once, when needed.
#[derive(Clone, Debug, PartialEq)]
pub struct Bind {
    pub var: Arc<str>,
    pub init: Expr,
    pub body: Expr,
}

/// Name of the accumulator of macros; cannot be written in an expression.
pub const ACCUMULATOR: &str = "@result";

/// Function names of the operators.
pub mod ops {
    pub const CONDITIONAL: &str = "_?_:_";
    pub const AND: &str = "_&&_";
    pub const OR: &str = "_||_";
    pub const NOT: &str = "!_";
    pub const EQUALS: &str = "_==_";
    pub const NOT_EQUALS: &str = "_!=_";
    pub const LESS: &str = "_<_";
    pub const LESS_EQUALS: &str = "_<=_";
    pub const GREATER: &str = "_>_";
    pub const GREATER_EQUALS: &str = "_>=_";
    pub const ADD: &str = "_+_";
    pub const SUBTRACT: &str = "_-_";
    pub const MULTIPLY: &str = "_*_";
    pub const DIVIDE: &str = "_/_";
    pub const MODULO: &str = "_%_";
    pub const NEGATE: &str = "-_";
    pub const IN: &str = "@in";
    pub const INDEX: &str = "_[_]";
    /// `list[?index]`, `map[?key]`: an optional.
    pub const OPT_INDEX: &str = "_[?_]";
    /// `operand.?field` is an [`ExprKind::Select`](super::ExprKind::Select); this names it in messages and costs.
    pub const OPT_SELECT: &str = "_?._";
    /// True unless its operand is false: errors count as true.
    pub const NOT_STRICTLY_FALSE: &str = "@not_strictly_false";
    /// `cel.@mapInsert(map, key, value)` and `cel.@mapInsert(map, map)`: fails on a key that is there already.
    pub const MAP_INSERT: &str = "cel.@mapInsert";
}
