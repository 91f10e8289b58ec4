//! What can go wrong in a controller, and what the driver does about it.

use super::Key;

/// An operation of a controller failed. All are tried again; see [`Error::is_conflict`].
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API server refused, or could not be reached.
    #[error("could not {verb} {kind} {key}")]
    Api {
        /// `create`, `delete`, `patch`, …
        verb: &'static str,
        /// Kind of the object.
        kind: String,
        /// Its key.
        key: Key,
        /// What the client says.
        #[source]
        source: Box<kube::Error>,
    },
    /// An answer or an object could not be read.
    #[error("could not read {what}")]
    Decode {
        /// What was read.
        what: String,
        /// Where it went wrong.
        #[source]
        source: serde_json::Error,
    },
    /// A rule of the controller itself.
    #[error("{0}")]
    Other(String),
}

impl Error {
    /// The answer's HTTP code, if the API server answered.
    pub fn code(&self) -> Option<u16> {
        match self {
            Self::Api { source, .. } => match &**source {
                kube::Error::Api(status) => Some(status.code),
                _ => None,
            },
            _ => None,
        }
    }

    /// What the API server said, in one line for people; the error's own text otherwise.
    pub fn for_people(&self) -> String {
        match self {
            Self::Api { source, .. } => match &**source {
                kube::Error::Api(status) => status.message.clone(),
                other => format!("{self}: {other}"),
            },
            other => other.to_string(),
        }
    }

    /// Somebody else changed the object since it was read (409): not a failure, look again soon.
    pub fn is_conflict(&self) -> bool {
        self.code() == Some(409)
    }

    /// The object is not there (404).
    pub fn is_not_found(&self) -> bool {
        self.code() == Some(404)
    }

    /// It is not allowed (403), such as a create in a namespace that is on its way out.
    pub fn is_forbidden(&self) -> bool {
        self.code() == Some(403)
    }

    /// The object was refused for what it says (400, 403, 422): trying again helps only after a change.
    pub fn is_refusal(&self) -> bool {
        matches!(self.code(), Some(400 | 403 | 422))
    }
}
