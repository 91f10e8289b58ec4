//! What a request does, in the words of authorization, audit and fairness.

use super::{Query, ResourcePath, Verb};

/// The facts of one request, known before its body is read.
#[derive(Clone, Debug)]
pub(crate) struct RequestInfo<'a> {
    /// `get`, `list`, `watch`, `create`, …; for paths that are no resources the method in lower case.
    pub verb: &'a str,
    /// The path as it came, without a trailing slash.
    pub path: &'a str,
    /// `None` for what is no resource.
    pub resource: Option<&'a ResourcePath>,
    /// The object's name: from the path, or from a field selector that asks for exactly one name.
    pub name: &'a str,
    /// As it came; empty when there is none.
    pub label_selector: &'a str,
    pub field_selector: &'a str,
}

/// Subresources that go on for as long as the client wants.
const LONG_RUNNING: &[&str] = &["log", "exec", "attach", "proxy", "portforward"];

impl<'a> RequestInfo<'a> {
    /// Of a request for a resource.
    pub(crate) fn of_resource(path_text: &'a str, verb: Verb, path: &'a ResourcePath, query: &'a Query) -> Self {
        let field_selector = query.get("fieldSelector").unwrap_or_default();
        let named =
            || only_name(field_selector).filter(|_| matches!(verb, Verb::List | Verb::Watch | Verb::DeleteCollection));
        Self {
            verb: verb.as_str(),
            path: path_text,
            resource: Some(path),
            name: path.name.as_deref().or_else(named).unwrap_or_default(),
            label_selector: query.get("labelSelector").unwrap_or_default(),
            field_selector,
        }
    }

    /// Of a request for anything else. `verb` is the method in lower case.
    pub(crate) fn of_path(path: &'a str, verb: &'a str) -> Self {
        Self { verb, path, resource: None, name: "", label_selector: "", field_selector: "" }
    }

    /// Empty for the core group, and for what is no resource.
    pub(crate) fn group(&self) -> &'a str {
        self.resource.map_or("", |path| path.group.as_str())
    }

    /// The plural name.
    pub(crate) fn plural(&self) -> &'a str {
        self.resource.map_or("", |path| path.plural.as_str())
    }

    pub(crate) fn subresource(&self) -> &'a str {
        self.resource.and_then(|path| path.subresource.as_deref()).unwrap_or_default()
    }

    /// Empty for what lies in no namespace, and for requests over all of them.
    pub(crate) fn namespace(&self) -> &'a str {
        self.resource.and_then(|path| path.namespace.as_deref()).unwrap_or_default()
    }

    /// Streams: they have no time limit, and hold no seat once they have begun.
    pub(crate) fn is_long_running(&self) -> bool {
        self.resource.is_some() && (self.verb == "watch" || LONG_RUNNING.contains(&self.subresource()))
    }
}

/// The name that a field selector asks for, when it asks for exactly one.
fn only_name(selector: &str) -> Option<&str> {
    if selector.contains('\\') {
        // With escapes a comma need not end a term: a name that is not surely asked for names nothing.
        return None;
    }
    let mut names = selector.split(',').filter_map(|term| {
        let (field, value) = term.split_once('=')?;
        let value = value.strip_prefix('=').unwrap_or(value);
        (field == "metadata.name" && !value.is_empty()).then_some(value)
    });
    names.next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selector_of_one_name_names_the_object() {
        assert_eq!(only_name("metadata.name=a"), Some("a"));
        assert_eq!(only_name("spec.x=1,metadata.name==b"), Some("b"));
        assert_eq!(only_name("metadata.name!=a"), None);
        assert_eq!(only_name(""), None);
        assert_eq!(only_name("metadata.namespace!=x\\,metadata.name=a"), None, "one term, whose value has a comma");
    }

    #[test]
    fn streams_are_long_running() {
        let path = ResourcePath { plural: "tasks".into(), subresource: Some("log".into()), ..ResourcePath::default() };
        let query = Query::default();
        assert!(RequestInfo::of_resource("/x", Verb::Get, &path, &query).is_long_running());
        let path = ResourcePath { plural: "tasks".into(), ..ResourcePath::default() };
        assert!(RequestInfo::of_resource("/x", Verb::Watch, &path, &query).is_long_running());
        assert!(!RequestInfo::of_resource("/x", Verb::List, &path, &query).is_long_running());
    }
}
