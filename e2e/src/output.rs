//! What a command printed and how it ended.

use std::process::Output;

/// A finished command.
#[derive(Clone, Debug)]
pub struct Run {
    /// The words that were typed.
    pub typed: String,
    /// Exit code; -1 when a signal ended it.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Run {
    pub(crate) fn new(typed: String, output: &Output) -> Self {
        Self {
            typed,
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Insists on exit code 0.
    ///
    /// # Panics
    /// With all that was printed.
    #[track_caller]
    pub fn ok(self) -> Self {
        assert!(self.code == 0, "{self}");
        self
    }

    /// Insists on this exit code.
    ///
    /// # Panics
    /// With all that was printed.
    #[track_caller]
    pub fn code(self, code: i32) -> Self {
        assert!(self.code == code, "expected exit code {code}\n{self}");
        self
    }

    /// Insists that the text stands in standard output.
    ///
    /// # Panics
    /// With all that was printed.
    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        assert!(self.out.contains(text), "expected {text:?} on standard output\n{self}");
        self
    }

    /// Insists that the text stands in standard error.
    ///
    /// # Panics
    /// With all that was printed.
    #[track_caller]
    pub fn complains(self, text: &str) -> Self {
        assert!(self.err.contains(text), "expected {text:?} on standard error\n{self}");
        self
    }

    /// Standard output as JSON.
    ///
    /// # Panics
    /// When it is not JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("not JSON: {error}\n{self}"))
    }

    /// Lines of standard output that are not empty.
    pub fn lines(&self) -> Vec<&str> {
        self.out.lines().filter(|line| !line.trim().is_empty()).collect()
    }
}

impl std::fmt::Display for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "$ {}", self.typed)?;
        writeln!(f, "--- exit code {}, standard output:\n{}", self.code, self.out)?;
        writeln!(f, "--- standard error:\n{}", self.err)
    }
}
