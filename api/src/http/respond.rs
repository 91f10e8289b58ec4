//! Building answers: headers that every answer has, compression of large ones, errors.

use std::io::Write;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};

use crate::body::ApiBody;
use crate::status::ApiError;

/// Bodies above this are compressed when the client can read it, as kube-apiserver does.
const GZIP_ABOVE_BYTES: usize = 128 * 1024;

/// The most bytes of all warnings of one answer.
const WARNINGS_BYTES_MAX: usize = 4096;
/// And their number: many clients refuse an answer of more than 100 headers.
const WARNINGS_MAX: usize = 40;

pub(crate) type ApiResponse = Response<ApiBody>;

/// An answer with a body.
pub(crate) fn with(code: u16, content_type: &'static str, body: impl Into<Bytes>) -> ApiResponse {
    with_body(code, content_type, ApiBody::from(body.into()))
}

/// An answer with a body of any kind.
pub(crate) fn with_body(code: u16, content_type: &'static str, body: impl Into<ApiBody>) -> ApiResponse {
    let mut response = Response::new(body.into());
    *response.status_mut() = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

pub(crate) fn json(code: u16, body: impl Into<Bytes>) -> ApiResponse {
    with(code, "application/json", body)
}

pub(crate) fn text(code: u16, body: impl Into<Bytes>) -> ApiResponse {
    let mut response = with(code, "text/plain; charset=utf-8", body);
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// An error as a Status (or, for unknown paths, as Go's mux says it).
pub(crate) fn error(error: &ApiError) -> ApiResponse {
    if error.is_plain() {
        return text(error.code(), format!("{}\n", error.message()));
    }
    let mut response = json(error.code(), error.to_json());
    if let Some(seconds) = error.retry_after() {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// Adds `Warning` headers.
pub(crate) fn warn(headers: &mut HeaderMap, warnings: &[String]) {
    let mut bytes = 0;
    for warning in warnings.iter().take(WARNINGS_MAX) {
        let quoted: String = warning
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .flat_map(|c| (matches!(c, '"' | '\\')).then_some('\\').into_iter().chain([c]))
            .collect();
        let text = format!("299 - \"{quoted}\"");
        bytes += text.len();
        if bytes > WARNINGS_BYTES_MAX {
            return;
        }
        if let Ok(value) = HeaderValue::from_bytes(text.as_bytes()) {
            headers.append(header::WARNING, value);
        }
    }
}

/// Compresses a large body when the client says that it can read it.
pub(crate) async fn compress(response: ApiResponse, accept_encoding: Option<&HeaderValue>) -> ApiResponse {
    let wanted = accept_encoding.and_then(|v| v.to_str().ok()).is_some_and(|text| {
        text.split(',').any(|part| {
            let mut pieces = part.split(';').map(str::trim);
            pieces.next() == Some("gzip") && !pieces.any(|p| p == "q=0")
        })
    });
    let (mut parts, body) = response.into_parts();
    let body = match body {
        ApiBody::Pieces(pieces) if wanted && pieces.left() > GZIP_ABOVE_BYTES as u64 => ApiBody::from(pieces.collect()),
        other => other,
    };
    let body = match body {
        ApiBody::Whole(Some(bytes))
            if wanted && bytes.len() > GZIP_ABOVE_BYTES && !parts.headers.contains_key(header::CONTENT_ENCODING) =>
        {
            let plain = bytes.clone();
            // Some milliseconds for each megabyte: not on a thread that serves requests.
            let done = tokio::task::spawn_blocking(move || {
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                encoder.write_all(&plain).and_then(|()| encoder.finish())
            });
            match done.await {
                Ok(Ok(small)) => {
                    parts.headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
                    parts.headers.append(header::VARY, HeaderValue::from_static("Accept-Encoding"));
                    ApiBody::from(small)
                }
                _ => ApiBody::from(bytes),
            }
        }
        other => other,
    };
    Response::from_parts(parts, body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_are_quoted() {
        let mut headers = HeaderMap::new();
        warn(&mut headers, &["unknown field \"spec.x\"\nand more".to_owned()]);
        assert_eq!(headers[header::WARNING], r#"299 - "unknown field \"spec.x\" and more""#);
    }
}
