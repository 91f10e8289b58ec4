//! Making an index from objects.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::role::CompiledRole;
use super::{Grant, Grants, Index, Missing, Objects};
use crate::objects::{Binding, Subject};
use crate::policy::quoted;
use crate::tenancy::{Gives, Tenant};

pub(super) fn build(objects: &Objects) -> Index {
    let mut index = Index::default();
    for role in &objects.roles {
        let place = index.roles.len();
        index.roles.push(CompiledRole::new(&role.rules));
        let names = index.names.entry(role.metadata.namespace.as_str().into()).or_default();
        names.insert(role.metadata.name.as_str().into(), place);
    }
    let mut scopes: HashMap<&str, Gathered> = HashMap::new();
    for binding in &objects.bindings {
        let namespace = binding.metadata.namespace.as_str();
        let role = index.find(&binding.role_ref, namespace);
        scopes.entry(namespace).or_default().bind(binding, &role);
    }
    for tenant in &objects.tenants {
        add_tenant(&mut index, &mut scopes, tenant);
    }
    for (namespace, gathered) in scopes {
        let grants = gathered.grants;
        if namespace.is_empty() {
            index.cluster = grants;
        } else {
            index.namespaces.insert(namespace.into(), grants);
        }
    }
    index
}

fn add_tenant<'a>(index: &mut Index, scopes: &mut HashMap<&'a str, Gathered>, tenant: &'a Tenant) {
    for given in tenant.grants() {
        let (role, of) = match given.gives {
            Gives::Role(role) => (index.find(&role, ""), format!(" of ClusterRole {}", quoted(&role.name))),
            Gives::Rules(rules) => {
                index.roles.push(CompiledRole::new(&rules));
                (Ok(index.roles.len() - 1), String::new())
            }
        };
        let scope = scopes.entry(given.namespace).or_default();
        for subject in &given.subjects {
            let name = quoted(&tenant.metadata.name);
            let reason = format!("RBAC: allowed by Role.berth.dev {name}{of} to {}", described(subject, ""));
            scope.give(subject, "", &role, || reason.as_str().into());
        }
    }
}

/// The grants of one scope while they are put together.
#[derive(Default)]
struct Gathered {
    grants: Grants,
    /// Who has which role already: somebody who is given a role twice is asked about once.
    seen: HashSet<(bool, String, Result<usize, String>)>,
}

impl Gathered {
    fn bind(&mut self, binding: &Binding, role: &Result<usize, Missing>) {
        let namespace = &binding.metadata.namespace;
        for subject in &binding.subjects {
            self.give(subject, namespace, role, || {
                let (kind, name) = match namespace.as_str() {
                    "" => ("ClusterRoleBinding", binding.metadata.name.clone()),
                    namespace => ("RoleBinding", format!("{}/{namespace}", binding.metadata.name)),
                };
                let reason = format!(
                    "RBAC: allowed by {kind} {} of {} {} to {}",
                    quoted(&name),
                    binding.role_ref.kind,
                    quoted(&binding.role_ref.name),
                    described(subject, namespace)
                );
                reason.into()
            });
        }
    }

    fn give(
        &mut self,
        subject: &Subject,
        namespace: &str,
        role: &Result<usize, Missing>,
        reason: impl FnOnce() -> Arc<str>,
    ) {
        let is_group = subject.kind == "Group";
        let name = match subject.kind.as_str() {
            "User" | "Group" => subject.name.clone(),
            "ServiceAccount" => match (subject.namespace.as_str(), namespace) {
                ("", "") => return,
                ("", namespace) | (namespace, _) => format!("system:serviceaccount:{namespace}:{}", subject.name),
            },
            _ => return,
        };
        let key = (is_group, name.clone(), role.clone().map_err(|missing| missing.to_string()));
        if !self.seen.insert(key) {
            return;
        }
        let table = if is_group { &mut self.grants.groups } else { &mut self.grants.users };
        table.entry(name.into()).or_default().push(Grant { role: role.clone(), reason: reason() });
    }
}

/// As upstream names a subject in its reasons: a service account by name and namespace, in this order.
fn described(subject: &Subject, namespace: &str) -> String {
    if subject.kind != "ServiceAccount" {
        return format!("{} {}", subject.kind, quoted(&subject.name));
    }
    let namespace = if subject.namespace.is_empty() { namespace } else { &subject.namespace };
    format!("{} {}", subject.kind, quoted(&format!("{}/{namespace}", subject.name)))
}
