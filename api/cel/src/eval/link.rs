//! From the checked tree to the linked form.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::LinkError;
use super::node::{Bind, Body, By, Fold, MapEntry, Node, Path, Qualifier, Root, Struct};
use crate::ast::{self, Expr, ExprKind, Literal, Slot, ops};
use crate::escape::unescape;
use crate::value::{Map, MapKey, Str, Value};

/// Levels of an expression: the evaluator recurses as deep. The parser stops at 250, macros add a few to each.
const DEPTH_MAX: usize = 1_000;

/// Links `expr`; gives the number of registers too.
pub(super) fn link(expr: &Expr) -> Result<(Node, usize), LinkError> {
    let mut linker = Linker { registers: 0, locals: Vec::new(), depth: 0 };
    let root = linker.node(expr)?;
    Ok((root, linker.registers as usize))
}

pub(super) struct Linker {
    /// Registers in use; each variable that an expression introduces has one of its own.
    registers: u32,
    /// The register of each local variable in scope.
    locals: Vec<u32>,
    depth: usize,
}

impl Linker {
    pub(super) fn node(&mut self, expr: &Expr) -> Result<Node, LinkError> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(LinkError { message: format!("expression nests deeper than {DEPTH_MAX} levels") });
        }
        let node = match &expr.kind {
            ExprKind::Literal(literal) => Ok(Node::Const(constant(literal))),
            ExprKind::Ident(ident) => self.ident(ident),
            ExprKind::Select(select) => self.select(select),
            ExprKind::Call(call) => self.call(call),
            ExprKind::List(elements) => self.list(elements),
            ExprKind::Map(entries) => self.map(entries),
            ExprKind::Struct(object) => self.object(object),
            ExprKind::Comprehension(fold) => self.fold(fold),
            ExprKind::Bind(bind) => self.bind(bind),
        };
        self.depth -= 1;
        node
    }

    /// A branch of a conditional or an index: cel-go resolves it without counting its root.
    pub(super) fn inner(&mut self, expr: &Expr) -> Result<Node, LinkError> {
        Ok(free_root(self.node(expr)?))
    }

    fn ident(&self, ident: &ast::Ident) -> Result<Node, LinkError> {
        let root = match &ident.slot {
            Slot::Type(of) => return Ok(Node::Const(Value::Type(Arc::new(of.clone())))),
            Slot::Variable(index) => Root::Variable(*index),
            Slot::Local(index) => match self.locals.get(*index as usize) {
                Some(register) => Root::Register(*register),
                None => return Err(unresolved(&ident.name)),
            },
            Slot::Unresolved => return Err(unresolved(&ident.name)),
        };
        Ok(Node::Path(Box::new(Path { root, root_cost: 1, qualifiers: Vec::new() })))
    }

    fn select(&mut self, select: &ast::Select) -> Result<Node, LinkError> {
        let raw = unescape(&select.field).map(|name| name.into_owned().into_boxed_str());
        let by = By::Field { name: (&*select.field).into(), raw };
        let qualifier = Qualifier { by, optional: select.optional, test_only: select.test_only };
        let operand = self.node(&select.operand)?;
        Ok(qualified(operand, qualifier))
    }

    /// `operand[index]` and `operand[?index]`.
    pub(super) fn index(&mut self, operand: &Expr, index: &Expr, optional: bool) -> Result<Node, LinkError> {
        let operand = self.node(operand)?;
        let by = match self.inner(index)? {
            Node::Const(key) => By::Key(key),
            computed => By::Computed(computed),
        };
        Ok(qualified(operand, Qualifier { by, optional, test_only: false }))
    }

    fn list(&mut self, elements: &[ast::Element]) -> Result<Node, LinkError> {
        let mut items = Vec::with_capacity(elements.len());
        for element in elements {
            items.push((element.optional, self.node(&element.value)?));
        }
        let constants = items.iter().map(|(optional, item)| match item {
            Node::Const(value) if !optional => Some(value.clone()),
            _ => None,
        });
        match constants.collect::<Option<Vec<_>>>() {
            Some(values) => Ok(Node::Const(Value::list(values))),
            None => Ok(Node::List(items.into())),
        }
    }

    fn map(&mut self, entries: &[ast::Entry]) -> Result<Node, LinkError> {
        let mut linked = Vec::with_capacity(entries.len());
        for entry in entries {
            let (key, value) = (self.node(&entry.key)?, self.node(&entry.value)?);
            linked.push(MapEntry { optional: entry.optional, key, value });
        }
        let constants = linked.iter().map(|entry| match (&entry.key, &entry.value) {
            (Node::Const(key), Node::Const(value)) if !entry.optional => Some((MapKey::new(key)?, value.clone())),
            _ => None,
        });
        match constants.collect::<Option<Map<'static>>>() {
            Some(map) => Ok(Node::Const(Value::Map(Arc::new(map)))),
            None => Ok(Node::Map(linked.into())),
        }
    }

    fn object(&mut self, object: &ast::Struct) -> Result<Node, LinkError> {
        let mut fields = BTreeMap::new();
        for field in &object.fields {
            fields.insert(field.name.clone(), (field.optional, self.node(&field.value)?));
        }
        let fields = fields.into_iter().map(|(name, (optional, value))| (name, optional, value)).collect();
        Ok(Node::Struct(Box::new(Struct { type_name: object.type_name.clone(), fields })))
    }

    fn register(&mut self) -> u32 {
        let register = self.registers;
        self.registers += 1;
        self.locals.push(register);
        register
    }

    fn bind(&mut self, bind: &ast::Bind) -> Result<Node, LinkError> {
        let init = Arc::new(self.node(&bind.init)?);
        let register = self.register();
        let body = self.node(&bind.body);
        self.locals.pop();
        Ok(Node::Bind(Box::new(Bind { register, init, body: body? })))
    }

    fn fold(&mut self, fold: &ast::Comprehension) -> Result<Node, LinkError> {
        let range = self.node(&fold.range)?;
        let init = self.node(&fold.init)?;
        let accumulator = self.register();
        let first = self.register();
        let second = fold.iter_var2.as_ref().map(|_| self.register());
        let body = self.body(fold, &init, accumulator)?;
        self.locals.truncate(self.locals.len() - 1 - usize::from(second.is_some()));
        let result = self.node(&fold.result)?;
        self.locals.pop();
        Ok(Node::Fold(Box::new(Fold { range, accumulator, first, second, init, body, result })))
    }

    fn body(&mut self, fold: &ast::Comprehension, init: &Node, accumulator: u32) -> Result<Body, LinkError> {
        let condition = self.node(&fold.condition)?;
        if matches!(condition, Node::Const(Value::Bool(true))) && is_empty_collection(init) {
            let (filter, step) = match call(&fold.step, ops::CONDITIONAL) {
                Some([filter, step, rest]) if self.is_register(rest, accumulator) => (Some(filter), step),
                _ => (None, &fold.step),
            };
            if let Some([accu, ast::Expr { kind: ExprKind::List(elements), .. }]) = call(step, ops::ADD)
                && let [ast::Element { optional: false, value }] = elements.as_slice()
                && self.is_register(accu, accumulator)
            {
                let filter = filter.map(|filter| self.node(filter)).transpose()?;
                let element = self.node(value)?;
                // the accumulator, the list of one, the addition
                let cost = if matches!(element, Node::Const(_)) { 2 } else { 12 };
                return Ok(Body::Append { filter, element, cost });
            }
            if let Some([accu, rest @ ..]) = call(step, ops::MAP_INSERT)
                && let Some((key, value)) = match rest {
                    [key, value] => Some((Some(key), value)),
                    [entries] => Some((None, entries)),
                    _ => None,
                }
                && self.is_register(accu, accumulator)
            {
                let filter = filter.map(|filter| self.node(filter)).transpose()?;
                let key = key.map(|key| self.node(key)).transpose()?;
                return Ok(Body::Insert { filter, key, value: self.node(value)? });
            }
        }
        Ok(Body::Generic { condition, step: self.node(&fold.step)? })
    }

    /// True when `expr` is the variable in that register.
    fn is_register(&self, expr: &Expr, register: u32) -> bool {
        match &expr.kind {
            ExprKind::Ident(ast::Ident { slot: Slot::Local(index), .. }) => {
                self.locals.get(*index as usize) == Some(&register)
            }
            _ => false,
        }
    }
}

