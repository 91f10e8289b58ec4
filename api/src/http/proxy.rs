//! Logs of and commands in a task's containers: passed on to the agent that runs it, over TLS with the API
//! server's own certificate. Bytes go through untouched.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use http::{HeaderMap, HeaderName, Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use serde_json::Value;
use tokio::net::TcpStream;

use super::Call;
use super::respond::ApiResponse;
use crate::admission;
use crate::authz;
use crate::body::ApiBody;
use crate::request::Verb;
use crate::status::ApiError;
use crate::write::store_error;

/// How long an agent may take to accept a connection and to answer with its headers.
const AGENT_TIMEOUT: Duration = Duration::from_secs(15);

/// Query parameters of a log that the agent understands.
const LOG_PARAMETERS: &[&str] =
    &["follow", "tailLines", "sinceSeconds", "sinceTime", "timestamps", "limitBytes", "previous", "stream"];
/// Query parameters of an exec that the agent understands.
const EXEC_PARAMETERS: &[&str] = &["command", "stdin", "stdout", "stderr", "tty"];

/// Headers that make up an upgrade.
const UPGRADE_HEADERS: &[&str] = &[
    "connection",
    "upgrade",
    "sec-websocket-key",
    "sec-websocket-version",
    "sec-websocket-protocol",
    "sec-websocket-extensions",
];

/// The container that is meant, and the node that runs it.
struct Place {
    container: String,
    node: String,
    address: String,
    port: u16,
}

/// GET of a container's output, whole or followed.
pub(super) async fn log(call: &Call<'_>) -> Result<ApiResponse, ApiError> {
    let place = place(call).await?;
    let uri = agent_uri(call, "logs", &place.container, LOG_PARAMETERS)?;
    let mut request = Request::new(Empty::<Bytes>::new());
    *request.uri_mut() = uri;
    let response = send(call, &place, request).await?;
    let (parts, body) = response.into_parts();
    if !parts.status.is_success() {
        return Err(refused(&place, parts.status, body).await);
    }
    let stop = call.server.stop.clone();
    // A body never fails here: an agent that goes away ends the log.
    let chunks = body.into_data_stream().take_while(|chunk| futures::future::ready(chunk.is_ok()));
    let chunks = chunks.filter_map(|chunk| futures::future::ready(chunk.ok()));
    let mut response = Response::new(ApiBody::stream(chunks.take_until(stop.cancelled_owned())));
    let plain = http::HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, plain);
    Ok(response)
}

/// A command in a container, over a websocket.
pub(super) async fn exec(call: &Call<'_>, parts: &http::request::Parts) -> Result<ApiResponse, ApiError> {
    authz::may_act(call)?;
    let Some(client) = parts.extensions.get::<OnUpgrade>().cloned() else {
        return Err(ApiError::bad_request("exec needs a connection that can be upgraded to a websocket"));
    };
    let is_websocket =
        parts.headers.get(header::UPGRADE).is_some_and(|v| v.as_bytes().eq_ignore_ascii_case(b"websocket"));
    if !is_websocket {
        return Err(ApiError::bad_request("exec speaks websockets only: send `Upgrade: websocket`"));
    }
    if call.query.filled("command").is_none() {
        return Err(ApiError::bad_request("you must specify at least 1 command for the container"));
    }
    let mut w = call.start(Verb::Create)?;
    Box::pin(admission::allow(&mut w, admission::Operation::Connect, &exec_options(call))).await?;
    // The session outlives the answer that begins it: its place is kept until it ends.
    let slot = call.server.streams.enter(&call.user.name)?;
    let place = place(call).await?;
    let mut request = Request::new(Empty::<Bytes>::new());
    *request.uri_mut() = agent_uri(call, "exec", &place.container, EXEC_PARAMETERS)?;
    copy_headers(&parts.headers, request.headers_mut());
    let response = send(call, &place, request).await?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        let (parts, body) = response.into_parts();
        return Err(refused(&place, parts.status, body).await);
    }
    let mut answer = Response::new(ApiBody::empty());
    *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    copy_headers(response.headers(), answer.headers_mut());
    if let Some(accept) = response.headers().get("sec-websocket-accept") {
        answer.headers_mut().insert("sec-websocket-accept", accept.clone());
    }
    let stop = call.server.stop.clone();
    tokio::spawn(async move {
        let _slot = slot;
        let joined = async {
            let (client, agent) = futures::future::try_join(client, hyper::upgrade::on(response)).await?;
            let (mut client, mut agent) = (TokioIo::new(client), TokioIo::new(agent));
            tokio::io::copy_bidirectional(&mut client, &mut agent).await?;
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
        };
        tokio::select! {
            () = stop.cancelled() => {}
            ended = joined => if let Err(error) = ended {
                tracing::debug!(%error, "an exec session ended early");
            }
        }
    });
    Ok(answer)
}

/// What is asked for, as rules about streams are shown it.
fn exec_options(call: &Call<'_>) -> Value {
    let flag = |name: &str| call.query.flag(name);
    serde_json::json!({
        "apiVersion": call.resource.api_version(), "kind": "TaskExecOptions",
        "container": call.query.filled("container").unwrap_or_default(),
        "command": call.query.all("command").collect::<Vec<_>>(),
        "stdin": flag("stdin"), "stdout": flag("stdout"), "stderr": flag("stderr"), "tty": flag("tty"),
    })
}

