//! Raw requests: status codes, warnings and bytes as the server sent them.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _};
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::BodyExt as _;
use hyper_util::client::legacy::{self, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use kube::client::{Body, ConfigExt as _};
use serde_json::Value;

use crate::error::{ClientError, Status};
use crate::kubeconfig::Target;
use crate::retry::Retry;

/// Most bytes of an error's body that are read: a Status with a thousand causes fits.
const ERROR_BODY_BYTES_MAX: usize = 1 << 20;

/// Media type of a plain JSON answer.
pub const JSON: &str = "application/json";
/// Asks for rows as people read them, made by the server.
pub const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
/// Content type of a server-side apply. JSON is YAML, so bodies are sent as JSON.
pub const APPLY_PATCH: &str = "application/apply-patch+yaml";
/// Content type of an RFC 7396 merge patch.
pub const MERGE_PATCH: &str = "application/merge-patch+json";
/// Content type of an RFC 6902 JSON patch.
pub const JSON_PATCH: &str = "application/json-patch+json";

/// A connection to one API server. Cheap to clone.
#[derive(Clone)]
pub struct Session {
    client: kube::Client,
    server: Arc<str>,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("server", &self.server).finish_non_exhaustive()
    }
}

/// What the server answered to a request that it granted.
#[derive(Clone, Debug)]
pub struct Reply {
    /// 200 or 201.
    pub status: StatusCode,
    /// Texts of the `Warning` headers, in order.
    pub warnings: Vec<String>,
    /// The object, list, table or status.
    pub body: Value,
}

impl Session {
    /// Connects lazily to what a kubeconfig names. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// When the kubeconfig's certificates cannot be used.
    pub fn connect(target: &Target) -> Result<Self, ClientError> {
        let client = kube::Client::try_from(target.config.clone()).map_err(|error| {
            crate::kubeconfig::KubeconfigError::Invalid { path: target.path.clone(), reason: error.to_string() }
        })?;
        Ok(Self { client, server: target.server.as_str().into() })
    }

    /// The same with TLS settings that the caller finishes, such as a certificate that changes while it is in use.
    ///
    /// # Errors
    /// When the kubeconfig's certificates cannot be used.
    pub fn connect_with(target: &Target, finish: impl FnOnce(&mut rustls::ClientConfig)) -> Result<Self, ClientError> {
        let config = &target.config;
        let invalid = |error: kube::Error| crate::kubeconfig::KubeconfigError::Invalid {
            path: target.path.clone(),
            reason: error.to_string(),
        };
        let mut tls = config.rustls_client_config().map_err(invalid)?;
        finish(&mut tls);
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_connect_timeout(config.connect_timeout);
        let https = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let client = legacy::Client::builder(TokioExecutor::new()).build::<_, Body>(https);
        let service = tower::ServiceBuilder::new()
            .layer(config.base_uri_layer())
            .option_layer(config.auth_layer().map_err(invalid)?)
            .map_err(tower::BoxError::from)
            .service(client);
        let client = kube::Client::new(service, config.default_namespace.clone());
        Ok(Self { client, server: target.server.as_str().into() })
    }

    /// Wraps a client, such as one that calls an API server in this process.
    pub fn from_client(client: kube::Client, server: &str) -> Self {
        Self { client, server: server.into() }
    }

    /// The typed client.
    pub fn client(&self) -> &kube::Client {
        &self.client
    }

    /// Address, for messages.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// Reads JSON.
    ///
    /// # Errors
    /// When the server cannot be reached or refuses.
    pub async fn get(&self, path_and_query: &str) -> Result<Value, ClientError> {
        Ok(self.read(path_and_query, JSON, Retry::READ).await?.body)
    }

    /// Reads with a given `Accept`, and tries again by a given policy.
    ///
    /// # Errors
    /// When the server cannot be reached or refuses, and the policy gives up.
    pub async fn read(&self, path_and_query: &str, accept: &str, retry: Retry) -> Result<Reply, ClientError> {
        let mut attempt = 0;
        loop {
            let error = match self.exchange(Method::GET, path_and_query, accept, None, Bytes::new()).await {
                Ok(reply) => return Ok(reply),
                Err(error) => error,
            };
            attempt += 1;
            match retry.wait(attempt, &error) {
                Some(wait) => tokio::time::sleep(wait).await,
                None => return Err(error),
            }
        }
    }

    /// Sends a body once; writes are never repeated on their own.
    ///
    /// # Errors
    /// When the server cannot be reached or refuses.
    pub async fn write(
        &self,
        method: Method,
        path_and_query: &str,
        content_type: &str,
        body: &Value,
    ) -> Result<Reply, ClientError> {
        self.exchange(method, path_and_query, JSON, Some(content_type), Bytes::from(body.to_string())).await
    }

