//! Questions about identity: who am I, and whose token is this.

use futures::FutureExt;
use k8s_openapi::api::authentication::v1::{SelfSubjectReview, TokenReview};
use serde_json::{Value, json};

use super::{bearer, login};
use crate::http::Call;
use crate::registry::ReviewKind;
use crate::registry::core::schema_of;
use crate::status::ApiError;

const GROUP: &str = "authentication.k8s.io";

/// Kinds that are asked and answered, and never stored.
pub(crate) const REVIEWS: &[ReviewKind] = &[
    ReviewKind {
        group: GROUP,
        version: "v1",
        kind: "SelfSubjectReview",
        plural: "selfsubjectreviews",
        namespaced: false,
        schema: schema_of::<SelfSubjectReview>,
        answer: |call, review| async move { who_am_i(call, review) }.boxed(),
    },
    ReviewKind {
        group: GROUP,
        version: "v1",
        kind: "TokenReview",
        plural: "tokenreviews",
        namespaced: false,
        schema: schema_of::<TokenReview>,
        answer: |call, review| whose_token(call, review).boxed(),
    },
    login::KIND,
];

/// Tells a client who the server takes it for.
fn who_am_i(call: &Call<'_>, mut review: Value) -> Result<Value, ApiError> {
    if call.user.name.is_empty() {
        return Err(ApiError::bad_request("no user present on request"));
    }
    complete(call, &mut review);
    review["status"] = json!({"userInfo": call.user.to_json()});
    Ok(review)
}

/// Tells whose token somebody was shown.
async fn whose_token(call: &Call<'_>, mut review: Value) -> Result<Value, ApiError> {
    let token = review["spec"]["token"].as_str().unwrap_or_default().to_owned();
    if token.is_empty() {
        return Err(ApiError::bad_request("token is required for TokenReview in authentication"));
    }
    let audiences: Vec<String> = match &review["spec"]["audiences"] {
        Value::Array(audiences) => audiences.iter().filter_map(|a| a.as_str().map(str::to_owned)).collect(),
        _ => Vec::new(),
    };
    review["status"] = match bearer::believe(call.server, &token, &audiences).await {
        Ok(believed) => {
            json!({"authenticated": true, "user": believed.user.to_json(), "audiences": believed.audiences})
        }
        Err(refusal) => json!({"user": {}, "error": refusal.to_string()}),
    };
    complete(call, &mut review);
    Ok(review)
}

/// What an answer has though it is not stored.
fn complete(call: &Call<'_>, review: &mut Value) {
    if !review["metadata"].is_object() {
        review["metadata"] = json!({});
    }
    if review["metadata"]["creationTimestamp"].is_null() {
        review["metadata"]["creationTimestamp"] = Value::from(crate::write::meta::timestamp(call.now));
    }
}
