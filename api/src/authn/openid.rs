//! The documents by which others verify tokens of service accounts without asking this server again.

use http::{HeaderMap, HeaderValue, header};
use serde_json::json;

use crate::http::respond::{self, ApiResponse};
use crate::inner::Inner;
use crate::status::ApiError;

const CONFIGURATION: &str = "/.well-known/openid-configuration";
const KEYS: &str = "/openid/v1/jwks";

/// One of the two documents.
///
/// # Errors
/// 406 for a client that wants another type.
pub(crate) fn serve(server: &Inner, path: &str, headers: &HeaderMap) -> Result<ApiResponse, ApiError> {
    let identity = &server.identity;
    let (media, document) = match path {
        CONFIGURATION => (
            "application/json",
            json!({
                "issuer": identity.issuer.url,
                "jwks_uri": identity.jwks_url,
                "response_types_supported": ["id_token"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": identity.keys.load().algorithms(),
            }),
        ),
        KEYS => ("application/jwk-set+json", identity.keys.load().jwks()),
        _ => return Err(ApiError::page_not_found()),
    };
    if !accepts(headers, media) {
        return Err(ApiError::not_acceptable(format!("only the following media types are accepted: {media}")));
    }
    let mut response = respond::with(200, media, document.to_string());
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600"));
    Ok(response)
}

/// Whether a client takes a document of this type. It says so with a type, with `application/*`, or with nothing.
fn accepts(headers: &HeaderMap, media: &str) -> bool {
    let Some(accept) = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()) else { return true };
    let mut ranges = accept.split(',').filter_map(|part| part.split(';').next()).map(str::trim);
    accept.trim().is_empty() || ranges.any(|range| range == "*/*" || range == "application/*" || range == media)
}
