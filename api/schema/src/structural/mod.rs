//! A kind's schema in the form that work is done with: compiled once, then asked to default, prune and validate.

mod checks;
mod compile;
mod default;
mod explain;
mod format;
mod lists;
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

/// A compiled structural schema of one version of a kind. Cheap to clone and to share between threads.
#[derive(Clone, Debug)]
pub struct Structural {
    root: Arc<Node>,
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
    /// relative to the schema (`properties[spec].type`).
    pub fn compile(schema: &Value) -> Result<Self, Vec<FieldError>> {
        Ok(Self { root: Arc::new(compile::compile_root(schema)?) })
    }

    /// Compiles the schema of a built-in kind, which need not keep the structural rules; it must have been inlined
    /// (`openapi::inline_refs`). Nothing is required: the kind's own rules say what must be there.
    pub fn compile_builtin(schema: &Value) -> Self {
        Self { root: Arc::new(compile::compile_builtin(schema)) }
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

    /// Drops what the schema does not know, and says what that was, in the order of the object.
    pub fn prune(&self, object: &mut Value) -> Vec<UnknownField> {
        let mut unknown = Vec::new();
        prune::prune_node(&self.root, object, &Path::ROOT, &mut unknown);
        unknown
    }

    /// All violations. With `old`, parts that did not change are not blamed (ratcheting).
    pub fn validate(&self, object: &Value, old: Option<&Value>) -> Vec<FieldError> {
        match old {
            None => validate::validate_node(&self.root, object),
            Some(old) => validate::validate_update(&self.root, object, old),
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
