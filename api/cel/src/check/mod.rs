//! The type checker: finds what names and calls mean, and that they fit.
//!
//! Completes the tree in place: identifiers get their slots, calls their overloads, dotted names become what they
//! stand for. The rules and the messages are cel-go's, with homogeneous lists and maps and with comparisons across
//! numeric types, as Kubernetes configures it.

mod aggregate;
mod call;
mod fold;
mod infer;
mod literals;
mod name;
mod unify;

use std::sync::Arc;

use crate::ast::{Expr, ExprId, ExprKind, Literal};
use crate::env::Env;
use crate::parser::{self, Parsed};
use crate::source::Issues;
use crate::types::Type;

/// A checked expression, ready to be evaluated and estimated. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct Checked {
    /// The completed tree.
    pub expr: Arc<Expr>,
    /// The type of the whole expression.
    pub output: Type,
    /// The variables it refers to, by [`crate::ast::Slot::Variable`]: each once, in order of first mention.
    pub variables: Arc<[Arc<str>]>,
    /// The text it was made from.
    pub source: Arc<str>,
    types: Arc<[Type]>,
}

impl Checked {
    /// The type of a node; dynamic when there is no such node.
    #[must_use]
    pub fn type_of(&self, id: ExprId) -> &Type {
        self.types.get(id as usize).unwrap_or(&Type::Dyn)
    }
}

/// Parses and checks an expression.
///
/// # Errors
///
/// Everything found wrong, with its place, in cel-go's words.
pub fn compile(source: &str, env: &Env) -> Result<Checked, Issues> {
    check(source, parser::parse(source)?, env)
}

fn check(source: &str, parsed: Parsed, env: &Env) -> Result<Checked, Issues> {
    let Parsed { mut expr, next_id } = parsed;
    let mut checker = Checker {
        env,
        issues: Issues::new(source),
        types: vec![Type::Error; next_id as usize],
        bindings: unify::Bindings::default(),
        locals: Vec::new(),
        variables: Vec::new(),
    };
    checker.expr(&mut expr);
    let Checker { mut issues, types, mut bindings, variables, .. } = checker;
    if !issues.is_empty() {
        issues.sort();
        return Err(issues);
    }
    let types: Arc<[Type]> = types.iter().map(|known| bindings.resolve(known, true)).collect();
    let output = types[expr.id as usize].clone();
    Ok(Checked { expr: Arc::new(expr), output, variables: variables.into(), source: source.into(), types })
}

struct Checker<'e> {
    env: &'e Env,
    issues: Issues,
    /// By node.
    types: Vec<Type>,
    bindings: unify::Bindings,
    /// Variables of macros, innermost last; their positions are their slots.
    locals: Vec<(Arc<str>, Type)>,
    variables: Vec<Arc<str>>,
}

impl Checker<'_> {
    /// Checks a node and what is below it. The parser has bounded the depth.
    fn expr(&mut self, expr: &mut Expr) {
        let found = match &mut expr.kind {
            ExprKind::Literal(literal) => literal_type(literal),
            ExprKind::Ident(_) => self.ident(expr),
            ExprKind::Select(_) => self.select(expr),
            ExprKind::Call(_) => self.call(expr),
            ExprKind::List(elements) => self.list(elements),
            ExprKind::Map(entries) => self.map(entries),
            ExprKind::Struct(_) => self.object(expr),
            ExprKind::Comprehension(fold) => self.comprehension(fold),
            ExprKind::Bind(bind) => self.bind(bind),
        };
        self.types[expr.id as usize] = found;
    }

    fn type_of(&self, expr: &Expr) -> Type {
        self.types[expr.id as usize].clone()
    }

    fn report(&mut self, offset: u32, message: String) {
        self.issues.report(offset, message);
    }

    fn undeclared(&mut self, offset: u32, name: &str) -> Type {
        self.report(offset, format!("undeclared reference to '{name}' (in container '')"));
        Type::Error
    }

    fn mismatch(&mut self, offset: u32, expected: &Type, found: &Type) {
        self.report(offset, format!("expected type '{expected}' but found '{found}'"));
    }
}

fn literal_type(literal: &Literal) -> Type {
    match literal {
        Literal::Null => Type::Null,
        Literal::Bool(_) => Type::Bool,
        Literal::Int(_) => Type::Int,
        Literal::Uint(_) => Type::Uint,
        Literal::Double(_) => Type::Double,
        Literal::String(_) => Type::String,
        Literal::Bytes(_) => Type::Bytes,
    }
}
