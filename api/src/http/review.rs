//! SelfSubjectReview: tells a client who the server takes it for. Whoever is known may ask; nothing is stored.

use http::Method;
use serde_json::json;

use super::respond::{self, ApiResponse};
use crate::authn::UserInfo;
use crate::request::ResourcePath;
use crate::status::ApiError;

const GROUP: &str = "authentication.k8s.io";

/// Whether a path is that of the review.
pub(super) fn is_asked(path: &ResourcePath) -> bool {
    path.group == GROUP
        && path.version == "v1"
        && path.plural == "selfsubjectreviews"
        && path.namespace.is_none()
        && path.name.is_none()
}

/// The review; the body of the request has nothing to say.
pub(super) fn answer(user: &UserInfo, method: &Method) -> Result<ApiResponse, ApiError> {
    if *method != Method::POST {
        return Err(ApiError::method_not_allowed_here());
    }
    let review = json!({
        "apiVersion": format!("{GROUP}/v1"), "kind": "SelfSubjectReview", "metadata": {},
        "status": {"userInfo": {"username": user.name, "groups": user.groups}},
    });
    Ok(respond::json(201, review.to_string()))
}
