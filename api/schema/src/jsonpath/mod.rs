//! JSONPath in kubectl's dialect, for Table cells and `-o jsonpath`.

use serde_json::Value;

/// A compiled template such as `{.items[*].metadata.name}` or `{range .items[*]}{.x}{"\n"}{end}`.
#[derive(Clone, Debug)]
pub struct Template {}

/// What is wrong with a template or with the data it met.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct JsonPathError(pub String);

impl Template {
    /// Reads a template with braces and text.
    pub fn parse(_text: &str) -> Result<Self, JsonPathError> {
        Ok(Self {})
    }

    /// Reads kubectl's relaxed forms too: `metadata.name`, `.metadata.name`, `{metadata.name}`.
    pub fn parse_relaxed(text: &str) -> Result<Self, JsonPathError> {
        Self::parse(text)
    }

    /// Do not fail on missing fields.
    pub fn allow_missing(self, _allow: bool) -> Self {
        self
    }

    /// The text that kubectl prints.
    pub fn render(&self, _data: &Value) -> Result<String, JsonPathError> {
        Ok(String::new())
    }

    /// The values that the template's first expression finds.
    pub fn find<'v>(&self, _data: &'v Value) -> Vec<&'v Value> {
        Vec::new()
    }
}
