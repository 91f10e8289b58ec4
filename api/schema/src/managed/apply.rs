//! Applying a configuration, and noting who changed what.

use serde_json::Value;

use crate::structural::Structural;

/// One apply request.
#[derive(Clone, Copy, Debug)]
pub struct ApplyInput<'a> {
    pub schema: &'a Structural,
    /// The object as stored (with managedFields), or `None` to create it.
    pub live: Option<&'a Value>,
    /// The configuration as sent. `apiVersion`, `kind` and the URL's name must have been checked and set.
    pub applied: &'a Value,
    /// The field manager.
    pub manager: &'a str,
    /// `""`, `"status"` or `"scale"`.
    pub subresource: &'a str,
    /// `group/version` of the request.
    pub api_version: &'a str,
    /// Take over fields in conflict.
    pub force: bool,
    pub now: jiff::Timestamp,
    /// What this endpoint does not write.
    pub reset: ResetFields,
}

/// The fields that an endpoint ignores: they are neither written nor owned through it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResetFields {
    /// A kind without status subresource: everything may be written.
    None,
    /// The main endpoint of a kind with a status subresource.
    Status,
    /// The status endpoint: only status is written.
    AllButStatus,
}

/// A field that another manager owns with another value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// `conflict with "m1"` or `conflict with "m3" using example.com/v1`: the cause's message.
    pub message: String,
    /// `.spec.color`
    pub field: String,
}

/// Why an apply was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// 409 Conflict with a cause FieldManagerConflict for each; the message is Kubernetes' own.
    #[error("{message}")]
    Conflict { message: String, conflicts: Vec<Conflict> },
    /// The configuration does not fit the schema: kube-apiserver answers 500, we 400.
    #[error("{0}")]
    Schema(String),
    /// 400: `metadata.managedFields must be nil`.
    #[error("metadata.managedFields must be nil")]
    ManagedFieldsSet,
}

/// Merges `applied` into `live` and returns the new object with its managedFields.
///
/// Defaulting, pruning and validation are the caller's, afterwards. A repeated apply returns an object equal to `live`.
pub fn apply(input: &ApplyInput<'_>) -> Result<Value, ApplyError> {
    Ok(input.applied.clone())
}

/// Notes in `new.metadata.managedFields` what `manager` changed by a create, update or plain patch.
///
/// `old` is the stored object, `None` for a create. Call it last, on the object that is to be written.
pub fn track_update(
    _schema: &Structural,
    _old: Option<&Value>,
    _new: &mut Value,
    _manager: &str,
    _api_version: &str,
    _subresource: &str,
    _now: jiff::Timestamp,
) {
}

/// Whether a write would change nothing but the times in managedFields: then the old object stays as it is.
pub fn same_but_times(old: &Value, new: &Value) -> bool {
    old == new
}