fn copy_headers(from: &HeaderMap, to: &mut HeaderMap) {
    for name in UPGRADE_HEADERS {
        for value in from.get_all(*name) {
            to.append(HeaderName::from_static(name), value.clone());
        }
    }
}

/// Finds the task, its container and its node's agent.
async fn place(call: &Call<'_>) -> Result<Place, ApiError> {
    let name = call.name()?;
    let key = call.resource.key(call.namespace(), name);
    let found = call.server.store.get(&key, None).await.map_err(store_error)?;
    let kv = found.kv.ok_or_else(|| ApiError::not_found(call.resource.named(), name))?;
    let task = super::convert::parse(&kv.value)?;
    let names: Vec<&str> = ["initContainers", "containers"]
        .iter()
        .flat_map(|kind| task["spec"][*kind].as_array().into_iter().flatten())
        .filter_map(|container| container["name"].as_str())
        .collect();
    let first = task["spec"]["containers"][0]["name"].as_str().unwrap_or_default();
    let container = call.query.filled("container").unwrap_or(first);
    if !names.contains(&container) {
        return Err(ApiError::bad_request(format!(
            "container {container} is not valid for task {name}: choose one of: [{}]",
            names.join(" ")
        )));
    }
    let node = task["spec"]["nodeName"].as_str().unwrap_or_default().to_owned();
    if node.is_empty() {
        return Err(ApiError::bad_request(format!(
            "container \"{container}\" in task \"{name}\" is waiting to start: the task has no node yet"
        )));
    }
    let endpoint = agent_endpoint(call, &node)
        .ok_or_else(|| ApiError::unavailable(format!("the agent of node \"{node}\" does not say where it listens")))?;
    Ok(Place { container: container.to_owned(), address: endpoint.0, port: endpoint.1, node })
}

fn agent_endpoint(call: &Call<'_>, node: &str) -> Option<(String, u16)> {
    let rows = call.server.registry.snapshot();
    let row = rows.find(berth_types::GROUP, berth_types::VERSION, "nodes")?;
    let object: Value = serde_json::from_slice(&row.storage.cache.get("", node)?.kv().value).ok()?;
    let endpoint = &object["status"]["agentEndpoint"];
    Some((endpoint["address"].as_str()?.to_owned(), u16::try_from(endpoint["port"].as_i64()?).ok()?))
}

/// `/v1/{what}/{namespace}/{task}/{container}` with the parameters that the agent knows.
fn agent_uri(call: &Call<'_>, what: &str, container: &str, known: &[&str]) -> Result<Uri, ApiError> {
    let mut uri = format!("/v1/{what}/{}/{}/{container}", call.namespace().unwrap_or_default(), call.name()?);
    let mut separator = '?';
    for name in known {
        for value in call.query.all(name) {
            uri.push(separator);
            separator = '&';
            uri.push_str(name);
            uri.push('=');
            percent_encode(value, &mut uri);
        }
    }
    uri.parse().map_err(ApiError::internal)
}

fn percent_encode(text: &str, out: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~' | b'/' | b':') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
}

/// Sends one request on a connection of its own.
async fn send(
    call: &Call<'_>,
    place: &Place,
    mut request: Request<Empty<Bytes>>,
) -> Result<Response<Incoming>, ApiError> {
    let Some(tls) = &call.server.agent_tls else {
        return Err(ApiError::unavailable("this server has no certificate to show to agents"));
    };
    let host = if place.address.contains(':') {
        format!("[{}]:{}", place.address, place.port)
    } else {
        format!("{}:{}", place.address, place.port)
    };
    request.headers_mut().insert(header::HOST, host.parse().map_err(ApiError::internal)?);
    let exchange = async {
        let stream = TcpStream::connect((place.address.as_str(), place.port)).await?;
        stream.set_nodelay(true)?;
        let name = ServerName::try_from(place.address.clone())?;
        let stream = tokio_rustls::TlsConnector::from(Arc::clone(tls)).connect(name, stream).await?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(async move {
            if let Err(error) = connection.with_upgrades().await {
                tracing::debug!(%error, "a connection to an agent ended early");
            }
        });
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>(sender.send_request(request).await?)
    };
    match tokio::time::timeout(AGENT_TIMEOUT, exchange).await {
        Ok(Ok(response)) => Ok(response),
        Ok(Err(error)) => {
            tracing::warn!(node = %place.node, %error, "could not reach an agent");
            Err(ApiError::unavailable(format!("the agent of node \"{}\" cannot be reached", place.node)))
        }
        Err(_) => Err(ApiError::unavailable(format!("the agent of node \"{}\" does not answer", place.node))),
    }
}

/// What an agent's refusal means to the client: its own words, if they are short.
async fn refused(place: &Place, status: StatusCode, body: Incoming) -> ApiError {
    const WORDS_BYTES_MAX: usize = 4096;
    let words = http_body_util::Limited::new(body, WORDS_BYTES_MAX).collect().await;
    let words = words.map(|b| String::from_utf8_lossy(&b.to_bytes()).trim().to_owned()).unwrap_or_default();
    tracing::debug!(node = %place.node, %status, words, "an agent refused");
    if status.is_client_error() {
        ApiError::bad_request(format!("the agent of node \"{}\" says: {words}", place.node))
    } else {
        ApiError::unavailable(format!("the agent of node \"{}\" says: {words}", place.node))
    }
}
