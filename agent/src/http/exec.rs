//! `/v1/exec`: a command in a running container, over Kubernetes' channel protocol on a websocket.
//!
//! Each binary message begins with its channel: 0 standard input, 1 output, 2 error, 3 the result (a `Status` as
//! JSON), 4 the terminal's size; 255, in version 5 only, closes the channel that its second byte names.

use bytes::{BufMut, Bytes, BytesMut};
use futures::{SinkExt, StreamExt};
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::{Body, Found, Server, query, text};
use crate::runtime::{ExecSpec, Input, Output, RuntimeError, Session};

const STDIN: u8 = 0;
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const RESULT: u8 = 3;
const RESIZE: u8 = 4;
const CLOSE: u8 = 255;
/// What we speak, the best first.
const PROTOCOLS: [&str; 2] = ["v5.channel.k8s.io", "v4.channel.k8s.io"];
/// Largest message of a client; kubectl sends 32 KiB at most.
const MESSAGE_BYTES_MAX: usize = 1 << 20;

pub(super) async fn answer(server: &Server, found: Found, mut request: Request<Incoming>) -> Response<Body> {
    let pairs = query::pairs(request.uri().query().unwrap_or_default());
    let argv: Vec<String> = pairs.iter().filter(|(k, _)| k == "command").map(|(_, v)| v.clone()).collect();
    if argv.is_empty() {
        return text(StatusCode::BAD_REQUEST, "you must specify at least 1 command");
    }
    if found.is_over() {
        return text(
            StatusCode::BAD_REQUEST,
            format!("container {:?} of task {}/{} does not run", found.container, found.namespace, found.task),
        );
    }
    let headers = request.headers();
    let Some(key) = headers.get(header::SEC_WEBSOCKET_KEY).cloned() else {
        return text(
            StatusCode::BAD_REQUEST,
            "exec needs a websocket: Upgrade, Sec-WebSocket-Key and Sec-WebSocket-Protocol",
        );
    };
    let offered: Vec<&str> = headers
        .get_all(header::SEC_WEBSOCKET_PROTOCOL)
        .iter()
        .filter_map(|v| v.to_str().ok())
        .flat_map(|v| v.split(','))
        .map(str::trim)
        .collect();
    let Some(protocol) = PROTOCOLS.into_iter().find(|p| offered.contains(p)) else {
        return text(
            StatusCode::BAD_REQUEST,
            format!("Sec-WebSocket-Protocol must be one of {}", PROTOCOLS.join(", ")),
        );
    };
    let spec = ExecSpec { argv, tty: query::switch(&pairs, "tty"), stdin: query::switch(&pairs, "stdin") };
    let session = server.runtime.exec(&found.id(), spec).await;
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        match upgrade.await {
            Ok(upgraded) => {
                let config = WebSocketConfig::default().max_message_size(Some(MESSAGE_BYTES_MAX));
                let socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, Some(config)).await;
                talk(socket, session).await;
            }
            Err(error) => tracing::debug!(%error, "exec connection was not upgraded"),
        }
    });
    let mut response = Response::new(Empty::new().map_err(|never| match never {}).boxed_unsync());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let accept = HeaderValue::from_str(&derive_accept_key(key.as_bytes())).expect("base64 is a header value");
    for (name, value) in [
        (header::UPGRADE, HeaderValue::from_static("websocket")),
        (header::CONNECTION, HeaderValue::from_static("Upgrade")),
        (header::SEC_WEBSOCKET_ACCEPT, accept),
        (header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(protocol)),
    ] {
        response.headers_mut().insert(name, value);
    }
    response
}

/// Carries bytes both ways until the command ends or the client goes.
async fn talk<S: AsyncRead + AsyncWrite + Unpin>(socket: WebSocketStream<S>, session: Result<Session, RuntimeError>) {
    let (mut sink, mut stream) = socket.split();
    let mut session = match session {
        Ok(session) => session,
        Err(error) => {
            let _ = sink.send(message(RESULT, failure(&error).to_string().as_bytes())).await;
            let _ = sink.close().await;
            return;
        }
    };
    let to_process = session.input.clone();
    let from_client = async move {
        while let Some(Ok(frame)) = stream.next().await {
            let input = match frame {
                Message::Binary(bytes) => parse(&bytes),
                Message::Text(text) => parse(text.as_bytes()),
                Message::Close(_) => return,
                _ => None,
            };
            if let Some(input) = input {
                // The process may have closed its input; that is not the client's end.
                let _ = to_process.send(input).await;
            }
        }
    };
    let to_client = async {
        while let Some(output) = session.output.recv().await {
            let frame = match &output {
                Output::Stdout(bytes) => message(STDOUT, bytes),
                Output::Stderr(bytes) => message(STDERR, bytes),
            };
            sink.send(frame).await?;
        }
        let result = match session.exit.await {
            Ok(code) => status(code),
            Err(error) => failure(&error),
        };
        sink.send(message(RESULT, result.to_string().as_bytes())).await?;
        sink.close().await?;
        Ok::<_, Error>(())
    };
    tokio::select! {
        () = from_client => {}
        sent = to_client => if let Err(error) = sent {
            tracing::debug!(%error, "exec client went away");
        },
    }
    // The session's input goes last: its end is what tells the runtime that nobody listens any more.
    drop(session.input);
}

fn message(channel: u8, bytes: &[u8]) -> Message {
    let mut frame = BytesMut::with_capacity(bytes.len() + 1);
    frame.put_u8(channel);
    frame.put_slice(bytes);
    Message::Binary(frame.freeze())
}

fn parse(frame: &[u8]) -> Option<Input> {
    let (channel, rest) = frame.split_first()?;
    match *channel {
        STDIN if !rest.is_empty() => Some(Input::Data(Bytes::copy_from_slice(rest))),
        CLOSE if rest == [STDIN] => Some(Input::Close),
        RESIZE => {
            let size: Value = serde_json::from_slice(rest).ok()?;
            let side = |name: &str| size.get(name).and_then(Value::as_u64).and_then(|n| u16::try_from(n).ok());
            Some(Input::Resize { columns: side("Width")?, rows: side("Height")? })
        }
        _ => None,
    }
}

fn status(code: i32) -> Value {
    if code == 0 {
        return json!({"metadata": {}, "status": "Success"});
    }
    json!({
        "metadata": {}, "status": "Failure", "reason": "NonZeroExitCode",
        "message": format!("command terminated with non-zero exit code: exit status {code}"),
        "details": {"causes": [{"reason": "ExitCode", "message": code.to_string()}]},
    })
}

fn failure(error: &RuntimeError) -> Value {
    json!({"metadata": {}, "status": "Failure", "reason": "InternalError", "code": 500, "message": error.message})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_are_those_of_kubernetes() {
        assert_eq!(parse(b"\x00hi"), Some(Input::Data(Bytes::from_static(b"hi"))));
        assert_eq!(parse(b"\xff\x00"), Some(Input::Close));
        assert_eq!(parse(br#"{"Width":1}"#), None);
        assert_eq!(parse(b"\x04{\"Width\":80,\"Height\":24}"), Some(Input::Resize { columns: 80, rows: 24 }));
        assert_eq!(parse(b""), None);
    }

    #[test]
    fn the_exit_code_is_a_cause() {
        assert_eq!(status(0)["status"], "Success");
        assert_eq!(status(3)["details"]["causes"][0], json!({"reason": "ExitCode", "message": "3"}));
    }
}
