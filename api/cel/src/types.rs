//! The types of the language, as the checker knows them.

use std::fmt;
use std::sync::Arc;

/// A type. Cloning is cheap.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Type {
    /// Known at run time only.
    Dyn,
    /// The type of an expression that failed to check: agrees with everything, so one mistake is reported once.
    Error,
    Null,
    Bool,
    Int,
    Uint,
    Double,
    String,
    Bytes,
    Timestamp,
    Duration,
    List(Arc<Type>),
    Map(Arc<Type>, Arc<Type>),
    /// `optional_type(T)`.
    Optional(Arc<Type>),
    /// An object with declared fields (see [`crate::env::Env`]), by name.
    Object(Arc<str>),
    /// A type that only functions make and read; one of [`opaque`]'s names.
    Opaque(&'static str),
    /// The type of a type: `type(1)` is `type(int)`.
    Type(Arc<Type>),
    /// A parameter of a generic function, or a variable of the inference.
    Param(Arc<str>),
}

/// Names of the types of the Kubernetes libraries.
pub mod opaque {
    pub const QUANTITY: &str = "kubernetes.Quantity";
    pub const IP: &str = "net.IP";
    pub const CIDR: &str = "net.CIDR";
    pub const URL: &str = "kubernetes.URL";
    pub const SEMVER: &str = "kubernetes.Semver";
    pub const FORMAT: &str = "kubernetes.NamedFormat";
    pub const AUTHORIZER: &str = "kubernetes.authorization.Authorizer";
    pub const PATH_CHECK: &str = "kubernetes.authorization.PathCheck";
    pub const GROUP_CHECK: &str = "kubernetes.authorization.GroupCheck";
    pub const RESOURCE_CHECK: &str = "kubernetes.authorization.ResourceCheck";
    pub const DECISION: &str = "kubernetes.authorization.Decision";
}

impl Type {
    #[must_use]
    pub fn list(elem: Self) -> Self {
        Self::List(Arc::new(elem))
    }

    #[must_use]
    pub fn map(key: Self, value: Self) -> Self {
        Self::Map(Arc::new(key), Arc::new(value))
    }

    #[must_use]
    pub fn optional(value: Self) -> Self {
        Self::Optional(Arc::new(value))
    }

    #[must_use]
    pub fn type_of(value: Self) -> Self {
        Self::Type(Arc::new(value))
    }

    #[must_use]
    pub fn object(name: &str) -> Self {
        Self::Object(name.into())
    }

    #[must_use]
    pub fn param(name: &str) -> Self {
        Self::Param(name.into())
    }

    /// What `type(x)` prints and compares by: the name without parameters.
    #[must_use]
    pub fn runtime_name(&self) -> &str {
        match self {
            Self::Dyn | Self::Param(_) => "dyn",
            Self::Error => "error",
            Self::Null => "null_type",
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Uint => "uint",
            Self::Double => "double",
            Self::String => "string",
            Self::Bytes => "bytes",
            Self::Timestamp => "google.protobuf.Timestamp",
            Self::Duration => "google.protobuf.Duration",
            Self::List(_) => "list",
            Self::Map(..) => "map",
            Self::Optional(_) => "optional_type",
            Self::Object(name) => name,
            Self::Opaque(name) => name,
            Self::Type(_) => "type",
        }
    }
}

/// As the messages of the type checker print types: `map(string, list(int))`.
impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Error => f.write_str("!error!"),
            Self::Null => f.write_str("null"),
            Self::Timestamp => f.write_str("timestamp"),
            Self::Duration => f.write_str("duration"),
            Self::List(elem) => write!(f, "list({elem})"),
            Self::Map(key, value) => write!(f, "map({key}, {value})"),
            Self::Optional(value) => write!(f, "optional_type({value})"),
            Self::Type(of) => write!(f, "type({of})"),
            Self::Param(name) => f.write_str(name),
            other => f.write_str(other.runtime_name()),
        }
    }
}
