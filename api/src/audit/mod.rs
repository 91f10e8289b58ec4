//! Audit: who did what, when, and what came of it.

use http::HeaderValue;

use crate::authn::Acting;
use crate::authz::Decision;
use crate::http::respond::ApiResponse;
use crate::inner::Inner;
use crate::request::RequestInfo;

/// A client's own id of a request is passed on up to this length, as upstream does.
const AUDIT_ID_BYTES_MAX: usize = 64;

/// What is noted of one request while it is worked on.
#[derive(Debug)]
pub(crate) struct Trail {
    id: HeaderValue,
}

impl Trail {
    /// A request has come in.
    pub(crate) fn begin(_server: &Inner, parts: &http::request::Parts) -> Self {
        let given = parts.headers.get("audit-id").filter(|id| id.len() <= AUDIT_ID_BYTES_MAX).cloned();
        let id = given
            .or_else(|| HeaderValue::from_str(&uuid::Uuid::new_v4().to_string()).ok())
            .unwrap_or_else(|| HeaderValue::from_static("-"));
        Self { id }
    }

    /// It is known who asks for what: from here on it is known, too, whether the policy wants it recorded.
    pub(crate) fn identified(&self, _acting: &Acting, _info: &RequestInfo<'_>) {}

    /// It was decided whether they may.
    pub(crate) fn authorized(&self, _decision: &Decision) {}

    /// Adds a note, such as why a rule let a request pass.
    #[allow(dead_code, reason = "the rules that write notes come with admission")]
    pub(crate) fn annotate(&self, _key: &str, _value: impl Into<String>) {}

    /// The answer is known; a stream has only begun. Puts the id into the answer's headers.
    pub(crate) fn answered(&self, mut response: ApiResponse) -> ApiResponse {
        response.headers_mut().insert("audit-id", self.id.clone());
        response
    }
}
