//! The roles and bindings in force: compiled from what the caches hold, and compiled anew when that changes.

use std::sync::Arc;

use berth_access::{Attributes, Binding, Decision, Index, Objects, Role, Scoped, Tenant, User};
use berth_store::cache::Snapshot;
use serde::de::DeserializeOwned;

use crate::derived::{Derived, Sources};
use crate::registry::Rows;

/// The group of the four kinds.
const GROUP: &str = berth_access::GROUP;

const RBAC: Sources =
    &[(GROUP, "roles"), (GROUP, "clusterroles"), (GROUP, "rolebindings"), (GROUP, "clusterrolebindings")];
/// Apart from the others: what Roles of ours hold is written every other second, and there are few of them.
const TENANTS: Sources = &[(GROUP, "clusterroles"), (berth_types::GROUP, "roles")];

/// Who may do what.
#[derive(Debug)]
pub(crate) struct Access {
    rbac: Derived<Index>,
    tenants: Derived<Index>,
}

impl Default for Access {
    fn default() -> Self {
        Self { rbac: Derived::new(RBAC, rbac), tenants: Derived::new(TENANTS, tenants) }
    }
}

impl Access {
    /// What roles and bindings say, and then the members of our Roles.
    pub(super) fn authorize(&self, rows: &Rows, user: &User<'_>, attributes: &Attributes<'_>) -> Decision {
        let decision = self.rbac.get(rows).authorize(user, attributes);
        if decision.allowed {
            return decision;
        }
        let as_member = self.tenants.get(rows).authorize(user, attributes);
        if as_member.allowed || decision.reason.is_empty() { as_member } else { decision }
    }

    /// All rules that hold for a user in a namespace ("": everywhere).
    pub(super) fn rules_for(&self, rows: &Rows, user: &User<'_>, namespace: &str) -> Scoped {
        let mut scoped = self.rbac.get(rows).rules_for(user, namespace);
        let more = self.tenants.get(rows).rules_for(user, namespace);
        scoped.rules.extend(more.rules);
        scoped.problems.extend(more.problems);
        scoped
    }

    /// Roles and bindings, to ask what a role holds.
    pub(super) fn index(&self, rows: &Rows) -> Arc<Index> {
        self.rbac.get(rows)
    }
}

fn rbac(snapshots: &[Snapshot]) -> Index {
    let [roles, cluster_roles, bindings, cluster_bindings] = snapshots else { return Index::default() };
    Index::new(&Objects {
        roles: [all::<Role>(roles), all(cluster_roles)].concat(),
        bindings: [all::<Binding>(bindings), all(cluster_bindings)].concat(),
        tenants: Vec::new(),
    })
}

fn tenants(snapshots: &[Snapshot]) -> Index {
    let [cluster_roles, tenants] = snapshots else { return Index::default() };
    let tenants: Vec<Arc<Tenant>> = all(tenants);
    if tenants.iter().all(|tenant| tenant.spec.members.is_empty()) {
        return Index::default();
    }
    Index::new(&Objects { roles: all(cluster_roles), bindings: Vec::new(), tenants })
}

/// The objects of a snapshot. One that cannot be read gives nobody anything.
pub(super) fn all<T: DeserializeOwned>(snapshot: &Snapshot) -> Vec<Arc<T>> {
    let read = |entry: &berth_store::cache::Entry| match serde_json::from_slice::<T>(&entry.json()) {
        Ok(object) => Some(Arc::new(object)),
        Err(error) => {
            tracing::warn!(key = %entry.kv().key, %error, "a role or binding cannot be read and gives nothing");
            None
        }
    };
    snapshot.iter().filter_map(read).collect()
}
