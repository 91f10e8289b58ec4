//! What a request asks for, read from its method, path and query before anything else looks at it.

mod info;
mod options;
mod path;
mod query;
mod token;

pub(crate) use info::RequestInfo;
pub(crate) use options::parse_revision;
pub(crate) use options::{
    DeleteOptions, FieldValidation, ListOptions, Preconditions, Propagation, RevisionMatch, WriteOptions,
};
pub(crate) use path::{ResourcePath, Target, parse_path};
pub(crate) use query::Query;
pub(crate) use token::ContinueToken;

/// What is done to a resource: also the authorization verb and the metrics label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Verb {
    Get,
    List,
    Watch,
    Create,
    Update,
    Patch,
    Delete,
    DeleteCollection,
}

impl Verb {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Watch => "watch",
            Self::Create => "create",
            Self::Update => "update",
            Self::Patch => "patch",
            Self::Delete => "delete",
            Self::DeleteCollection => "deletecollection",
        }
    }

    /// The verb of a method on a resource path, or `None` when the method is none of ours.
    pub(crate) fn of(method: &http::Method, path: &ResourcePath, watch: bool) -> Option<Self> {
        let named = path.name.is_some();
        Some(match method.as_str() {
            "GET" | "HEAD" if named => Self::Get,
            "GET" | "HEAD" if watch => Self::Watch,
            "GET" | "HEAD" => Self::List,
            "POST" => Self::Create,
            "PUT" => Self::Update,
            "PATCH" => Self::Patch,
            "DELETE" if named => Self::Delete,
            "DELETE" => Self::DeleteCollection,
            _ => return None,
        })
    }
}
