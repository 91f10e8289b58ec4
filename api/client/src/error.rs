//! What can go wrong between us and the API server, told so that a person knows what to do next.

use std::error::Error as StdError;
use std::io;

use serde::Deserialize;

/// The body of a refused request: `metav1.Status`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Status {
    /// One sentence for people.
    pub message: String,
    /// One stable word: NotFound, Conflict, Invalid, …
    pub reason: String,
    /// HTTP code.
    pub code: u16,
    /// What it is about.
    pub details: Option<StatusDetails>,
    /// Texts of the `Warning` headers that came with it.
    #[serde(skip)]
    pub warnings: Vec<String>,
}

/// What a refused request was about.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct StatusDetails {
    /// Name of the object.
    pub name: String,
    /// Plural of the resource, or the kind for invalid objects.
    pub kind: String,
    /// API group.
    pub group: String,
    /// Each thing that is wrong.
    pub causes: Vec<Cause>,
    /// Seconds to wait before the next try.
    pub retry_after_seconds: Option<u64>,
}

/// One thing that is wrong in an object.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Cause {
    /// FieldValueInvalid, FieldManagerConflict, …
    pub reason: String,
    /// For people.
    pub message: String,
    /// Path of the field, as a person would type it.
    pub field: String,
}

impl Status {
    /// The causes, or none.
    pub fn causes(&self) -> &[Cause] {
        self.details.as_ref().map_or(&[], |d| &d.causes)
    }
}

/// Why a request did not give what was asked for.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No connection, or it broke.
    #[error("cannot reach {server}: {reason}")]
    Unreachable {
        /// Address that was tried.
        server: String,
        /// Shortest true reason: `connection refused`, `timed out`, …
        reason: String,
        /// Nobody listens there.
        refused: bool,
        /// The server's certificate is not signed by the authority in the kubeconfig.
        untrusted: bool,
    },
    /// The server answered no.
    #[error("{}", .0.message)]
    Status(Box<Status>),
    /// The answer could not be read.
    #[error("could not read the answer of {server} to {request}: {reason}")]
    Answer {
        /// Address that answered.
        server: String,
        /// Method and path.
        request: String,
        /// What is wrong with it.
        reason: String,
    },
    /// There is no usable kubeconfig.
    #[error(transparent)]
    Kubeconfig(#[from] crate::kubeconfig::KubeconfigError),
}

impl ClientError {
    /// The status, when the server refused.
    pub fn status(&self) -> Option<&Status> {
        match self {
            Self::Status(status) => Some(status),
            _ => None,
        }
    }

    /// HTTP code, when the server refused; 0 otherwise.
    pub fn code(&self) -> u16 {
        self.status().map_or(0, |s| s.code)
    }

    /// The object, or the resource, is not there.
    pub fn is_not_found(&self) -> bool {
        self.code() == 404
    }

    /// The position of a watch or list is too old: start again from a fresh list.
    pub fn is_expired(&self) -> bool {
        self.code() == 410
    }

    /// Trying again later may help: no connection, or the server is busy or starting.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { untrusted, .. } => !untrusted,
            Self::Status(status) => matches!(status.code, 429 | 500 | 502 | 503 | 504),
            Self::Answer { .. } => true,
            Self::Kubeconfig(_) => false,
        }
    }

    /// Reads a failed exchange: the innermost cause is what a person needs.
    pub(crate) fn from_transport(server: &str, error: &(dyn StdError + 'static)) -> Self {
        let mut reason = String::new();
        let mut refused = false;
        let mut untrusted = false;
        let mut next = Some(error);
        while let Some(current) = next {
            reason = current.to_string();
            if let Some(io) = current.downcast_ref::<io::Error>() {
                refused |= io.kind() == io::ErrorKind::ConnectionRefused;
                if let Some(plain) = plain_words(io.kind()) {
                    reason = plain.to_owned();
                    break;
                }
                // io::Error hides the error it wraps from source(): look inside.
                next = io.get_ref().map(|inner| inner as &(dyn StdError + 'static));
                continue;
            }
            untrusted |= reason.contains("certificate");
            next = current.source();
        }
        Self::Unreachable { server: server.to_owned(), reason, refused, untrusted }
    }
}

fn plain_words(kind: io::ErrorKind) -> Option<&'static str> {
    Some(match kind {
        io::ErrorKind::ConnectionRefused => "connection refused",
        io::ErrorKind::ConnectionReset => "the connection was reset",
        io::ErrorKind::ConnectionAborted => "the connection was aborted",
        io::ErrorKind::TimedOut => "timed out",
        io::ErrorKind::UnexpectedEof => "the connection was closed early",
        io::ErrorKind::HostUnreachable => "no route to the host",
        io::ErrorKind::NetworkUnreachable => "the network is unreachable",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_reason_is_told() {
        let inner = io::Error::from(io::ErrorKind::ConnectionRefused);
        let outer = io::Error::other(inner);
        let error = ClientError::from_transport("https://127.0.0.1:7443", &outer);
        assert_eq!(error.to_string(), "cannot reach https://127.0.0.1:7443: connection refused");
        assert!(matches!(error, ClientError::Unreachable { refused: true, .. }));
        assert!(error.is_transient());
    }

    #[test]
    fn a_status_is_read_with_its_causes() {
        let text = r#"{"kind":"Status","message":"no","reason":"Invalid","code":422,
            "details":{"name":"a","kind":"Service","causes":[{"reason":"FieldValueRequired","message":"Required value","field":"spec.template"}]}}"#;
        let status: Status = serde_json::from_str(text).unwrap();
        assert_eq!(status.causes()[0].field, "spec.template");
        assert_eq!(ClientError::Status(Box::new(status)).code(), 422);
    }
}
