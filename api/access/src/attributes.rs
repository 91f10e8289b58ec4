//! The question: who, and what they want to do.

/// Somebody, by name and groups. Borrowed: a question is asked for each request.
#[derive(Clone, Copy, Debug)]
pub struct User<'a> {
    /// `alice`, or `system:serviceaccount:NAMESPACE:NAME`.
    pub name: &'a str,
    /// Names of the groups.
    pub groups: &'a [String],
}

impl User<'_> {
    /// Whether the user is a member of the group.
    pub fn is_in(&self, group: &str) -> bool {
        self.groups.iter().any(|g| g == group)
    }
}

/// What somebody wants to do.
#[derive(Clone, Copy, Debug)]
pub enum Attributes<'a> {
    /// Something to a resource.
    Resource(Resource<'a>),
    /// Something to a path that is no resource.
    Path {
        /// The HTTP method in lower case.
        verb: &'a str,
        /// The path without its query.
        path: &'a str,
    },
}

/// What somebody wants to do to a resource. What is not known or not meant is "".
#[derive(Clone, Copy, Debug, Default)]
pub struct Resource<'a> {
    /// get, list, watch, create, update, patch, delete, deletecollection; use, bind, escalate, impersonate, …
    pub verb: &'a str,
    /// API group; "" is the core group.
    pub group: &'a str,
    /// Plural name of the kind.
    pub resource: &'a str,
    /// status, scale, log, …
    pub subresource: &'a str,
    /// Namespace; "" is all of them, or a kind without namespaces.
    pub namespace: &'a str,
    /// Name of the object.
    pub name: &'a str,
    /// What a list or watch was narrowed to.
    pub fields: &'a [FieldTerm<'a>],
}

/// One term of a field selector that demands equality.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldTerm<'a> {
    /// Dotted path, such as `spec.nodeName`.
    pub path: &'a str,
    /// The value that it must have.
    pub value: &'a str,
}

impl Attributes<'_> {
    /// The verb.
    pub fn verb(&self) -> &str {
        match self {
            Self::Resource(resource) => resource.verb,
            Self::Path { verb, .. } => verb,
        }
    }
}
