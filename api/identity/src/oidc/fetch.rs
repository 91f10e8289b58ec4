//! Requests over TLS to a provider: one connection, no redirects, bounded in time and size.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Longest document: key sets with certificates in them reach some ten KiB.
const DOCUMENT_BYTES_MAX: usize = 512 * 1024;
/// For all of it, from the name's look-up to the last byte.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Why a document could not be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    #[error("{0} is not an https URL")]
    Url(String),
    #[error("{url}: {reason}")]
    Transport { url: String, reason: String },
    #[error("{url}: answered {status} (redirects are not followed)")]
    Status { url: String, status: u16 },
    #[error("{0}: no answer within 10 s")]
    TimedOut(String),
}

/// Gets a document.
///
/// # Errors
/// When there is no good answer in time.
pub(super) async fn get(url: &str, tls: &Arc<rustls::ClientConfig>) -> Result<Bytes, FetchError> {
    let (status, document) = within(url, tls, None).await?;
    if status != 200 {
        return Err(FetchError::Status { url: url.to_owned(), status });
    }
    Ok(document)
}

/// Posts a form; gives the status and the answer, whatever they are.
///
/// # Errors
/// When there is no answer in time.
pub(super) async fn post(url: &str, tls: &Arc<rustls::ClientConfig>, form: String) -> Result<(u16, Bytes), FetchError> {
    within(url, tls, Some(form)).await
}

async fn within(url: &str, tls: &Arc<rustls::ClientConfig>, form: Option<String>) -> Result<(u16, Bytes), FetchError> {
    tokio::time::timeout(TIMEOUT, ask(url, tls, form)).await.map_err(|_| FetchError::TimedOut(url.to_owned()))?
}

async fn ask(url: &str, tls: &Arc<rustls::ClientConfig>, form: Option<String>) -> Result<(u16, Bytes), FetchError> {
    let transport =
        |reason: &dyn std::fmt::Display| FetchError::Transport { url: url.to_owned(), reason: reason.to_string() };
    let bad = || FetchError::Url(url.to_owned());
    let uri: Uri = url.parse().map_err(|_| bad())?;
    let (Some("https"), Some(authority)) = (uri.scheme_str(), uri.authority()) else { return Err(bad()) };
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    let name = ServerName::try_from(host.to_owned()).map_err(|_| bad())?;
    let tcp = TcpStream::connect((host, authority.port_u16().unwrap_or(443))).await.map_err(|e| transport(&e))?;
    let stream = TlsConnector::from(Arc::clone(tls)).connect(name, tcp).await.map_err(|e| transport(&e))?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|e| transport(&e))?;
    let path = uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    let request = match form {
        Some(_) => Request::post(path).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded"),
        None => Request::get(path),
    };
    let request = request
        .header(header::HOST, authority.as_str())
        .header(header::ACCEPT, "application/json")
        .header(header::USER_AGENT, "berth")
        .body(Full::new(Bytes::from(form.unwrap_or_default())))
        .map_err(|e| transport(&e))?;
    // Driven beside the question, and dropped with it: no task is left behind.
    let exchange = async {
        let response = sender.send_request(request).await.map_err(|e| transport(&e))?;
        let status = response.status().as_u16();
        let body = Limited::new(response.into_body(), DOCUMENT_BYTES_MAX).collect().await;
        Ok((status, body.map_err(|e| transport(&e))?.to_bytes()))
    };
    tokio::pin!(exchange, connection);
    let mut open = true;
    loop {
        tokio::select! {
            done = &mut exchange => return done,
            ended = &mut connection, if open => {
                // The end of the connection can be the end of the body: the exchange says which.
                open = false;
                ended.map_err(|e| transport(&e))?;
            }
        }
    }
}
