//! How a command ends: its exit code, and an error that names the thing, the reason and the next command.

use berth_client::{ClientError, KubeconfigError};

/// Exit codes, the same for every command (`berth --help` lists them).
pub(crate) mod exit {
    pub(crate) const OK: u8 = 0;
    pub(crate) const ERROR: u8 = 1;
    pub(crate) const USAGE: u8 = 2;
    pub(crate) const NOT_FOUND: u8 = 3;
    pub(crate) const DENIED: u8 = 4;
    pub(crate) const TIMED_OUT: u8 = 5;
    pub(crate) const INTERRUPTED: u8 = 130;
}

/// Why a command did not do what was asked.
#[derive(Debug)]
pub(crate) struct Failure {
    /// Exit code.
    pub(crate) code: u8,
    /// What went wrong, lower case. Empty when everything has been said already.
    pub(crate) message: String,
    /// What to do next: one line each.
    pub(crate) hints: Vec<String>,
}

/// A command's exit code, or why it failed.
pub(crate) type Outcome<T = u8> = Result<T, Failure>;

impl Failure {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { code: exit::ERROR, message: message.into(), hints: vec![] }
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { code: exit::USAGE, ..Self::new(message) }
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self { code: exit::NOT_FOUND, ..Self::new(message) }
    }

    /// Everything has been printed; only the code is left to tell.
    pub(crate) fn silent(code: u8) -> Self {
        Self { code, ..Self::new("") }
    }

    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    #[must_use]
    pub(crate) fn code(mut self, code: u8) -> Self {
        self.code = code;
        self
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let message = error.to_string();
        match &error {
            ClientError::Unreachable { untrusted: true, .. } => Self::new(message).hint(
                "the server's certificate is not signed by the authority in the kubeconfig: is it another cluster's?",
            ),
            ClientError::Unreachable { .. } => Self::new(message).hint("is it running? start it with: berth up"),
            ClientError::Kubeconfig(KubeconfigError::Missing { .. }) => {
                Self::new(message).hint("start a cluster with: berth up; or name a file with --kubeconfig")
            }
            ClientError::Kubeconfig(_) => Self::new(message)
                .hint("name the right file with --kubeconfig or KUBECONFIG: `berth up` prints its path"),
            ClientError::Answer { .. } => Self::new(message),
            ClientError::Status(status) => {
                let failure = Self::new(message);
                match status.code {
                    404 => {
                        let kind = status.details.as_ref().map(|d| d.kind.as_str()).filter(|kind| !kind.is_empty());
                        let failure = failure.code(exit::NOT_FOUND);
                        match kind {
                            Some(kind) => failure.hint(format!("list what is there: berth get {kind} -A")),
                            None => failure,
                        }
                    }
                    401 => failure.code(exit::DENIED).hint("the kubeconfig's credentials are not known to this server"),
                    403 => failure.code(exit::DENIED),
                    _ => failure,
                }
            }
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        // The reader of a pipe has seen enough (`berth get … | head`): no error.
        if error.kind() == std::io::ErrorKind::BrokenPipe {
            return Self::silent(exit::OK);
        }
        Self::new(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use berth_client::Status;

    #[test]
    fn exit_codes_tell_absent_from_forbidden() {
        let refused = |code| {
            Failure::from(ClientError::Status(Box::new(Status { code, message: "m".into(), ..Status::default() }))).code
        };
        assert_eq!([404, 403, 401, 409, 500].map(refused), [3, 4, 4, 1, 1]);
    }

    #[test]
    fn who_misses_an_object_is_told_how_to_list_them() {
        let details = Some(berth_client::StatusDetails { kind: "services".into(), ..Default::default() });
        let failure = Failure::from(ClientError::Status(Box::new(Status { code: 404, details, ..Status::default() })));
        assert_eq!(failure.hints, ["list what is there: berth get services -A"]);
    }

    #[test]
    fn a_dead_server_comes_with_the_command_that_starts_it() {
        let failure = Failure::from(ClientError::Unreachable {
            server: "https://127.0.0.1:7443".into(),
            reason: "connection refused".into(),
            refused: true,
            untrusted: false,
        });
        assert_eq!(failure.message, "cannot reach https://127.0.0.1:7443: connection refused");
        assert_eq!(failure.hints, ["is it running? start it with: berth up"]);
    }
}
