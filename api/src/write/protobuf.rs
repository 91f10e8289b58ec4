//! Kubernetes' protobuf bodies.

use serde_json::Value;

use crate::status::ApiError;

/// Decodes a protobuf body of a core kind.
///
/// # Errors
/// 415 for kinds that are not decoded.
pub(crate) fn decode(_bytes: &[u8], _kind: &str) -> Result<Value, ApiError> {
    Err(ApiError::unsupported_media("application/json, application/yaml"))
}
