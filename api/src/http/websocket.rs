//! A watch over a websocket, for dashboards in browsers: each event is one text message.
//!
//! A browser sends an `Origin` with each websocket, and whoever sends none is no browser and can read the stream as it
//! is: without one the request is refused, as kube-apiserver does.

use futures::{SinkExt, StreamExt};
use http::{HeaderValue, Response, StatusCode, header};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::Call;
use super::respond::ApiResponse;
use crate::body::ApiBody;
use crate::status::ApiError;

/// A client has nothing to say but that it closes.
const MESSAGE_BYTES_MAX: usize = 4096;

/// Whether a request asks for a websocket.
pub(super) fn is_asked(parts: &http::request::Parts) -> bool {
    parts.headers.get(header::UPGRADE).is_some_and(|v| v.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

/// Starts a watch and answers with the switch of protocols.
///
/// # Errors
/// What the watch is refused for; 400 for a broken handshake, 403 without an `Origin`.
pub(super) async fn watch(call: &Call<'_>, parts: &http::request::Parts) -> Result<ApiResponse, ApiError> {
    let bad = |why: &str| ApiError::bad_request(format!("the websocket handshake is not valid: {why}"));
    let Some(client) = parts.extensions.get::<OnUpgrade>().cloned() else {
        return Err(bad("this connection cannot be upgraded"));
    };
    if !parts.headers.contains_key(header::ORIGIN) {
        return Err(ApiError::forbidden(call.resource.named(), "", "a websocket needs an Origin header"));
    }
    let key = parts.headers.get(header::SEC_WEBSOCKET_KEY).ok_or_else(|| bad("Sec-WebSocket-Key is missing"))?;
    if parts.headers.get(header::SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
        return Err(bad("Sec-WebSocket-Version must be 13"));
    }
    let accept = HeaderValue::try_from(derive_accept_key(key.as_bytes())).map_err(ApiError::internal)?;
    // The session outlives the answer that begins it: its place is kept until it ends.
    let slot = call.server.streams.enter(&call.user.name)?;
    let mut events = match call.watch().await?.into_body() {
        ApiBody::Stream(events) => events,
        _ => return Err(ApiError::internal("a watch is a stream")),
    };
    tokio::spawn(async move {
        let _slot = slot;
        let Ok(upgraded) = client.await else { return };
        let config = WebSocketConfig::default()
            .max_message_size(Some(MESSAGE_BYTES_MAX))
            .max_frame_size(Some(MESSAGE_BYTES_MAX));
        let socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, Some(config)).await;
        let (mut send, mut receive) = socket.split();
        loop {
            tokio::select! {
                chunk = events.next() => {
                    let Some(chunk) = chunk else { break };
                    let lines = chunk.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
                    for line in lines {
                        let Ok(text) = std::str::from_utf8(line) else { return };
                        if send.feed(Message::text(text)).await.is_err() {
                            return;
                        }
                    }
                    if send.flush().await.is_err() {
                        return;
                    }
                }
                // Pings are answered by the library as it reads; everything else that a client says is passed over.
                said = receive.next() => match said {
                    None | Some(Ok(Message::Close(_)) | Err(Error::ConnectionClosed | Error::Io(_))) => return,
                    Some(Err(error)) => {
                        tracing::debug!(%error, "a websocket of a watch broke");
                        return;
                    }
                    Some(Ok(_)) => {}
                },
            }
        }
        // The watch ended cleanly: so does the socket. Whoever is gone hears nothing of it.
        let _ = send.close().await;
    });
    let mut answer = Response::new(ApiBody::empty());
    *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = answer.headers_mut();
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    // Any protocol is fine, as upstream: the first that is asked for is echoed.
    let protocols = parts.headers.get(header::SEC_WEBSOCKET_PROTOCOL).and_then(|v| v.to_str().ok());
    if let Some(first) = protocols.and_then(|list| list.split(',').map(str::trim).find(|name| !name.is_empty()))
        && let Ok(value) = HeaderValue::from_str(first)
    {
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, value);
    }
    Ok(answer)
}
