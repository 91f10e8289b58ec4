//! Manifests: objects in YAML or JSON, from files, directories or standard input, with a line for every field.

pub(crate) mod path;
pub(crate) mod scalar;
mod source;
pub(crate) mod yaml;

use std::fmt;

use serde_json::Value;

use crate::failure::{Failure, exit};
use crate::term::Term;
use yaml::{Content, Node};

pub(crate) use source::Files;

/// One object, and where it was written.
#[derive(Clone, Debug)]
pub(crate) struct Document {
    /// File, or `<stdin>`.
    pub(crate) file: String,
    /// The object.
    pub(crate) object: Value,
    root: Node,
}

/// One thing that is wrong in a manifest.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Problem {
    pub(crate) file: String,
    pub(crate) line: usize,
    /// Path of the field; empty when it is about the whole file.
    pub(crate) field: String,
    pub(crate) message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        if !self.field.is_empty() {
            write!(f, ": {}", self.field)?;
        }
        write!(f, ": {}", self.message)
    }
}

impl Document {
    pub(crate) fn kind(&self) -> &str {
        self.object["kind"].as_str().unwrap_or_default()
    }

    pub(crate) fn api_version(&self) -> &str {
        self.object["apiVersion"].as_str().unwrap_or_default()
    }

    pub(crate) fn name(&self) -> &str {
        self.object["metadata"]["name"].as_str().unwrap_or_default()
    }

    pub(crate) fn namespace(&self) -> Option<&str> {
        self.object["metadata"]["namespace"].as_str().filter(|n| !n.is_empty())
    }

    /// A problem at a field of this object.
    pub(crate) fn problem(&self, field: &str, message: impl Into<String>) -> Problem {
        let field = field.trim_start_matches('.');
        Problem {
            file: self.file.clone(),
            line: path::line_of(&self.root, field),
            field: field.to_owned(),
            message: message.into(),
        }
    }

    /// What every object must have before the server can be asked about it.
    fn check(&self, problems: &mut Vec<Problem>) {
        let metadata = &self.object["metadata"];
        let named = !self.name().is_empty() || metadata["generateName"].as_str().is_some_and(|n| !n.is_empty());
        let demands = [
            ("apiVersion", !self.api_version().is_empty(), "required, such as berth.dev/v1"),
            ("kind", !self.kind().is_empty(), "required, such as Service"),
            ("metadata.name", named, "required"),
        ];
        for (field, met, message) in demands {
            if !met {
                problems.push(self.problem(field, message));
            }
        }
    }
}

/// Reads the text of one file. Each object of a `List` becomes a document of its own.
pub(crate) fn read(file: &str, text: &str, problems: &mut Vec<Problem>) -> Vec<Document> {
    let roots = match yaml::parse(text) {
        Ok(roots) => roots,
        Err(error) => {
            problems.push(Problem {
                file: file.to_owned(),
                line: error.line,
                field: String::new(),
                message: error.message,
            });
            return vec![];
        }
    };
    let mut documents = Vec::new();
    for root in roots {
        let Content::Map(entries) = &root.content else {
            let message = "not an object: a manifest is a map with apiVersion, kind, metadata and spec".to_owned();
            problems.push(Problem { file: file.to_owned(), line: root.line, field: String::new(), message });
            continue;
        };
        let field = |name: &str| entries.iter().find(|(k, _, _)| k == name).map(|(_, _, v)| &v.content);
        let is_list = matches!(field("kind"), Some(Content::Scalar(Value::String(kind))) if kind.ends_with("List"));
        let items = match field("items") {
            Some(Content::List(items)) if is_list => items.clone(),
            _ => vec![root],
        };
        for root in items {
            let document = Document { file: file.to_owned(), object: root.to_value(), root };
            document.check(problems);
            documents.push(document);
        }
    }
    documents
}

/// Prints problems in the order of the files, and gives the failure to end with.
pub(crate) fn report(term: &mut Term, mut problems: Vec<Problem>) -> Failure {
    problems.sort();
    problems.dedup();
    for problem in &problems {
        let text = format!("{} {problem}", term.paint_err(crate::term::Paint::Bad, "error:"));
        term.say(&text);
    }
    term.say("nothing was changed");
    Failure::silent(exit::ERROR)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_problems_of_a_file_are_told_at_once() {
        let mut problems = vec![];
        read("f.yaml", "kind: Service\nspec: {}\n---\napiVersion: v1\nmetadata: {name: a}\n---\n- 1\n", &mut problems);
        let text: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(
            text,
            [
                "f.yaml:1: apiVersion: required, such as berth.dev/v1",
                "f.yaml:1: metadata.name: required",
                "f.yaml:4: kind: required, such as Service",
                "f.yaml:7: not an object: a manifest is a map with apiVersion, kind, metadata and spec",
            ]
        );
    }

    #[test]
    fn lists_are_opened() {
        let text = "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: ConfigMap\n  metadata: {name: a}\n  data:\n    x: 1\n";
        let mut problems = vec![];
        let documents = read("f.yaml", text, &mut problems);
        assert_eq!(problems, []);
        assert_eq!(documents[0].name(), "a");
        assert_eq!(documents[0].problem(".data.x", "wrong").to_string(), "f.yaml:8: data.x: wrong");
    }
}