    async fn exchange(
        &self,
        method: Method,
        path_and_query: &str,
        accept: &str,
        content_type: Option<&str>,
        body: Bytes,
    ) -> Result<Reply, ClientError> {
        let what = format!("{method} {path_and_query}");
        let response = self.send(method, path_and_query, accept, content_type, body).await?;
        let status = response.status();
        let warnings = warnings(response.headers());
        let bytes = response.into_body().collect().await.map_err(|e| self.broken(&e))?.to_bytes();
        let body = serde_json::from_slice(&bytes).map_err(|e| ClientError::Answer {
            server: self.server.to_string(),
            request: what,
            reason: e.to_string(),
        })?;
        Ok(Reply { status, warnings, body })
    }

    /// Opens a body that goes on: a watch or a log. Each item is what arrived, not a line.
    ///
    /// # Errors
    /// When the server cannot be reached or refuses.
    pub async fn stream(
        &self,
        path_and_query: &str,
        accept: &str,
    ) -> Result<BoxStream<'static, Result<Bytes, ClientError>>, ClientError> {
        let response = self.send(Method::GET, path_and_query, accept, None, Bytes::new()).await?;
        let server = Arc::clone(&self.server);
        let broken = move |error: kube::Error| ClientError::from_transport(&server, &error);
        Ok(response.into_body().into_data_stream().map_err(broken).boxed())
    }

    /// Opens a websocket with the Kubernetes remote-command protocol (v5, else v4).
    ///
    /// # Errors
    /// When the server cannot be reached or refuses.
    pub async fn websocket(&self, path_and_query: &str) -> Result<kube::client::Connection, ClientError> {
        let request = Request::get(path_and_query).body(Vec::new()).map_err(|e| self.malformed(path_and_query, &e))?;
        self.client.connect(request).await.map_err(|error| match error {
            kube::Error::Api(status) => {
                let status = Status {
                    message: status.message.clone(),
                    reason: status.reason.clone(),
                    code: status.code,
                    ..Status::default()
                };
                ClientError::Status(Box::new(status))
            }
            other => self.broken(&other),
        })
    }

    async fn send(
        &self,
        method: Method,
        path_and_query: &str,
        accept: &str,
        content_type: Option<&str>,
        body: Bytes,
    ) -> Result<http::Response<Body>, ClientError> {
        let mut request = Request::builder().method(method).uri(path_and_query).header(header::ACCEPT, accept);
        if let Some(content_type) = content_type {
            request = request.header(header::CONTENT_TYPE, content_type);
        }
        let request = request.body(Body::from(body)).map_err(|e| self.malformed(path_and_query, &e))?;
        let response = self.client.send(request).await.map_err(|e| self.broken(&e))?;
        if response.status().is_success() {
            return Ok(response);
        }
        Err(refusal(response).await)
    }

    fn broken(&self, error: &(dyn std::error::Error + 'static)) -> ClientError {
        ClientError::from_transport(&self.server, error)
    }

    fn malformed(&self, request: &str, error: &http::Error) -> ClientError {
        ClientError::Answer { server: self.server.to_string(), request: request.to_owned(), reason: error.to_string() }
    }
}

/// Reads a refusal; a body that is no Status still gives code and text.
async fn refusal(response: http::Response<Body>) -> ClientError {
    let code = response.status();
    let warnings = warnings(response.headers());
    let retry_after = response.headers().get(header::RETRY_AFTER).and_then(|v| v.to_str().ok()?.parse().ok());
    let limited = http_body_util::Limited::new(response.into_body(), ERROR_BODY_BYTES_MAX);
    let bytes = limited.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let mut status: Status = serde_json::from_slice(&bytes).unwrap_or_default();
    if status.message.is_empty() {
        let text = String::from_utf8_lossy(&bytes);
        let text = text.trim();
        status.message = if text.is_empty() { code.to_string() } else { text.to_owned() };
    }
    status.code = code.as_u16();
    status.warnings = warnings;
    if let Some(seconds) = retry_after {
        status.details.get_or_insert_default().retry_after_seconds = Some(seconds);
    }
    ClientError::Status(Box::new(status))
}

fn warnings(headers: &HeaderMap) -> Vec<String> {
    headers.get_all(header::WARNING).iter().filter_map(|v| v.to_str().ok()).map(warning_text).collect()
}

/// `299 - "the \"text\""` → `the "text"` (RFC 7234, section 5.5).
fn warning_text(header: &str) -> String {
    let Some(quoted) = header.splitn(3, ' ').nth(2) else { return header.to_owned() };
    let Some(inner) = quoted.strip_prefix('"') else { return quoted.to_owned() };
    let mut text = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => text.extend(chars.next()),
            '"' => break,
            c => text.push(c),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_are_unquoted() {
        assert_eq!(warning_text(r#"299 - "unknown field \"spec.replcas\"""#), r#"unknown field "spec.replcas""#);
        assert_eq!(warning_text("odd"), "odd");
        let mut headers = HeaderMap::new();
        headers.append(header::WARNING, r#"299 - "a""#.parse().unwrap());
        headers.append(header::WARNING, r#"299 - "b""#.parse().unwrap());
        assert_eq!(warnings(&headers), ["a", "b"]);
    }
}