fn unresolved(name: &str) -> LinkError {
    LinkError { message: format!("undeclared reference to '{name}'") }
}

fn is_empty_collection(node: &Node) -> bool {
    match node {
        Node::Const(Value::List(items)) => items.is_empty(),
        Node::Const(Value::Map(map)) => map.is_empty(),
        _ => false,
    }
}

/// The arguments of `expr` when it is a call of the operator `function`.
fn call<'e>(expr: &'e Expr, function: &str) -> Option<&'e [Expr]> {
    match &expr.kind {
        ExprKind::Call(call) if *call.function == *function && call.target.is_none() => Some(&call.args),
        _ => None,
    }
}

/// `operand` with one more qualifier: a path grows, anything else becomes the root of one.
fn qualified(operand: Node, qualifier: Qualifier) -> Node {
    let test_only = qualifier.test_only;
    let mut path = match operand {
        Node::Path(path) if !path.qualifiers.last().is_some_and(|last| last.test_only) => path,
        node => {
            // a conditional hands its qualifiers to its branches, so it has no root to count
            let root_cost = u64::from(!matches!(node, Node::Conditional(_)));
            Box::new(Path { root: Root::Node(node), root_cost, qualifiers: Vec::new() })
        }
    };
    path.qualifiers.push(qualifier);
    if test_only {
        path.root_cost = 0;
    }
    Node::Path(path)
}

fn free_root(node: Node) -> Node {
    match node {
        Node::Path(mut path) => {
            path.root_cost = 0;
            Node::Path(path)
        }
        other => other,
    }
}

fn constant(literal: &Literal) -> Value<'static> {
    match literal {
        Literal::Null => Value::Null,
        Literal::Bool(value) => Value::Bool(*value),
        Literal::Int(value) => Value::Int(*value),
        Literal::Uint(value) => Value::Uint(*value),
        Literal::Double(value) => Value::Double(*value),
        Literal::String(text) => Value::String(Str::Owned(text.clone())),
        Literal::Bytes(bytes) => Value::Bytes(bytes.clone()),
    }
}
