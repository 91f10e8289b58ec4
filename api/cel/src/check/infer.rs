//! When a type can stand where another is wanted.

use std::sync::Arc;

use super::Checker;
use super::unify::Bindings;
use crate::types::Type;

impl Checker<'_> {
    /// Whether `from` may be used as `to`; binds type variables when so.
    pub(super) fn assignable(&mut self, from: &Type, to: &Type) -> bool {
        self.bindings.attempt(|bindings| assignable(bindings, from, to))
    }

    pub(super) fn all_assignable(&mut self, from: &[Type], to: &[Type]) -> bool {
        from.len() == to.len()
            && self.bindings.attempt(|bindings| from.iter().zip(to).all(|(from, to)| assignable(bindings, from, to)))
    }
}

fn assignable(bindings: &mut Bindings, from: &Type, to: &Type) -> bool {
    if let Type::Param(name) = to {
        match substitutes(bindings, from, to, name) {
            Substitution::Fits => return true,
            Substitution::BoundElsewise => return false,
            Substitution::Impossible => {}
        }
    }
    if let Type::Param(name) = from {
        return matches!(substitutes(bindings, to, from, name), Substitution::Fits);
    }
    match (from, to) {
        (Type::Dyn | Type::Error, _) | (_, Type::Dyn | Type::Error) => true,
        (Type::Null, other) | (other, Type::Null) => is_nullable(other),
        (Type::Type(_), Type::Type(_)) => true,
        (Type::List(from), Type::List(to)) | (Type::Optional(from), Type::Optional(to)) => {
            assignable(bindings, from, to)
        }
        (Type::Map(from_key, from_value), Type::Map(to_key, to_value)) => {
            assignable(bindings, from_key, to_key) && assignable(bindings, from_value, to_value)
        }
        (from, to) => from == to,
    }
}

/// Null may stand for objects and for what only functions make.
fn is_nullable(of: &Type) -> bool {
    matches!(of, Type::Null | Type::Object(_) | Type::Opaque(_) | Type::Optional(_) | Type::Timestamp | Type::Duration)
}

enum Substitution {
    Fits,
    /// The variable stands for something that does not agree.
    BoundElsewise,
    /// The variable is part of the type.
    Impossible,
}

/// Makes the variable stand for the type, or for the more general of the type and what it stands for.
fn substitutes(bindings: &mut Bindings, of: &Type, variable: &Type, name: &Arc<str>) -> Substitution {
    if of == variable {
        return Substitution::Fits;
    }
    let Some(bound) = bindings.get(name).cloned() else {
        if !bindings.is_free_of(variable, of) {
            return Substitution::Impossible;
        }
        bindings.set(name, of.clone());
        return Substitution::Fits;
    };
    if *of == bound {
        return Substitution::Fits;
    }
    if !assignable(bindings, of, &bound) {
        return Substitution::BoundElsewise;
    }
    let general = most_general(of, &bound);
    if bindings.is_free_of(variable, general) {
        bindings.set(name, general.clone());
    }
    Substitution::Fits
}

/// The more general of two types that agree.
pub(super) fn most_general<'t>(first: &'t Type, second: &'t Type) -> &'t Type {
    if is_no_more_specific(first, second) { first } else { second }
}

fn is_no_more_specific(first: &Type, second: &Type) -> bool {
    match (first, second) {
        (Type::Dyn | Type::Param(_), _) => true,
        (_, Type::Dyn | Type::Param(_)) => false,
        (Type::Type(_), Type::Type(_)) => true,
        (Type::List(first), Type::List(second)) | (Type::Optional(first), Type::Optional(second)) => {
            is_no_more_specific(first, second)
        }
        (Type::Map(first_key, first_value), Type::Map(second_key, second_value)) => {
            is_no_more_specific(first_key, second_key) && is_no_more_specific(first_value, second_value)
        }
        (first, second) => first == second,
    }
}
