//! Type variables and what they are bound to.
//!
//! A failed attempt to make types agree leaves no trace: bindings are logged and taken back.

use std::collections::HashMap;
use std::sync::Arc;

use crate::types::Type;

/// Larger types than this many parts are treated as dynamic: nested macros could else double a type again and again.
const TYPE_PARTS_MAX: usize = 1_000;

/// What the type variables found so far stand for.
#[derive(Debug, Default)]
pub(super) struct Bindings {
    bound: HashMap<Arc<str>, Type>,
    /// Earlier values, to go back to.
    log: Vec<(Arc<str>, Option<Type>)>,
    next: u32,
}

impl Bindings {
    /// A variable that stands for nothing yet.
    pub(super) fn fresh(&mut self) -> Type {
        let name = format!("_var{}", self.next);
        self.next = self.next.wrapping_add(1);
        Type::Param(name.into())
    }

    pub(super) fn get(&self, name: &str) -> Option<&Type> {
        self.bound.get(name)
    }

    pub(super) fn set(&mut self, name: &Arc<str>, value: Type) {
        let before = self.bound.insert(Arc::clone(name), value);
        self.log.push((Arc::clone(name), before));
    }

    /// Keeps what `attempt` binds only when it succeeds.
    pub(super) fn attempt(&mut self, attempt: impl FnOnce(&mut Self) -> bool) -> bool {
        self.log.clear();
        if attempt(self) {
            return true;
        }
        while let Some((name, before)) = self.log.pop() {
            match before {
                Some(before) => self.bound.insert(name, before),
                None => self.bound.remove(&name),
            };
        }
        false
    }

    /// The type with its variables replaced by what they stand for; variables that stand for nothing become dynamic
    /// or stay.
    pub(super) fn resolve(&mut self, of: &Type, unbound_to_dyn: bool) -> Type {
        let mut parts = 0;
        self.replace(of, unbound_to_dyn, &mut parts)
    }

    fn replace(&self, of: &Type, unbound_to_dyn: bool, parts: &mut usize) -> Type {
        *parts += 1;
        if *parts > TYPE_PARTS_MAX {
            return Type::Dyn;
        }
        let mut again = |inner: &Type| Arc::new(self.replace(inner, unbound_to_dyn, parts));
        match of {
            Type::Param(name) => match self.bound.get(name) {
                Some(bound) => self.replace(bound, unbound_to_dyn, parts),
                None if unbound_to_dyn => Type::Dyn,
                None => of.clone(),
            },
            Type::List(elem) => Type::List(again(elem)),
            Type::Map(key, value) => {
                let key = again(key);
                Type::Map(key, again(value))
            }
            Type::Optional(value) => Type::Optional(again(value)),
            Type::Type(of) => Type::Type(again(of)),
            other => other.clone(),
        }
    }

    /// Whether the variable occurs nowhere within the type.
    pub(super) fn is_free_of(&self, variable: &Type, within: &Type) -> bool {
        let mut parts = 0;
        self.free_of(variable, within, &mut parts)
    }

    fn free_of(&self, variable: &Type, within: &Type, parts: &mut usize) -> bool {
        *parts += 1;
        // Too large to search: binding it is refused, and the types do not agree.
        if *parts > TYPE_PARTS_MAX || variable == within {
            return false;
        }
        match within {
            Type::Param(name) => self.bound.get(name).is_none_or(|bound| self.free_of(variable, bound, parts)),
            Type::List(inner) | Type::Optional(inner) | Type::Type(inner) => self.free_of(variable, inner, parts),
            Type::Map(key, value) => self.free_of(variable, key, parts) && self.free_of(variable, value, parts),
            _ => true,
        }
    }
}

/// Whether the type has more parts than are worth following.
pub(super) fn is_too_large(of: &Type) -> bool {
    fn count(of: &Type, parts: &mut usize) {
        *parts += 1;
        if *parts > TYPE_PARTS_MAX {
            return;
        }
        match of {
            Type::List(inner) | Type::Optional(inner) | Type::Type(inner) => count(inner, parts),
            Type::Map(key, value) => {
                count(key, parts);
                count(value, parts);
            }
            _ => {}
        }
    }
    let mut parts = 0;
    count(of, &mut parts);
    parts > TYPE_PARTS_MAX
}
