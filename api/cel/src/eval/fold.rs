//! Comprehensions: folds over the elements of a list or the keys of a map.

use std::sync::Arc;

use super::node::{Body, Fold};
use super::run::{Frame, Register, Result};
use crate::error::EvalError;
use crate::library::arithmetic;
use crate::value::{Map, Value};

/// What a fold collects.
enum Collected<'a> {
    /// The accumulator is in its register.
    Register,
    List(Vec<Value<'a>>),
    Map(Map<'a>),
}

impl<'a> Frame<'_, '_, 'a> {
    #[inline(never)]
    pub(super) fn fold(&mut self, fold: &'a Fold) -> Result<'a> {
        let range = self.eval(&fold.range)?;
        let mut collected = match &fold.body {
            Body::Generic { .. } => {
                let init = self.eval(&fold.init);
                if let Err(error) = &init
                    && error.is_fatal()
                {
                    return init;
                }
                self.set(fold.accumulator, Register::from(init));
                Collected::Register
            }
            Body::Append { .. } => Collected::List(Vec::new()),
            Body::Insert { .. } => Collected::Map(Map::new()),
        };
        let done = self.iterate(fold, &range, &mut collected);
        self.set(fold.first, Register::Empty);
        if let Some(second) = fold.second {
            self.set(second, Register::Empty);
        }
        done?;
        match collected {
            Collected::Register => {}
            Collected::List(items) => self.set(fold.accumulator, Register::Value(Value::list(items))),
            Collected::Map(map) => self.set(fold.accumulator, Register::Value(Value::Map(Arc::new(map)))),
        }
        let result = self.eval(&fold.result);
        self.set(fold.accumulator, Register::Empty);
        result
    }

    fn iterate(
        &mut self,
        fold: &'a Fold,
        range: &Value<'a>,
        collected: &mut Collected<'a>,
    ) -> std::result::Result<(), EvalError> {
        if let Some(list) = range.as_list() {
            for (index, item) in list.iter().enumerate() {
                let item = Register::from(item);
                match fold.second {
                    None => self.set(fold.first, item),
                    Some(second) => {
                        self.set(fold.first, Register::Value(Value::Int(index as i64)));
                        self.set(second, item);
                    }
                }
                if !self.turn(fold, collected)? {
                    break;
                }
            }
            return Ok(());
        }
        let Some(map) = range.as_map() else {
            return Err(EvalError::new(format!("got '{}', expected iterable type", range.type_name())));
        };
        for key in map.keys() {
            if let Some(second) = fold.second {
                let value = match map.find(&key) {
                    Ok(Some(value)) => Register::Value(value),
                    Ok(None) => continue,
                    Err(error) => Register::Error(error),
                };
                self.set(second, value);
            }
            self.set(fold.first, Register::Value(key));
            if !self.turn(fold, collected)? {
                break;
            }
        }
        Ok(())
    }

    /// One iteration; false ends the fold.
    fn turn(&mut self, fold: &'a Fold, collected: &mut Collected<'a>) -> std::result::Result<bool, EvalError> {
        if self.meter.tick() {
            self.budget.check_interrupt()?;
        }
        match (&fold.body, collected) {
            (Body::Generic { condition, step }, _) => {
                match self.eval(condition) {
                    Ok(Value::Bool(false)) => return Ok(false),
                    Err(error) if error.is_fatal() => return Err(error),
                    _ => {}
                }
                let next = self.eval(step);
                match next {
                    Err(error) if error.is_fatal() => return Err(error),
                    other => self.set(fold.accumulator, Register::from(other)),
                }
            }
            (Body::Append { filter, element, cost }, Collected::List(items)) => {
                if !self.keeps(filter.as_ref())? {
                    return Ok(true);
                }
                let element = self.eval(element)?;
                self.meter.charge(*cost)?;
                self.meter.allocate_list(1)?;
                items.push(element);
            }
            (Body::Insert { filter, key, value }, Collected::Map(map)) => {
                if !self.keeps(filter.as_ref())? {
                    return Ok(true);
                }
                // the accumulator and the call
                self.meter.charge(2)?;
                let key = key.as_ref().map(|key| self.eval(key)).transpose()?;
                let value = self.eval(value)?;
                match key {
                    Some(key) => {
                        self.meter.allocate_list(2)?;
                        arithmetic::insert(map, &key, value)?;
                    }
                    None => {
                        let entries = value.as_map().ok_or_else(EvalError::no_such_overload)?;
                        self.meter.allocate_list(2 * entries.len())?;
                        for key in entries.keys() {
                            if let Some(value) = entries.find(&key)? {
                                arithmetic::insert(map, &key, value)?;
                            }
                        }
                    }
                }
            }
            // the kind of the collection follows from the body
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn keeps(&mut self, filter: Option<&'a super::node::Node>) -> std::result::Result<bool, EvalError> {
        match filter {
            None => Ok(true),
            Some(filter) => match self.eval(filter)? {
                Value::Bool(keeps) => Ok(keeps),
                _ => Err(EvalError::no_such_overload()),
            },
        }
    }
}
