//! Values that only library functions make and read.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use crate::error::EvalError;
use crate::library::formats::NamedFormat;
use crate::library::quantity::Quantity;
use crate::library::semver::Semver;
use crate::library::url::Url;
use crate::types::opaque;

#[derive(Clone, Debug)]
pub enum Opaque<'a> {
    Quantity(Arc<Quantity>),
    Ip(Arc<IpAddr>),
    Cidr(Arc<Prefix>),
    Url(Arc<Url>),
    Semver(Arc<Semver>),
    Format(&'static NamedFormat),
    /// An authorizer or a check under construction.
    Check(Arc<Check<'a>>),
    Decision(Arc<Decision>),
}

/// An address and how many of its leading bits name the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix {
    pub address: IpAddr,
    pub bits: u8,
}

/// Decides whether somebody may do something; the caller hands it in (see [`crate::Activation`]).
pub trait Authorizer: Send + Sync {
    /// May be called twice by an expression at most: each call costs 350,000.
    fn check(&self, attributes: &Attributes) -> Decision;
}

/// What is asked of an [`Authorizer`]. Empty strings are absent parts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// Ask for this service account (namespace, name) in place of the user of the request.
    pub service_account: Option<(String, String)>,
    pub verb: String,
    /// False for checks of a path.
    pub resource_request: bool,
    pub path: String,
    pub group: String,
    pub resource: String,
    pub subresource: String,
    pub namespace: String,
    pub name: String,
    /// Unparsed; the version is always `*`.
    pub field_selector: String,
    pub label_selector: String,
}

/// An [`Authorizer`]'s answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decision {
    pub allowed: bool,
    pub reason: String,
    pub error: Option<String>,
}

/// How far a check is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckKind {
    Authorizer,
    Path,
    Group,
    Resource,
}

/// An authorizer with what has been said so far about the thing to check.
#[derive(Clone)]
pub struct Check<'a> {
    pub kind: CheckKind,
    pub attributes: Attributes,
    pub authorizer: &'a (dyn Authorizer + 'a),
}

impl<'a> Check<'a> {
    /// The value of the variable `authorizer`.
    #[must_use]
    pub fn authorizer(authorizer: &'a (dyn Authorizer + 'a)) -> Self {
        Self { kind: CheckKind::Authorizer, attributes: Attributes::default(), authorizer }
    }

    /// The value of the variable `authorizer.requestResource`: a check of what the request is about.
    #[must_use]
    pub fn resource(authorizer: &'a (dyn Authorizer + 'a), mut attributes: Attributes) -> Self {
        attributes.resource_request = true;
        Self { kind: CheckKind::Resource, attributes, authorizer }
    }
}

impl fmt::Debug for Check<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Check").field("kind", &self.kind).field("attributes", &self.attributes).finish_non_exhaustive()
    }
}

impl<'a> From<Check<'a>> for super::Value<'a> {
    fn from(check: Check<'a>) -> Self {
        Self::Opaque(Opaque::Check(Arc::new(check)))
    }
}

impl Opaque<'_> {
    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Self::Quantity(_) => opaque::QUANTITY,
            Self::Ip(_) => opaque::IP,
            Self::Cidr(_) => opaque::CIDR,
            Self::Url(_) => opaque::URL,
            Self::Semver(_) => opaque::SEMVER,
            Self::Format(_) => opaque::FORMAT,
            Self::Decision(_) => opaque::DECISION,
            Self::Check(check) => match check.kind {
                CheckKind::Authorizer => opaque::AUTHORIZER,
                CheckKind::Path => opaque::PATH_CHECK,
                CheckKind::Group => opaque::GROUP_CHECK,
                CheckKind::Resource => opaque::RESOURCE_CHECK,
            },
        }
    }

    /// Bytes of addresses and of networks' prefixes; 1 for all else.
    pub(crate) fn size(&self) -> u64 {
        match self {
            Self::Ip(address) if address.is_ipv4() => 4,
            Self::Ip(_) => 16,
            Self::Cidr(prefix) => u64::from(prefix.bits).div_ceil(8),
            _ => 1,
        }
    }

    /// # Errors
    /// Authorizers and checks cannot be compared, nor can values of different types.
    pub(crate) fn equal(&self, other: &Self) -> Result<bool, EvalError> {
        match (self, other) {
            (Self::Quantity(a), Self::Quantity(b)) => Ok(a.compare(b).is_eq()),
            (Self::Ip(a), Self::Ip(b)) => Ok(a == b),
            (Self::Cidr(a), Self::Cidr(b)) => Ok(a == b),
            (Self::Url(a), Self::Url(b)) => Ok(a.to_string() == b.to_string()),
            (Self::Semver(a), Self::Semver(b)) => Ok(a.compare(b).is_eq()),
            (Self::Format(a), Self::Format(b)) => Ok(a.name == b.name),
            (Self::Decision(a), Self::Decision(b)) => Ok(a == b),
            (Self::Check(a), Self::Check(b)) => Ok(a.kind == b.kind && a.attributes == b.attributes),
            _ => Err(EvalError::no_such_overload()),
        }
    }

    /// The text of values that have one.
    pub(crate) fn to_text(&self) -> Option<String> {
        match self {
            Self::Ip(address) => Some(address.to_string()),
            Self::Cidr(prefix) => Some(format!("{}/{}", prefix.address, prefix.bits)),
            Self::Url(url) => Some(url.to_string()),
            Self::Semver(version) => Some(version.to_string()),
            _ => None,
        }
    }
}
