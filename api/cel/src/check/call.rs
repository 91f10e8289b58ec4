//! Calls: finds the function and those of its overloads that the arguments fit.

use std::collections::HashMap;
use std::sync::Arc;

use super::Checker;
use super::name::{dotted, string_literal};
use crate::ast::{Call, Expr, ExprKind, ops};
use crate::declarations::{self, Function, Overload};
use crate::types::Type;

impl Checker<'_> {
    pub(super) fn call(&mut self, expr: &mut Expr) -> Type {
        let offset = expr.offset;
        let ExprKind::Call(call) = &mut expr.kind else { return Type::Error };
        for arg in &mut call.args {
            self.expr(arg);
        }
        let Some(target) = &mut call.target else {
            let name = call.function.strip_prefix('.').unwrap_or(&call.function);
            let Some(function) = declarations::function(name) else {
                let name = Arc::clone(&call.function);
                return self.undeclared(offset, &name);
            };
            call.function = function.name.into();
            return self.overloads(call, function, offset);
        };
        // `a.b.c()` is the function `a.b.c` if there is one, else `c` on `a.b`.
        if let Some(prefix) = dotted(target) {
            let qualified = format!("{}.{}", prefix.strip_prefix('.').unwrap_or(&prefix), call.function);
            if let Some(function) = declarations::function(&qualified) {
                call.target = None;
                call.function = function.name.into();
                return self.overloads(call, function, offset);
            }
        }
        self.expr(target);
        match declarations::function(&call.function) {
            Some(function) => self.overloads(call, function, offset),
            None => {
                let name = Arc::clone(&call.function);
                self.undeclared(offset, &name)
            }
        }
    }

    fn overloads(&mut self, call: &mut Call, function: &'static Function, offset: u32) -> Type {
        if matches!(function.name, ops::AND | ops::OR) {
            return self.logic(call, function);
        }
        let args: Vec<Type> = call.target.iter().chain(&call.args).map(|arg| self.type_of(arg)).collect();
        let member = call.target.is_some();
        let mut result: Option<Type> = None;
        for overload in function.overloads.iter().filter(|overload| overload.member == member) {
            let (wanted, returned) = self.instantiate(overload);
            if !self.all_assignable(&args, &wanted) {
                continue;
            }
            call.overloads.push(overload.id);
            let returned = self.bindings.resolve(&returned, false);
            // Overloads that disagree about the result leave it to the run.
            result = Some(match result {
                Some(known) if known != Type::Dyn && known != returned => Type::Dyn,
                Some(known) => known,
                None => returned,
            });
        }
        let Some(result) = result else {
            let args: Vec<Type> = args.iter().map(|arg| self.bindings.resolve(arg, true)).collect();
            let signature = signature(&args, member);
            let message = format!("found no matching overload for '{}' applied to '{signature}'", function.name);
            self.report(offset, message);
            return Type::Error;
        };
        self.validate_literals(call);
        result
    }

    /// `&&` and `||` say which operand is no bool.
    fn logic(&mut self, call: &mut Call, function: &'static Function) -> Type {
        let mut result = Type::Bool;
        for arg in &call.args {
            let found = self.type_of(arg);
            if !self.assignable(&found, &Type::Bool) {
                self.mismatch(arg.offset, &Type::Bool, &found);
                result = Type::Error;
            }
        }
        call.overloads.extend(function.overloads.iter().map(|overload| overload.id));
        result
    }

    /// The argument and result types of an overload, its parameters replaced by new variables.
    fn instantiate(&mut self, overload: &'static Overload) -> (Vec<Type>, Type) {
        if overload.params.is_empty() {
            return (overload.args.clone(), overload.result.clone());
        }
        let fresh: HashMap<&str, Type> =
            overload.params.iter().map(|param| (param.as_ref(), self.bindings.fresh())).collect();
        let args = overload.args.iter().map(|arg| replace(arg, &fresh)).collect();
        (args, replace(&overload.result, &fresh))
    }

    /// Literals that can never be read are mistakes now, not at every run.
    fn validate_literals(&mut self, call: &Call) {
        let (index, valid): (usize, fn(&str) -> bool) = match call.function.as_ref() {
            "duration" => (0, super::literals::is_duration),
            "timestamp" => (0, super::literals::is_timestamp),
            "matches" => (call.args.len().saturating_sub(1), super::literals::is_regex),
            _ => return,
        };
        let Some(arg) = call.args.get(index) else { return };
        if string_literal(arg).is_some_and(|text| !valid(text)) {
            let message = format!("invalid {} argument", call.function);
            self.report(arg.offset, message);
        }
    }
}

fn replace(of: &Type, fresh: &HashMap<&str, Type>) -> Type {
    match of {
        Type::Param(name) => fresh.get(name.as_ref()).unwrap_or(of).clone(),
        Type::List(elem) => Type::list(replace(elem, fresh)),
        Type::Map(key, value) => Type::map(replace(key, fresh), replace(value, fresh)),
        Type::Optional(value) => Type::optional(replace(value, fresh)),
        Type::Type(of) => Type::type_of(replace(of, fresh)),
        other => other.clone(),
    }
}

/// `(int, string)`, or `string.(int)` for a member.
fn signature(args: &[Type], member: bool) -> String {
    let (receiver, args) = match args {
        [receiver, args @ ..] if member => (format!("{receiver}."), args),
        args => (String::new(), args),
    };
    let args: Vec<String> = args.iter().map(Type::to_string).collect();
    format!("{receiver}({})", args.join(", "))
}
