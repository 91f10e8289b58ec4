//! Another protocol (a websocket) between a client and a server behind this one: bytes go through untouched.

use std::sync::Arc;

use http::{HeaderMap, Response, StatusCode, header};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;

use super::headers;
use crate::authn::UserInfo;
use crate::body::ApiBody;
use crate::http::AnyError;
use crate::http::respond::ApiResponse;
use crate::inner::Inner;
use crate::status::ApiError;

/// Joins the client's connection with that of the server behind, which has agreed to another protocol.
///
/// # Errors
/// 400 when the client's connection cannot become another, 429 when the user has too many streams.
pub(super) fn join(
    server: &Arc<Inner>,
    user: &UserInfo,
    parts: &http::request::Parts,
    response: Response<Incoming>,
    was_asked: bool,
) -> Result<ApiResponse, ApiError> {
    let client = parts.extensions.get::<OnUpgrade>().cloned().filter(|_| was_asked);
    let Some(client) = client else {
        return Err(ApiError::bad_request("this connection cannot be upgraded"));
    };
    let slot = server.streams.enter(&user.name)?;
    let mut answer = Response::new(ApiBody::empty());
    *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    *answer.headers_mut() = agreed(response.headers());
    let stop = server.stop.clone();
    tokio::spawn(async move {
        let _slot = slot;
        let joined = async {
            let (client, behind) = futures::future::try_join(client, hyper::upgrade::on(response)).await?;
            let (mut client, mut behind) = (TokioIo::new(client), TokioIo::new(behind));
            tokio::io::copy_bidirectional(&mut client, &mut behind).await?;
            Ok::<_, AnyError>(())
        };
        tokio::select! {
            () = stop.cancelled() => {}
            ended = joined => if let Err(error) = ended {
                tracing::debug!(%error, "an upgraded connection to an aggregated API ended early");
            }
        }
    });
    Ok(answer)
}

/// The headers by which both sides agree.
fn agreed(from: &HeaderMap) -> HeaderMap {
    let mut to = headers::of_answer(from);
    to.insert(header::CONNECTION, header::HeaderValue::from_static("Upgrade"));
    for value in from.get_all(header::UPGRADE) {
        to.append(header::UPGRADE, value.clone());
    }
    to
}
