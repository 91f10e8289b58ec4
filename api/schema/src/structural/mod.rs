//! A kind's schema in the form that work is done with: compiled once, then asked to default, prune and validate.

use std::fmt;

use serde_json::Value;

use crate::error::FieldError;

/// A compiled structural schema of one version of a kind. Cheap to clone and to share between threads.
#[derive(Clone, Debug)]
pub struct Structural {}

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
    pub fn compile(_schema: &Value) -> Result<Self, Vec<FieldError>> {
        Ok(Self {})
    }

    /// The schema that allows everything and knows the standard metadata only.
    pub fn permissive() -> Self {
        Self {}
    }

    /// Fills in defaults and drops `null` where the schema does not allow it.
    pub fn default(&self, _object: &mut Value) {}

    /// Drops what the schema does not know, and says what that was.
    pub fn prune(&self, _object: &mut Value) -> Vec<UnknownField> {
        Vec::new()
    }

    /// All violations. With `old`, parts that did not change are not blamed (ratcheting).
    pub fn validate(&self, _object: &Value, _old: Option<&Value>) -> Vec<FieldError> {
        Vec::new()
    }

    /// Documentation of the field at `path` (names only: lists and maps are stepped through).
    pub fn explain(&self, _path: &[&str]) -> Option<Explained> {
        None
    }
}
