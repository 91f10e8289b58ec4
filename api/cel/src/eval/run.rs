//! The evaluator: one function for each kind of node.
//!
//! Functions of rarer nodes are kept out of the recursive one, so that its stack frame stays small.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::activation::Activation;
use super::node::{Bind, Call, MapEntry, Node, Pattern, PatternKind, Struct};
use crate::budget::{Budget, Meter};
use crate::error::EvalError;
use crate::library::cost::{self, CallCost};
use crate::library::regex;
use crate::value::{Map, MapKey, Object, Value, equal};

/// The value of a variable that the expression introduces.
#[derive(Clone, Debug, Default)]
pub(super) enum Register<'a> {
    #[default]
    Empty,
    Value(Value<'a>),
    /// A failed step of a fold, which later steps may absorb.
    Error(EvalError),
    /// A bound variable that has not been needed yet.
    Pending(&'a Node),
}

/// One evaluation.
pub(super) struct Frame<'e, 'b, 'a> {
    pub(super) activation: &'e Activation<'a>,
    pub(super) variables: &'a [Arc<str>],
    pub(super) registers: Vec<Register<'a>>,
    pub(super) meter: Meter,
    pub(super) budget: &'e mut Budget<'b>,
}

pub(super) type Result<'a> = std::result::Result<Value<'a>, EvalError>;

impl<'e, 'b, 'a> Frame<'e, 'b, 'a> {
    pub(super) fn new(
        activation: &'e Activation<'a>,
        variables: &'a [Arc<str>],
        registers: usize,
        budget: &'e mut Budget<'b>,
    ) -> Self {
        let meter = budget.meter();
        Self { activation, variables, registers: vec![Register::Empty; registers], meter, budget }
    }

    pub(super) fn into_meter(self) -> Meter {
        self.meter
    }

