//! Calls to servers that extend this one: admission and conversion webhooks, and the checks of aggregated APIs.
//!
//! HTTPS only, with the authority that the configuration names; no proxies, no redirects, no credentials of ours. A
//! call ends by its deadline, an answer is bounded, and connections are kept for the next call.

mod endpoint;
mod error;
mod pool;
mod resolve;
mod tls;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, header};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};

pub(crate) use endpoint::Endpoint;
pub(crate) use error::CallError;
pub(crate) use pool::{Pool, chain, open};
pub(crate) use resolve::{Resolve, ServiceTasks, addresses};
pub(crate) use tls::verifier;

/// An answer may be as large as a request's body: a webhook can patch a whole object into another.
pub(crate) const ANSWER_BYTES_MAX: usize = 3 << 20;

const USER_AGENT: &str = "kube-apiserver-admission";

/// The client. One for the server; cheap to call from many requests at once.
#[derive(Debug, Default)]
pub(crate) struct Webhooks {
    pool: Pool,
}

/// A server's answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub status: http::StatusCode,
    pub body: Bytes,
}

impl Webhooks {
    /// Posts JSON and returns the body of a successful answer. The remaining time is told to the other side as
    /// `?timeout=10s`, as kube-apiserver does.
    ///
    /// # Errors
    /// Everything that is no answer with code 2xx, in client-go's words.
    pub(crate) async fn post(
        &self,
        resolver: &dyn Resolve,
        endpoint: &Endpoint,
        body: Bytes,
        timeout: Duration,
    ) -> Result<Bytes, CallError> {
        let seconds = timeout.as_secs() + u64::from(timeout.subsec_nanos() > 0);
        let separator = if endpoint.path_and_query.contains('?') { '&' } else { '?' };
        let target = format!("{}{separator}timeout={seconds}s", endpoint.path_and_query);
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        let headers = request.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json, */*"));
        headers.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
        let answer = self.send(resolver, endpoint, &target, request, timeout).await?;
        if answer.status.is_success() {
            return Ok(answer.body);
        }
        Err(CallError::status(answer.status, &answer.body))
    }

    /// Sends one request. `target` is the path with the query.
    ///
    /// # Errors
    /// When there is no answer in time, or one that is too large.
    pub(crate) async fn send(
        &self,
        resolver: &dyn Resolve,
        endpoint: &Endpoint,
        target: &str,
        mut request: Request<Full<Bytes>>,
        timeout: Duration,
    ) -> Result<Answer, CallError> {
        let method = request.method().clone();
        let failed = |why: String| CallError::Transport { url: endpoint.url(target), method: method.clone(), why };
        *request.uri_mut() = target.parse().map_err(|error| failed(format!("{error}")))?;
        let host = HeaderValue::try_from(endpoint.authority()).map_err(|error| failed(error.to_string()))?;
        request.headers_mut().insert(header::HOST, host);
        let exchange = async {
            let addresses = resolve::addresses(resolver, endpoint).await?;
            let response = self.pool.send(endpoint, &addresses, request).await?;
            let (parts, body) = response.response.into_parts();
            let body = match Limited::new(body, ANSWER_BYTES_MAX).collect().await {
                Ok(body) => body.to_bytes(),
                Err(error) if error.is::<LengthLimitError>() => {
                    return Err(format!("the answer is larger than {ANSWER_BYTES_MAX} bytes"));
                }
                Err(error) => return Err(error.to_string()),
            };
            // Only now is the connection free for the next.
            self.pool.put_back(endpoint, response.sender);
            Ok(Answer { status: parts.status, body })
        };
        match tokio::time::timeout(timeout, exchange).await {
            Ok(answer) => answer.map_err(failed),
            Err(_) => Err(failed("context deadline exceeded".to_owned())),
        }
    }
}

/// TLS that trusts this bundle, or the system's roots where it is empty.
///
/// # Errors
/// When the bundle holds no certificate.
pub(crate) fn client_tls(ca_bundle: &[u8]) -> Result<Arc<rustls::ClientConfig>, String> {
    tls::config(ca_bundle)
}
