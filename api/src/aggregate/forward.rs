//! A request goes to the server behind this one, and its answer comes back, both as streams.
//!
//! By now it is known who asks and that they may: nothing of a request that is refused leaves this server, an upgrade
//! least of all. The server behind is told who asks by headers, and believes them because of the certificate that this
//! server shows.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use tokio::time::Instant;

use super::headers;
use super::table::Remote;
use super::transport::{Nowhere, Place, Sender, Sent};
use super::upgrade;
use crate::audit::{PeerAddress, Trail};
use crate::authn::UserInfo;
use crate::body::ApiBody;
use crate::http::respond::{self, ApiResponse};
use crate::http::{BodyError, RequestBody};
use crate::inner::Inner;
use crate::status::ApiError;

/// The most bytes of a request that goes on. It is never held as a whole, so this is more than we take in ourselves:
/// only a bound for what somebody may send through us.
const REQUEST_BYTES_MAX: usize = 64 << 20;

/// A request that may be made.
pub(crate) struct Passage<'a> {
    pub server: &'a Arc<Inner>,
    pub remote: &'a Arc<Remote>,
    pub user: &'a UserInfo,
    pub trail: &'a Trail,
    /// When the answer must have come to its end; `None` for streams.
    pub deadline: Option<Instant>,
}

/// Passes a request on.
///
/// # Errors
/// 503 when the server behind does not answer, 504 when it is too late.
pub(crate) async fn forward(
    passage: Passage<'_>,
    parts: &http::request::Parts,
    body: RequestBody,
) -> Result<ApiResponse, ApiError> {
    let Passage { server, remote, user, trail, deadline } = passage;
    if !remote.available {
        return Err(unavailable("service unavailable"));
    }
    check_path(parts.uri.path())?;
    let transport = &server.aggregate.transport;
    let place = transport.place(server, remote).await.map_err(|nowhere| match nowhere {
        Nowhere::Unusable(why) => ApiError::internal(why),
        Nowhere::Unresolved(why) => {
            tracing::debug!(service = %remote.name, why, "nobody answers for an aggregated API");
            unavailable("service unavailable")
        }
    })?;
    let is_upgrade = headers::is_upgrade(&parts.headers);
    let mut request = Request::new(limited(body));
    *request.method_mut() = parts.method.clone();
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
    *request.uri_mut() = target.parse().map_err(|_| ApiError::page_not_found())?;
    let peer = parts.extensions.get::<PeerAddress>().map(|peer| peer.0.ip().to_canonical());
    *request.headers_mut() = headers::of_request(&parts.headers, peer);
    let to = request.headers_mut();
    headers::identify(user, to)?;
    to.insert(header::HOST, HeaderValue::try_from(place.endpoint.authority()).map_err(ApiError::internal)?);
    to.insert("audit-id", trail.id().clone());
    if is_upgrade {
        headers::ask_for_upgrade(&parts.headers, to);
    }
    let sending = transport.send(&place, request, !is_upgrade);
    let sent = match deadline {
        Some(deadline) => tokio::time::timeout_at(deadline, sending).await.map_err(|_| ApiError::timeout())?,
        None => sending.await,
    };
    let sent = sent.map_err(|why| {
        tracing::debug!(service = %remote.name, why, "an aggregated API does not answer");
        unavailable(&format!("error trying to reach service: {why}"))
    })?;
    if sent.response.status() == StatusCode::SWITCHING_PROTOCOLS {
        return upgrade::join(server, user, parts, sent.response, is_upgrade);
    }
    answer(server, &place, parts.uri.path(), sent, deadline)
}

/// 503, without the advice to come again at once: clients heed it many times over.
fn unavailable(message: &str) -> ApiError {
    ApiError::refused(503, "ServiceUnavailable", message, None)
}