    pub(super) fn eval(&mut self, node: &'a Node) -> Result<'a> {
        match node {
            Node::Const(value) => Ok(borrowed(value)),
            Node::Path(path) => self.path(path),
            Node::And(terms) => self.logical(terms, false),
            Node::Or(terms) => self.logical(terms, true),
            Node::Conditional(parts) => match self.eval(&parts[0])? {
                Value::Bool(true) => self.eval(&parts[1]),
                Value::Bool(false) => self.eval(&parts[2]),
                _ => Err(EvalError::no_such_overload()),
            },
            Node::Equal(parts) => self.equality(parts, false),
            Node::NotEqual(parts) => self.equality(parts, true),
            Node::Call(call) => self.call(call),
            Node::Member(member) => match self.eval(&member.0)? {
                Value::Double(double) if double.fract() != 0.0 => Ok(Value::Bool(false)),
                value => Ok(Value::Bool(MapKey::new(&value).is_some_and(|key| member.1.contains(&key)))),
            },
            Node::Pattern(pattern) => self.pattern(pattern),
            Node::NotStrictlyFalse(operand) => {
                let value = self.eval(operand);
                self.meter.charge(1)?;
                match value {
                    Ok(Value::Bool(value)) => Ok(Value::Bool(value)),
                    Err(error) if error.is_fatal() => Err(error),
                    _ => Ok(Value::Bool(true)),
                }
            }
            Node::Or2(parts) => match self.eval(&parts[0])? {
                present @ Value::Optional(Some(_)) => Ok(present),
                Value::Optional(None) => self.eval(&parts[1]),
                _ => Err(EvalError::no_such_overload()),
            },
            Node::OrValue(parts) => match self.eval(&parts[0])? {
                Value::Optional(Some(value)) => Ok((*value).clone()),
                Value::Optional(None) => self.eval(&parts[1]),
                _ => Err(EvalError::no_such_overload()),
            },
            Node::List(items) => self.list(items),
            Node::Map(entries) => self.map(entries),
            Node::Struct(object) => self.object(object),
            Node::Fold(fold) => self.fold(fold),
            Node::Bind(bind) => self.bind(bind),
        }
    }

    /// `&&` (until a false) and `||` (until a true): the deciding value wins over errors on its left.
    fn logical(&mut self, terms: &'a [Node], deciding: bool) -> Result<'a> {
        let mut failed = None;
        for term in terms {
            match self.eval(term) {
                Ok(Value::Bool(value)) if value == deciding => return Ok(Value::Bool(deciding)),
                Ok(Value::Bool(_)) => {}
                Ok(_) => failed = failed.or_else(|| Some(EvalError::no_such_overload())),
                Err(error) if error.is_fatal() => return Err(error),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        failed.map_or(Ok(Value::Bool(!deciding)), Err)
    }

    fn equality(&mut self, parts: &'a [Node; 2], negated: bool) -> Result<'a> {
        let a = self.eval(&parts[0])?;
        let b = self.eval(&parts[1])?;
        self.meter.charge(cost::of_equality(&a, &b, negated))?;
        match equal(&a, &b) {
            Ok(same) => Ok(Value::Bool(same != negated)),
            // upstream: what cannot be compared is different
            Err(error) if negated && !error.is_fatal() => Ok(Value::Bool(true)),
            Err(error) => Err(error),
        }
    }

    fn call(&mut self, call: &'a Call) -> Result<'a> {
        match &*call.args {
            [] => self.invoke(call, &[]),
            [a] => {
                let args = [self.eval(a)?];
                self.invoke(call, &args)
            }
            [a, b] => {
                let args = [self.eval(a)?, self.eval(b)?];
                self.invoke(call, &args)
            }
            many => {
                let args = self.all(many)?;
                self.invoke(call, &args)
            }
        }
    }

    fn all(&mut self, nodes: &'a [Node]) -> std::result::Result<Vec<Value<'a>>, EvalError> {
        let mut values = Vec::with_capacity(nodes.len());
        for node in nodes {
            values.push(self.eval(node)?);
        }
        Ok(values)
    }

    #[inline]
    fn invoke(&mut self, call: &'a Call, args: &[Value<'a>]) -> Result<'a> {
        match call.cost {
            CallCost::Fixed(cost) => {
                self.meter.charge(cost)?;
                (call.function)(args, &mut self.meter)
            }
            CallCost::Before(cost) => {
                self.meter.charge(cost(args))?;
                (call.function)(args, &mut self.meter)
            }
            CallCost::After(cost) => {
                let result = (call.function)(args, &mut self.meter)?;
                self.meter.charge(cost(args, &result))?;
                Ok(result)
            }
        }
    }

    #[inline(never)]
    fn pattern(&mut self, pattern: &'a Pattern) -> Result<'a> {
        let args = self.all(&pattern.args)?;
        if let CallCost::Before(cost) = pattern.cost {
            self.meter.charge(cost(&args))?;
        }
        match pattern.kind {
            PatternKind::Matches => regex::matches_compiled(&pattern.regex, &args),
            PatternKind::Find => regex::find_compiled(&pattern.regex, &args),
            PatternKind::FindAll => regex::find_all_compiled(&pattern.regex, &args, &mut self.meter),
        }
    }

    #[inline(never)]
    fn list(&mut self, items: &'a [(bool, Node)]) -> Result<'a> {
        self.meter.charge(10)?;
        self.meter.allocate_list(items.len())?;
        let mut values = Vec::with_capacity(items.len());
        for (optional, item) in items {
            match (self.eval(item)?, optional) {
                (value, false) => values.push(value),
                (Value::Optional(Some(value)), true) => values.push((*value).clone()),
                (Value::Optional(None), true) => {}
                (value, true) => {
                    let message = format!("cannot initialize optional list element from non-optional value {value}");
                    return Err(EvalError::new(message));
                }
            }
        }
        Ok(Value::list(values))
    }

    #[inline(never)]
    fn map(&mut self, entries: &'a [MapEntry]) -> Result<'a> {
        self.meter.charge(30)?;
        self.meter.allocate_list(2 * entries.len())?;
        let mut map = Map::new();
        for entry in entries {
            let key = self.eval(&entry.key)?;
            let value = self.eval(&entry.value)?;
            let name = MapKey::new(&key).ok_or_else(|| EvalError::new("unsupported key type"))?;
            match (value, entry.optional) {
                (value, false) => drop(map.insert(name, value)),
                (Value::Optional(Some(value)), true) => drop(map.insert(name, (*value).clone())),
                (Value::Optional(None), true) => drop(map.remove(&name)),
                (value, true) => return Err(not_optional(&key, &value)),
            }
        }
        Ok(Value::Map(Arc::new(map)))
    }

    #[inline(never)]
    fn object(&mut self, object: &'a Struct) -> Result<'a> {
        self.meter.charge(40)?;
        self.meter.allocate_list(2 * object.fields.len())?;
        let mut fields = BTreeMap::new();
        for (name, optional, value) in &object.fields {
            match (self.eval(value)?, optional) {
                (value, false) => drop(fields.insert(name.clone(), value)),
                (Value::Optional(Some(value)), true) => drop(fields.insert(name.clone(), (*value).clone())),
                (Value::Optional(None), true) => drop(fields.remove(name)),
                (value, true) => return Err(not_optional(name, &value)),
            }
        }
        Ok(Value::Object(Arc::new(Object { type_name: object.type_name.clone(), fields })))
    }

    #[inline(never)]
    fn bind(&mut self, bind: &'a Bind) -> Result<'a> {
        self.set(bind.register, Register::Pending(&bind.init));
        let result = self.eval(&bind.body);
        self.set(bind.register, Register::Empty);
        result
    }

    #[inline]
    pub(super) fn set(&mut self, register: u32, content: Register<'a>) {
        if let Some(place) = self.registers.get_mut(register as usize) {
            *place = content;
        }
    }

    /// The value of a register; a pending one is computed now.
    #[inline]
    pub(super) fn get(&mut self, register: u32) -> Result<'a> {
        match self.registers.get(register as usize) {
            Some(Register::Value(value)) => Ok(value.clone()),
            Some(Register::Error(error)) => Err(error.clone()),
            Some(Register::Pending(init)) => {
                let init: &'a Node = init;
                let result = self.eval(init);
                self.set(register, Register::from(result.clone()));
                result
            }
            Some(Register::Empty) | None => Err(EvalError::new("no such attribute(s): local variable")),
        }
    }
}

impl<'a> From<Result<'a>> for Register<'a> {
    fn from(result: Result<'a>) -> Self {
        match result {
            Ok(value) => Self::Value(value),
            Err(error) => Self::Error(error),
        }
    }
}

fn not_optional(field: impl std::fmt::Display, value: &Value<'_>) -> EvalError {
    EvalError::new(format!("cannot initialize optional entry '{field}' from non-optional value {value}"))
}

/// A constant, borrowed from its program where that saves a reference counter.
#[inline]
pub(super) fn borrowed<'a>(value: &'a Value<'static>) -> Value<'a> {
    match value {
        Value::String(text) => Value::from(&**text),
        other => other.clone(),
    }
}
