//! Limits on what expressions may cost, and the estimate of the cost of one.
//!
//! The estimate is that of cel-go with Kubernetes' estimates for its libraries: it walks the tree, multiplies what a
//! fold does by the size of what it runs over, and knows sizes from the schema ([`SizeOracle`]). The highest value is
//! what counts: a rule whose estimate passes [`limits::RULE_COST_MAX`] is refused before it is ever run.

mod estimator;
mod extension;
mod library;
pub mod limits;
mod range;
mod rules;
mod standard;

use std::sync::Arc;

pub use range::Range;
pub use rules::{Cardinality, excess};

use crate::Checked;
use crate::env::{DeclType, Env};

/// A step on the way from a variable to a value within it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The variable, as the first step.
    Variable(Arc<str>),
    Field(Arc<str>),
    /// Any item of a list.
    Items,
    /// Any index of a list.
    Indices,
    /// Any key of a map.
    Keys,
    /// Any value of a map.
    Values,
}

/// Knows how large the values of variables can be.
pub trait SizeOracle {
    /// Characters of a string, bytes, items or properties of the value at a path; nothing when it is not known.
    fn size(&self, path: &[Step]) -> Option<Range>;
}

/// The sizes that the declarations bound.
impl SizeOracle for Env {
    fn size(&self, path: &[Step]) -> Option<Range> {
        let (Step::Variable(name), steps) = path.split_first()? else { return None };
        let mut decl = self.variable(name)?;
        for step in steps {
            while let DeclType::Optional(value) = decl {
                decl = value;
            }
            decl = match (decl, step) {
                (DeclType::List { elem, .. }, Step::Items) => elem,
                (DeclType::Map { key, .. }, Step::Keys) => key,
                (DeclType::Map { value, .. }, Step::Values) => value,
                (DeclType::Object(object), Step::Field(name)) => &object.fields.get(name)?.decl,
                _ => return None,
            };
        }
        Some(Range::up_to(decl.max_size().unwrap_or(0)))
    }
}

/// What evaluating the expression once costs.
#[must_use]
pub fn estimate(checked: &Checked, sizes: &dyn SizeOracle) -> Range {
    estimator::Estimator::new(checked, sizes).cost(&checked.expr)
}
