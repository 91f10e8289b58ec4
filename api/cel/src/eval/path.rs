//! Selections and indexes: `self.spec.list[0].?name`, `has(self.x)`.
//!
//! Each step costs one, the root one more. Once a step is optional, all that follow are.

use super::node::{By, Path, Qualifier, Root};
use super::run::{Frame, Result, borrowed};
use crate::error::EvalError;
use crate::value::{ListView, MapKey, MapView, Object, Value, find_json, find_raw};

/// A key on its way into a value.
enum Key<'k, 'a> {
    Field { name: &'a str, raw: Option<&'a str> },
    Value(&'k Value<'a>),
}

impl<'a> Frame<'_, '_, 'a> {
    pub(super) fn path(&mut self, path: &'a Path) -> Result<'a> {
        self.meter.charge(path.root_cost)?;
        let mut qualifiers = path.qualifiers.as_slice();
        let mut current = match &path.root {
            Root::Register(register) => self.get(*register)?,
            Root::Node(node) => self.eval(node)?,
            Root::Variable(index) => {
                let name = self.variables.get(*index as usize).map_or("", |name| &**name);
                match self.activation.get(name, self.budget) {
                    Some(value) => value?,
                    None => {
                        let (value, rest) = self.variable_part(name, qualifiers)?;
                        qualifiers = rest;
                        value
                    }
                }
            }
        };
        if qualifiers.is_empty() {
            return Ok(current);
        }
        let mut optional = false;
        if let Value::Optional(inner) = &current {
            optional = true;
            current = match inner {
                Some(value) => (**value).clone(),
                None if path.qualifiers.last().is_some_and(|last| last.test_only) => return Ok(Value::Bool(false)),
                None => return Ok(Value::NONE),
            };
        }
        for qualifier in qualifiers {
            optional |= qualifier.optional;
            let found = self.step(&current, qualifier, optional || qualifier.test_only)?;
            if qualifier.test_only {
                self.meter.charge(1)?;
                return Ok(Value::Bool(found.is_some()));
            }
            current = match found {
                Some(value) => value,
                None if optional && path.qualifiers.last().is_some_and(|last| last.test_only) => {
                    return Ok(Value::Bool(false));
                }
                None if optional => return Ok(Value::NONE),
                None => return Err(self.missing(&current, qualifier)),
            };
            self.meter.charge(1)?;
        }
        Ok(if optional { Value::some(current) } else { current })
    }

    /// A variable that is bound by parts: `variables.x`.
    fn variable_part(
        &mut self,
        name: &str,
        qualifiers: &'a [Qualifier],
    ) -> std::result::Result<(Value<'a>, &'a [Qualifier]), EvalError> {
        if let [Qualifier { by: By::Field { name: field, .. }, optional: false, test_only }, rest @ ..] = qualifiers {
            if *test_only {
                let found = self.activation.get_part(name, field, self.budget).is_some();
                self.meter.charge(1)?;
                return Ok((Value::Bool(found), rest));
            }
            if let Some(value) = self.activation.get_part(name, field, self.budget) {
                self.meter.charge(1)?;
                return Ok((value?, rest));
            }
        }
        Err(EvalError::new(format!("no such attribute(s): {name}")))
    }

    #[inline]
    fn step(
        &mut self,
        current: &Value<'a>,
        qualifier: &'a Qualifier,
        presence: bool,
    ) -> std::result::Result<Option<Value<'a>>, EvalError> {
        match &qualifier.by {
            By::Field { name, raw } => find(current, &Key::Field { name, raw: raw.as_deref() }, presence),
            By::Key(key) => find(current, &Key::Value(&borrowed(key)), presence),
            By::Computed(node) => {
                let key = self.eval(node)?;
                find(current, &Key::Value(&key), presence)
            }
        }
    }

    /// The error for a step that leads nowhere. Evaluates a computed key again, which is free of effects.
    #[cold]
    fn missing(&mut self, current: &Value<'a>, qualifier: &'a Qualifier) -> EvalError {
        let key = match &qualifier.by {
            By::Field { name, .. } => return EvalError::no_such_key(name),
            By::Key(key) => borrowed(key),
            By::Computed(node) => match self.eval(node) {
                Ok(key) => key,
                Err(error) => return error,
            },
        };
        if current.as_list().is_some() { EvalError::out_of_bounds(key) } else { EvalError::no_such_key(key) }
    }
}

/// The part of `current` that the key names; `None` when it is absent. Where absent parts have a value all the same
/// (those of patches), `presence` tells them apart.
fn find<'a>(
    current: &Value<'a>,
    key: &Key<'_, 'a>,
    presence: bool,
) -> std::result::Result<Option<Value<'a>>, EvalError> {
    match current {
        Value::JsonMap(map, shape) => match key {
            Key::Field { raw: Some(raw), .. } if shape.is_object() => find_raw(map, shape, raw),
            Key::Field { raw: None, .. } if shape.is_object() => Ok(None),
            Key::Field { name, .. } => find_raw(map, shape, name),
            Key::Value(Value::String(name)) => find_json(map, shape, name),
            Key::Value(_) => Err(EvalError::no_such_overload()),
        },
        Value::Map(map) => match key {
            Key::Field { name, .. } => Ok(map.get(&MapKey::text(name)).cloned()),
            Key::Value(key) => MapView::Values(map).find(key),
        },
        Value::Object(object) => match key {
            Key::Field { name, .. } => part_of(object, name, presence),
            Key::Value(Value::String(name)) => part_of(object, name, presence),
            Key::Value(_) => Err(EvalError::no_such_overload()),
        },
        other => match other.as_list() {
            Some(list) => match key {
                Key::Field { .. } => Err(EvalError::new("unsupported index type 'string' in list")),
                Key::Value(key) => element(list, key),
            },
            None => Ok(None),
        },
    }
}

fn part_of<'a>(object: &Object<'a>, name: &str, presence: bool) -> std::result::Result<Option<Value<'a>>, EvalError> {
    Ok(if presence && !object.has(name) { None } else { object.get(name).ok() })
}

fn element<'a>(list: ListView<'_, 'a>, key: &Value<'a>) -> std::result::Result<Option<Value<'a>>, EvalError> {
    let index = match key {
        Value::Int(index) => *index,
        Value::Uint(index) if i64::try_from(*index).is_ok() => *index as i64,
        // every list is shorter than 2^53
        Value::Double(index) if index.fract() == 0.0 && index.abs() < 9e15 => *index as i64,
        Value::Uint(_) | Value::Double(_) => {
            return Err(EvalError::new(format!("unsupported index value {key} in list")));
        }
        other => return Err(EvalError::new(format!("unsupported index type '{}' in list", other.type_name()))),
    };
    match usize::try_from(index) {
        Ok(index) if index < list.len() => list.get(index).map(Some),
        _ => Ok(None),
    }
}
