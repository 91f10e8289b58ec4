//! A client that goes on beside the test, such as an operator, with all that it prints in a file.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use rustix::process::Signal;

use crate::{Cluster, kill, until};

/// A client that runs until it is stopped or dropped.
#[derive(Debug)]
pub struct Program {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Program {
    /// Starts it; what it prints goes to `NAME.log` beside the cluster's data.
    ///
    /// # Panics
    /// When it cannot be started.
    #[track_caller]
    pub fn start(cluster: &Cluster, name: &str, mut command: Command) -> Self {
        let log = cluster.path(&format!("{name}.log"));
        let file = File::options().create(true).append(true).open(&log).expect("a log file");
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone().expect("the log file again"))
            .stderr(file)
            .spawn()
            .unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        Self { name: name.to_owned(), child, log }
    }

    /// All that it printed so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits for a line of its output that has this text.
    ///
    /// # Panics
    /// When none comes in time, or it ends before, with all that came.
    #[track_caller]
    pub fn wait_log(&mut self, text: &str) -> String {
        until(&format!("{text:?} of {}", self.name), || {
            let ended = self.child.try_wait().ok().flatten();
            let log = self.log();
            match (log.lines().find(|line| line.contains(text)), ended) {
                (Some(line), _) => Ok(line.to_owned()),
                (None, Some(status)) => panic!("{} ended with {status} before {text:?}:\n{log}", self.name),
                (None, None) => Err(log),
            }
        })
    }

    /// Asks it to end, and waits. Gives the exit code.
    ///
    /// # Panics
    /// When it does not end in time.
    #[track_caller]
    pub fn stop(&mut self) -> Option<i32> {
        kill(self.child.id(), Signal::TERM);
        let status = until(&format!("{} to end", self.name), || match self.child.try_wait() {
            Ok(Some(status)) => Ok(status),
            other => Err(format!("{other:?}")),
        });
        status.code()
    }

    /// Ends it as a power cut would.
    pub fn crash(&mut self) {
        kill(self.child.id(), Signal::KILL);
        let _ = self.child.wait();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.crash();
        }
        if std::thread::panicking() {
            eprintln!("--- output of {}:\n{}", self.name, self.log());
        }
    }
}
