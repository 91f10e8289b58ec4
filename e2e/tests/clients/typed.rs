//! A client as a person types it: one line of words.

use std::path::{Path, PathBuf};
use std::process::Command;

use berth_e2e::{Cluster, Following, Run, Until, client, kubectl_bin, kubectl_now_bin, until};

/// A program, and the cluster that it talks to.
pub(crate) struct Typed<'a> {
    pub(crate) cluster: &'a Cluster,
    program: PathBuf,
}

impl<'a> Typed<'a> {
    pub(crate) fn new(cluster: &'a Cluster, program: PathBuf) -> Self {
        Self { cluster, program }
    }

    /// A current kubectl.
    pub(crate) fn kubectl(cluster: &'a Cluster) -> Self {
        Self::new(cluster, kubectl_now_bin())
    }

    /// kubectl 1.20.
    pub(crate) fn old_kubectl(cluster: &'a Cluster) -> Self {
        Self::new(cluster, kubectl_bin())
    }

    /// Runs the line.
    pub(crate) fn run(&self, line: &str) -> Run {
        self.run_words(&words(line), None)
    }

    /// Runs the line and insists that it succeeds.
    #[track_caller]
    pub(crate) fn ok(&self, line: &str) -> Run {
        self.run(line).ok()
    }

    /// Runs the line and insists that it fails.
    #[track_caller]
    pub(crate) fn fails(&self, line: &str) -> Run {
        self.run(line).code(1)
    }

    /// Runs the line with this text on standard input, for `-f -`.
    pub(crate) fn with(&self, line: &str, input: &str) -> Run {
        self.run_words(&words(line), Some(input))
    }

    /// What the line prints, without the end of the line.
    #[track_caller]
    pub(crate) fn text(&self, line: &str) -> String {
        self.ok(line).out.trim_end().to_owned()
    }

    /// Looks again and again until the line prints something that fits.
    #[track_caller]
    pub(crate) fn until(&self, line: &str, mut fits: impl FnMut(&Run) -> bool) -> Run {
        until(line, || {
            let run = self.run(line);
            if fits(&run) { Ok(run) } else { Err(run.to_string()) as Until<Run> }
        })
    }

    /// Starts a line that goes on, such as `get -w`.
    pub(crate) fn follow(&self, line: &str) -> Following {
        self.cluster.follow(&self.program, &borrowed(&words(line)))
    }

    /// The line as a command that is not started, for one with more in its environment.
    pub(crate) fn command(&self, line: &str) -> Command {
        self.cluster.command(&self.program, &borrowed(&words(line)))
    }

    /// Runs the line with one more variable in its environment.
    pub(crate) fn with_env(&self, name: &str, value: &str, line: &str) -> Run {
        // kubectl keeps what somebody edited in vain: beside the cluster's data, to go with it.
        let kept = format!("TMPDIR={}", self.cluster.path("").display());
        let mut all = vec![kept, format!("{name}={value}"), self.program.display().to_string()];
        all.extend(words(line));
        self.cluster.run(Path::new("env"), &borrowed(&all), None)
    }

    /// Defines the kind Widget and waits until it is served.
    #[track_caller]
    pub(crate) fn define_widgets(&self) {
        self.ok(&format!("apply -f {}", client("widgets.yaml")));
        self.ok("wait --for=condition=Established crd/widgets.demo.example.com --timeout=20s").says("condition met");
    }

    fn run_words(&self, words: &[String], input: Option<&str>) -> Run {
        self.cluster.run(&self.program, &borrowed(words), input)
    }
}

fn borrowed(words: &[String]) -> Vec<&str> {
    words.iter().map(String::as_str).collect()
}

/// The words of a line as a shell splits it; single quotes keep blanks together.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![];
    let mut word: Option<String> = None;
    let mut quoted = false;
    for letter in line.chars() {
        match letter {
            '\'' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            ' ' if !quoted => words.extend(word.take()),
            _ => word.get_or_insert_default().push(letter),
        }
    }
    assert!(!quoted, "an open quote in {line:?}");
    words.extend(word);
    words
}

#[test]
fn a_typed_line_is_split_as_a_shell_does() {
    assert_eq!(words("patch wd x -p '{\"a\": 1}' ''"), ["patch", "wd", "x", "-p", "{\"a\": 1}", ""]);
    assert_eq!(words("get  wd -o=jsonpath='{.a b}'"), ["get", "wd", "-o=jsonpath={.a b}"]);
}
