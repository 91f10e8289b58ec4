//! A kind's schema in the form that work is done with: compiled once, then asked to default, prune and validate.

mod checks;
mod coded;
mod compile;
mod default;
mod embedded;
mod explain;
mod format;
mod list_rules;
pub(crate) mod lists;
mod metadata;
pub(crate) mod node;
mod prune;
mod rules;
mod suggest;
#[cfg(test)]
pub(crate) mod tests;
mod validate;

use std::fmt;
use std::sync::Arc;

use serde_json::Value;

pub(crate) use self::metadata::object_meta_schema;
use self::node::Node;
use crate::error::{FieldError, Path};
use crate::rules::{self as expressions, RuleNode};

/// A compiled structural schema of one version of a kind. Cheap to clone and to share between threads.
#[derive(Clone, Debug)]
pub struct Structural {
    root: Arc<Node>,
    /// The expressions that the schema asks of values; most schemas have none.
    rules: Option<Arc<RuleNode>>,
}

/// A field that the schema does not know; it was dropped.
///
/// Displayed as `unknown field "spec.replcas", did you mean "replicas"?`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownField {
    /// Where it stood, for example `spec.ports[0].zip`.
    pub path: String,
    /// The nearest name that the schema knows at that place.
    pub suggestion: Option<String>,
}

impl fmt::Display for UnknownField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown field \"{}\"", self.path)?;
        match &self.suggestion {
            Some(name) => write!(f, ", did you mean \"{name}\"?"),
            None => Ok(()),
        }
    }
}

/// Documentation of one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explained {
    /// `string`, `integer`, `Object`, `[]Object`, `map[string]string`…: as `kubectl explain` prints it.
    pub type_name: String,
    pub description: String,
    pub required: bool,
    pub children: Vec<ExplainedField>,
}

/// One child of an explained field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExplainedField {
    pub name: String,
    pub type_name: String,
    pub description: String,
    pub required: bool,
}

impl Structural {
    /// Compiles an `openAPIV3Schema`; every violation of the structural rules is reported, with paths
    /// relative to the schema (`properties[spec].type`). Expressions (`x-kubernetes-validations`) are compiled, but
    /// not judged: [`Structural::check_definition`] does that.
    pub fn compile(schema: &Value) -> Result<Self, Vec<FieldError>> {
        let root = compile::compile_root(schema)?;
        Ok(Self { root: Arc::new(root), rules: RuleNode::compile(schema).map(Arc::new) })
    }

    /// Compiles the `openAPIV3Schema` of a definition that was accepted before: what would be refused today is let
    /// be.
    pub fn compile_accepted(schema: &Value) -> Self {
        let root = compile::compile_accepted(schema);
        Self { root: Arc::new(root), rules: RuleNode::compile(schema).map(Arc::new) }
    }

    /// Everything that is wrong with an `openAPIV3Schema` of a definition: breaches of the structural rules, bad
    /// defaults, and expressions that make no sense or cost too much. `base` is the path of the schema. With
    /// `costs_known` the costs of single expressions are let be: the schema was accepted with them.
    pub fn check_definition(schema: &Value, base: &str, costs_known: bool) -> Vec<FieldError> {
        match compile::compile_root(schema) {
            Ok(_) => expressions::check_definition(schema, base, costs_known),
            Err(errors) => errors.into_iter().map(|error| error.below(base)).collect(),
        }
    }

    /// Compiles the schema of a built-in kind, which need not keep the structural rules; it must have been inlined
    /// (`openapi::inline_refs`). Nothing is required: the kind's own rules say what must be there.
    pub fn compile_builtin(schema: &Value) -> Self {
        Self { root: Arc::new(compile::compile_builtin(schema)), rules: None }
    }

    /// The schema that allows everything and knows the standard metadata only.
    pub fn permissive() -> Self {
        let schema = serde_json::json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
        Self::compile(&schema).expect("two words that are known to be good")
    }

    /// Fills in defaults and drops `null` where the schema does not allow it. False when the defaults would make the
    /// object larger than any may be: it is then only partly filled in, and must be refused.
    pub fn default(&self, object: &mut Value) -> bool {
        let mut budget = default::Budget::new();
        default::default_node(&self.root, object, &mut budget);
        budget.is_kept()
    }

    /// Drops what the schema does not know, and says what that was, in the order of the paths.
    pub fn prune(&self, object: &mut Value) -> Vec<UnknownField> {
        let mut unknown = Vec::new();
        prune::prune_node(&self.root, object, &Path::ROOT, &mut unknown);
        unknown.sort_by(|a, b| a.path.cmp(&b.path));
        unknown
    }

    /// All violations. With `old`, parts that did not change are not blamed (ratcheting).
    pub fn validate(&self, object: &Value, old: Option<&Value>) -> Vec<FieldError> {
        match old {
            None => validate::validate_node(&self.root, object),
            Some(old) => validate::validate_update(&self.root, object, old),
        }
    }

    /// Asks the expressions of the schema (`x-kubernetes-validations`) of an object that [`Structural::validate`] and
    /// the other rules of its kind have judged, with what they found in `errors`: of an object that has not even the
    /// declared form nothing is asked, and that is told.
    ///
    /// With `old`, expressions over `oldSelf` are asked where the old value is known, and failures at values that did
    /// not change become `warnings`.
    pub fn check_rules(
        &self,
        object: &Value,
        old: Option<&Value>,
        errors: &mut Vec<FieldError>,
        warnings: &mut Vec<String>,
    ) {
        if let Some(rules) = &self.rules {
            expressions::check_object(rules, object, old, errors, warnings);
        }
    }

    /// Documentation of the field at `path` (names only: lists and maps are stepped through).
    pub fn explain(&self, path: &[&str]) -> Option<Explained> {
        explain::explain_node(&self.root, path)
    }

    /// Drops `null` where the schema does not allow it; fills in nothing.
    pub(crate) fn drop_nulls(&self, object: &mut Value) {
        default::drop_nulls(&self.root, object);
    }

    pub(crate) fn root(&self) -> &Node {
        &self.root
    }
}
