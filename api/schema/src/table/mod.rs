//! Table answers: columns of a kind and the cells of an object.

use serde_json::Value;

/// The columns of a kind, compiled from `additionalPrinterColumns`.
#[derive(Clone, Debug)]
pub struct Columns {}

impl Columns {
    /// `columns` is the CRD's `additionalPrinterColumns` (array or null); none means Name and Age.
    pub fn compile(_columns: &Value) -> Result<Self, String> {
        Ok(Self {})
    }

    /// `columnDefinitions` of a Table.
    pub fn definitions(&self) -> Value {
        Value::Array(Vec::new())
    }

    /// The cells of one object's row; ages are relative to `now`.
    pub fn cells(&self, _object: &Value, _now: jiff::Timestamp) -> Value {
        Value::Array(Vec::new())
    }
}

/// A duration as kubectl prints ages: `5m3s`, `2d4h`.
pub fn human_duration(_seconds: i64) -> String {
    String::new()
}
