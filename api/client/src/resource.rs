//! A kind as requests need it: its names and the paths of its objects.

/// One served kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// API group; empty for the core group.
    pub group: String,
    /// Version.
    pub version: String,
    /// Kind, CamelCase.
    pub kind: String,
    /// Plural, as it stands in paths.
    pub plural: String,
    /// Singular.
    pub singular: String,
    /// Short names.
    pub short_names: Vec<String>,
    /// Categories such as `all`.
    pub categories: Vec<String>,
    /// Whether objects live in a namespace.
    pub namespaced: bool,
    /// What may be done: get, list, watch, create, …
    pub verbs: Vec<String>,
}

impl Resource {
    /// `group/version`, or the version alone for the core group: what stands in `apiVersion`.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }

    /// `plural.group`, or the plural alone for the core group.
    pub fn full_name(&self) -> String {
        if self.group.is_empty() { self.plural.clone() } else { format!("{}.{}", self.plural, self.group) }
    }

    /// Path of the list, in one namespace or (with `None`) across all.
    pub fn list_path(&self, namespace: Option<&str>) -> String {
        let root = if self.group.is_empty() {
            format!("/api/{}", self.version)
        } else {
            format!("/apis/{}/{}", self.group, self.version)
        };
        match namespace.filter(|_| self.namespaced) {
            Some(namespace) => format!("{root}/namespaces/{}/{}", encode(namespace), self.plural),
            None => format!("{root}/{}", self.plural),
        }
    }

    /// Path of one object.
    pub fn path(&self, namespace: &str, name: &str) -> String {
        format!("{}/{}", self.list_path(Some(namespace)), encode(name))
    }
}

/// Escapes one path segment or query value (RFC 3986: unreserved characters stay).
pub fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push(char::from(b"0123456789ABCDEF"[usize::from(byte >> 4)]));
            out.push(char::from(b"0123456789ABCDEF"[usize::from(byte & 15)]));
        }
    }
    out
}

/// A query string from pairs; empty when there are none, else it starts with `?`.
pub fn query<K: AsRef<str>, V: AsRef<str>>(pairs: impl IntoIterator<Item = (K, V)>) -> String {
    let mut out = String::new();
    for (key, value) in pairs {
        out.push(if out.is_empty() { '?' } else { '&' });
        out.push_str(&encode(key.as_ref()));
        out.push('=');
        out.push_str(&encode(value.as_ref()));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_escaped() {
        let resource = Resource {
            group: "berth.dev".into(),
            version: "v1".into(),
            kind: "Task".into(),
            plural: "tasks".into(),
            singular: "task".into(),
            short_names: vec![],
            categories: vec![],
            namespaced: true,
            verbs: vec![],
        };
        assert_eq!(resource.path("default", "a/../b"), "/apis/berth.dev/v1/namespaces/default/tasks/a%2F..%2Fb");
        assert_eq!(resource.list_path(None), "/apis/berth.dev/v1/tasks");
        assert_eq!(query([("labelSelector", "a=b,c")]), "?labelSelector=a%3Db%2Cc");
    }
}
