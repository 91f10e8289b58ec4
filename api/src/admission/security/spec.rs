//! What the checks share: walking the containers of a template, and the wording of their findings.

use std::collections::BTreeSet;

use serde_json::Value;

/// One rule that a template breaks: why, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    pub reason: String,
    pub detail: String,
}

impl Violation {
    pub(super) fn new(reason: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { reason: reason.into(), detail: detail.into() }
    }
}

/// A task's metadata and spec, or those of a template.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subject<'a> {
    pub metadata: &'a Value,
    pub spec: &'a Value,
}

impl<'a> Subject<'a> {
    /// Init containers first, as they run.
    pub(super) fn containers(self) -> impl Iterator<Item = &'a Value> {
        ["initContainers", "containers"]
            .into_iter()
            .flat_map(move |kind| self.spec[kind].as_array().into_iter().flatten())
    }

    /// A value of the task's securityContext; null when it is not given.
    pub(super) fn context(self, pointer: &str) -> &'a Value {
        self.spec["securityContext"].pointer(pointer).unwrap_or(&Value::Null)
    }

    pub(super) fn annotations(self) -> impl Iterator<Item = (&'a String, &'a str)> {
        let map = self.metadata["annotations"].as_object().into_iter().flatten();
        map.filter_map(|(key, value)| Some((key, value.as_str()?)))
    }

    /// The task has a user namespace of its own.
    pub(super) fn has_own_users(self) -> bool {
        self.spec["hostUsers"] == Value::Bool(false)
    }
}

/// A value of a container's securityContext; null when it is not given.
pub(super) fn context<'a>(container: &'a Value, pointer: &str) -> &'a Value {
    container["securityContext"].pointer(pointer).unwrap_or(&Value::Null)
}

pub(super) fn name(container: &Value) -> String {
    container["name"].as_str().unwrap_or_default().to_owned()
}

pub(super) fn quoted<T: AsRef<str>>(items: impl IntoIterator<Item = T>) -> String {
    items.into_iter().map(|item| format!("\"{}\"", item.as_ref())).collect::<Vec<_>>().join(", ")
}

pub(super) fn plural<'a>(one: &'a str, many: &'a str, count: usize) -> &'a str {
    if count == 1 { one } else { many }
}

/// `container "a"`, `containers "a", "b"`.
pub(super) fn containers(names: &[String]) -> String {
    format!("{} {}", plural("container", "containers", names.len()), quoted(names))
}

/// Who sets something bad: the task as a whole (`pod`), its containers, or both; and the bad values.
#[derive(Debug, Default)]
pub(super) struct Setters {
    pod: bool,
    containers: Vec<String>,
    pub values: BTreeSet<String>,
}

impl Setters {
    /// Looks at one place of the task's securityContext and of each container's.
    pub(super) fn find(subject: Subject<'_>, pointer: &str, is_bad: impl Fn(&Value) -> bool) -> Self {
        let mut found = Self::default();
        let mut note = |value: &Value| found.values.insert(value.as_str().unwrap_or_default().to_owned());
        let on_pod = subject.context(pointer);
        let pod = !on_pod.is_null() && is_bad(on_pod);
        if pod {
            note(on_pod);
        }
        let mut containers = Vec::new();
        for container in subject.containers() {
            let value = context(container, pointer);
            if !value.is_null() && is_bad(value) {
                note(value);
                containers.push(name(container));
            }
        }
        Self { pod, containers, ..found }
    }

    pub(super) fn any(&self) -> bool {
        self.pod || !self.containers.is_empty()
    }

    /// `pod and container "a"`.
    pub(super) fn parts(&self) -> Vec<String> {
        let pod = self.pod.then(|| "pod".to_owned());
        let named = (!self.containers.is_empty()).then(|| containers(&self.containers));
        pod.into_iter().chain(named).collect()
    }
}
