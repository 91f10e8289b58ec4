//! All roles and bindings, arranged so that a question is answered by looking at what concerns its user only.

mod build;
mod role;

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use crate::attributes::{Attributes, User};
use crate::covers::together;
use crate::objects::{Binding, Role, RoleRef};
use crate::policy::{PolicyRule, combined};
use crate::tenancy::Tenant;
use role::CompiledRole;

/// What an index is made from. Shared: who makes an index anew keeps what has not changed.
#[derive(Clone, Debug, Default)]
pub struct Objects {
    /// Roles and ClusterRoles.
    pub roles: Vec<Arc<Role>>,
    /// RoleBindings and ClusterRoleBindings.
    pub bindings: Vec<Arc<Binding>>,
    /// Roles of `berth.dev`: members and what they may do.
    pub tenants: Vec<Arc<Tenant>>,
}

/// The answer to a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Whether it is allowed. What is not allowed here, another authorizer may still allow.
    pub allowed: bool,
    /// By which binding, or which roles could not be found; often "".
    pub reason: Cow<'static, str>,
}

/// What somebody may do in a namespace, or everywhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scoped {
    /// The rules, in the order of their bindings.
    pub rules: Vec<PolicyRule>,
    /// Bindings of roles that are not there.
    pub problems: Vec<String>,
}

/// A role that is not there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind}.rbac.authorization.k8s.io \"{name}\" not found")]
pub struct Missing {
    /// `role` or `clusterrole`.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
}

/// All roles and bindings, compiled.
#[derive(Default)]
pub struct Index {
    roles: Vec<CompiledRole>,
    /// By namespace ("" for ClusterRoles) and name.
    names: HashMap<Box<str>, HashMap<Box<str>, usize>>,
    /// What holds everywhere.
    cluster: Grants,
    /// What holds in one namespace.
    namespaces: HashMap<Box<str>, Grants>,
}

impl fmt::Debug for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Index({} roles, grants in {} namespaces)", self.roles.len(), self.namespaces.len())
    }
}

/// Who was given what, in one scope.
#[derive(Debug, Default)]
struct Grants {
    users: HashMap<Box<str>, Vec<Grant>>,
    groups: HashMap<Box<str>, Vec<Grant>>,
}

/// One role that somebody was given.
#[derive(Debug)]
struct Grant {
    role: Result<usize, Missing>,
    /// The words for an answer that rests on it.
    reason: Arc<str>,
}

impl Grants {
    fn of<'a>(&'a self, user: &'a User<'_>) -> impl Iterator<Item = &'a Grant> {
        let groups = user.groups.iter().filter_map(|group| self.groups.get(group.as_str()));
        self.users.get(user.name).into_iter().chain(groups).flatten()
    }
}

impl Index {
    /// Compiles the objects.
    pub fn new(objects: &Objects) -> Self {
        build::build(objects)
    }

    /// Whether the rules allow it, and by which binding.
    pub fn authorize(&self, user: &User<'_>, attributes: &Attributes<'_>) -> Decision {
        let (namespace, resource) = match attributes {
            Attributes::Resource(wanted) => (wanted.namespace, combined(wanted.resource, wanted.subresource)),
            Attributes::Path { .. } => ("", Cow::Borrowed("")),
        };
        let mut problems = Vec::new();
        for grant in self.scopes(namespace).flat_map(|grants| grants.of(user)) {
            match &grant.role {
                Ok(role) if self.roles[*role].allows(attributes, &resource) => {
                    return Decision { allowed: true, reason: Cow::Owned(grant.reason.to_string()) };
                }
                Ok(_) => {}
                Err(missing) => problems.push(missing.to_string()),
            }
        }
        if problems.is_empty() {
            return Decision { allowed: false, reason: Cow::Borrowed("") };
        }
        Decision { allowed: false, reason: Cow::Owned(format!("RBAC: {}", together(&problems))) }
    }

    /// All rules that hold for a user in a namespace; with "" those that hold everywhere.
    pub fn rules_for(&self, user: &User<'_>, namespace: &str) -> Scoped {
        let mut scoped = Scoped::default();
        for grant in self.scopes(namespace).flat_map(|grants| grants.of(user)) {
            match &grant.role {
                Ok(role) => scoped.rules.extend_from_slice(self.roles[*role].rules()),
                Err(missing) => scoped.problems.push(missing.to_string()),
            }
        }
        scoped
    }

    /// The rules of the role that a binding in this namespace ("" for a ClusterRoleBinding) names.
    ///
    /// # Errors
    /// When there is no such role.
    pub fn role_rules(&self, role: &RoleRef, namespace: &str) -> Result<&[PolicyRule], Missing> {
        self.find(role, namespace).map(|place| self.roles[place].rules())
    }

    fn find(&self, role: &RoleRef, namespace: &str) -> Result<usize, Missing> {
        let (kind, namespace) = if role.kind == "Role" { ("role", namespace) } else { ("clusterrole", "") };
        // A ClusterRoleBinding cannot name a Role: "" holds ClusterRoles.
        let place = match (kind, namespace) {
            ("role", "") => None,
            _ => self.names.get(namespace).and_then(|roles| roles.get(role.name.as_str())),
        };
        place.copied().ok_or_else(|| Missing { kind, name: role.name.clone() })
    }

    fn scopes(&self, namespace: &str) -> impl Iterator<Item = &Grants> {
        let local = if namespace.is_empty() { None } else { self.namespaces.get(namespace) };
        std::iter::once(&self.cluster).chain(local)
    }
}

#[cfg(test)]
mod tests;