/// What is no plain path must not reach a server that may read it in another way than this one did.
fn check_path(path: &str) -> Result<(), ApiError> {
    let is_plain = |segment: &str| {
        let dots = segment.to_ascii_lowercase().replace("%2e", ".");
        let lower = segment.to_ascii_lowercase();
        dots != "." && dots != ".." && !["%2f", "%5c", "%00", "\\"].iter().any(|bad| lower.contains(bad))
    };
    if path.split('/').all(is_plain) { Ok(()) } else { Err(ApiError::page_not_found()) }
}

fn limited(body: RequestBody) -> RequestBody {
    Limited::new(body, REQUEST_BYTES_MAX).map_err(BodyError).boxed_unsync()
}

/// The answer of the server behind, as it comes.
fn answer(
    server: &Arc<Inner>,
    place: &Place,
    path: &str,
    sent: Sent,
    deadline: Option<Instant>,
) -> Result<ApiResponse, ApiError> {
    let Sent { response, sender } = sent;
    let (parts, body) = response.into_parts();
    let location = parts.headers.get(header::LOCATION).map(|value| value.to_str().unwrap_or_default());
    if parts.status.is_redirection()
        && let Some(location) = location
        && !is_same_place(location, path)
    {
        // Whoever follows it would carry their credentials there.
        let words = "the backend attempted to redirect this request, which is not permitted";
        return Ok(respond::text(502, words));
    }
    let reading = Reading { body, sender, server: Arc::clone(server), endpoint: place.endpoint.clone() };
    let mut answer = Response::new(reading.into_body(deadline));
    *answer.status_mut() = parts.status;
    *answer.headers_mut() = headers::of_answer(&parts.headers);
    Ok(answer)
}

/// A document may send to itself under its new hash.
fn is_same_place(location: &str, path: &str) -> bool {
    location.split('?').next() == Some(path)
}

/// An answer that is being read.
struct Reading {
    body: Incoming,
    sender: Sender,
    server: Arc<Inner>,
    endpoint: crate::webhook::Endpoint,
}

impl Reading {
    /// The rest of the answer, at the pace of whoever reads it; until the deadline, or until this server stops.
    fn into_body(self, deadline: Option<Instant>) -> ApiBody {
        if http_body::Body::is_end_stream(&self.body) {
            self.put_back();
            return ApiBody::empty();
        }
        let stop = self.server.stop.clone();
        let until = Box::pin(async move {
            match deadline {
                Some(deadline) => {
                    let _ = tokio::time::timeout_at(deadline, stop.cancelled()).await;
                }
                None => stop.cancelled().await,
            }
        });
        let chunks = futures::stream::unfold(Some(self), |reading| async { reading?.next().await });
        ApiBody::stream(futures::StreamExt::take_until(chunks, until))
    }

    /// The next bytes; what is read to its end leaves its connection to the next request.
    async fn next(mut self) -> Option<(Bytes, Option<Self>)> {
        loop {
            match self.body.frame().await {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Some((data, Some(self)));
                    }
                }
                Some(Err(error)) => {
                    tracing::debug!(%error, "the answer of an aggregated API broke off");
                    return None;
                }
                None => {
                    self.put_back();
                    return None;
                }
            }
        }
    }

    fn put_back(self) {
        self.server.aggregate.transport.put_back(&self.endpoint, self.sender);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_means_the_same_to_everybody() {
        for good in ["/apis/a.example/v1/namespaces/x/pods/*/m", "/apis/a/v1/x/a%20b", "/apis/a/v1/x/..a/"] {
            assert!(check_path(good).is_ok(), "{good}");
        }
        for bad in ["/apis/a/v1/../x", "/apis/a/v1/x/%2e%2E/y", "/apis/a/v1/a%2fb", "/apis/a/v1/a%5Cb", "/a/./b"] {
            assert!(check_path(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn only_a_documents_own_hash_is_a_redirection() {
        assert!(is_same_place("/openapi/v3/apis/a/v1?hash=1", "/openapi/v3/apis/a/v1"));
        assert!(!is_same_place("https://elsewhere.example/", "/openapi/v3/apis/a/v1"));
    }
}
