//! Why a call failed, in the words of Go's HTTP client and of client-go, which people search for.

use http::{Method, StatusCode};

/// No more of a foreign server's words than this gets into our errors: it may be one that was not meant.
const WORDS_BYTES_MAX: usize = 1024;

/// A call that brought no usable answer.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum CallError {
    /// `Post "https://…": context deadline exceeded`.
    #[error("{} {url:?}: {why}", go_method(method))]
    Transport { method: Method, url: String, why: String },
    /// The server answered with an error.
    #[error("{message}")]
    Status { code: u16, message: String },
}

impl CallError {
    /// What client-go makes of an answer that is no success.
    pub(super) fn status(code: StatusCode, body: &[u8]) -> Self {
        let body = &body[..body.len().min(WORDS_BYTES_MAX)];
        let words = String::from_utf8_lossy(body).trim().to_owned();
        let given = serde_json::from_slice::<serde_json::Value>(body)
            .ok()
            .filter(|status| status["kind"] == "Status")
            .and_then(|status| status["message"].as_str().map(str::to_owned));
        let message = given.unwrap_or_else(|| match code.as_u16() {
            400 => "the server rejected our request for an unknown reason".to_owned(),
            401 => "the server has asked for the client to provide credentials".to_owned(),
            403 => "the server does not allow access to the requested resource".to_owned(),
            404 => "the server could not find the requested resource".to_owned(),
            405 => "the server does not allow this method on the requested resource".to_owned(),
            406 => "the server was unable to respond with a content type that the client supports".to_owned(),
            415 => "the body of the request was in an unknown format".to_owned(),
            422 => "the server rejected our request due to an error in our request".to_owned(),
            429 => "the server has received too many requests and has asked us to try again later".to_owned(),
            503 => "the server is currently unable to handle the request".to_owned(),
            504 => "the server was unable to return a response in the time allotted, but may still be processing the \
                    request"
                .to_owned(),
            500.. => format!("an error on the server ({words:?}) has prevented the request from succeeding"),
            other => format!("the server responded with the status code {other} but did not return more information"),
        });
        Self::Status { code: code.as_u16(), message }
    }
}

/// `Post`: as Go's client names a method in its errors.
fn go_method(method: &Method) -> String {
    let text = method.as_str();
    let (first, rest) = text.split_at(text.len().min(1));
    format!("{first}{}", rest.to_ascii_lowercase())
}

/// A failed handshake in the words of Go.
pub(super) fn handshake(error: &std::io::Error) -> String {
    use rustls::{CertificateError, Error};
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    let why = match inner {
        Some(Error::InvalidCertificate(problem)) => match problem {
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                "x509: certificate signed by unknown authority".to_owned()
            }
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. } => {
                "x509: certificate has expired or is not yet valid".to_owned()
            }
            CertificateError::NotValidForName => "x509: certificate is not valid for the name".to_owned(),
            CertificateError::NotValidForNameContext { expected, presented } => {
                let presented: Vec<String> = presented.iter().map(|name| plain_name(name)).collect();
                format!("x509: certificate is valid for {}, not {}", presented.join(", "), expected.to_str())
            }
            // An authority's certificate that a server shows as its own, and that is not the one we trust.
            CertificateError::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => {
                "x509: certificate signed by unknown authority".to_owned()
            }
            other => format!("x509: {other}"),
        },
        _ => return error.to_string(),
    };
    format!("tls: failed to verify certificate: {why}")
}

/// `DnsName("a.example")` without its wrapping.
fn plain_name(name: &str) -> String {
    let inner = name.split_once('(').map_or(name, |(_, rest)| rest.trim_end_matches(')'));
    inner.trim_matches('"').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_read_as_go_writes_them() {
        let url = "https://127.0.0.1:9/x?timeout=1s".to_owned();
        let error = CallError::Transport { method: Method::POST, url, why: "context deadline exceeded".into() };
        assert_eq!(error.to_string(), r#"Post "https://127.0.0.1:9/x?timeout=1s": context deadline exceeded"#);
        assert_eq!(
            CallError::status(StatusCode::INTERNAL_SERVER_ERROR, b"boom\n").to_string(),
            r#"an error on the server ("boom") has prevented the request from succeeding"#
        );
        assert_eq!(
            CallError::status(StatusCode::FOUND, b"").to_string(),
            "the server responded with the status code 302 but did not return more information"
        );
    }

    #[test]
    fn names_of_certificates_are_told_plainly() {
        assert_eq!(plain_name("DnsName(\"localhost\")"), "localhost");
        assert_eq!(plain_name("IpAddress(127.0.0.1)"), "127.0.0.1");
    }
}
