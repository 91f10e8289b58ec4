//! The roles and bindings that every cluster has. Made at start, mended at every start (see
//! [`reconcile_role`](crate::reconcile_role)), and free to be widened.
//!
//! Names, labels and rules are Kubernetes' where it has them, for the kinds that are served here: charts and
//! operators bind `view`, `edit` and `admin`, and add their kinds to them by the aggregation labels.

mod people;
mod system;

use std::collections::BTreeMap;

use crate::objects::{Binding, Metadata, Role, RoleRef, Subject};
use crate::policy::PolicyRule;

/// Verbs that look.
const READ: &[&str] = &["get", "list", "watch"];
/// Verbs that change.
const WRITE: &[&str] = &["create", "update", "patch", "delete", "deletecollection"];
/// Both.
const READ_WRITE: &[&str] = &["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"];

/// Says that the server made it.
const LABEL_BOOTSTRAPPING: (&str, &str) = ("kubernetes.io/bootstrapping", "rbac-defaults");

/// The ClusterRoles. The aggregated ones come with the rules that the controller would gather, so that they hold from
/// the first request.
pub fn cluster_roles() -> Vec<Role> {
    let mut roles = [people::roles(), system::roles()].concat();
    // One round for each step of the chain: `admin` gathers `edit`, which gathers `view`, which gathers its parts.
    for _ in 0..3 {
        let all = roles.clone();
        for role in &mut roles {
            if let Some(rules) = crate::aggregate(role, &all) {
                role.rules = rules;
            }
        }
    }
    roles
}

/// The ClusterRoleBindings.
pub fn cluster_role_bindings() -> Vec<Binding> {
    let group = Subject::group;
    vec![
        binding("cluster-admin", "cluster-admin", &[group(crate::GROUP_MASTERS)]),
        // DC/OS's superusers: whoever the administrator puts into this group may do everything.
        binding("superusers", "superuser", &[group("superusers")]),
        binding("system:discovery", "system:discovery", &[group("system:authenticated")]),
        binding("system:basic-user", "system:basic-user", &[group("system:authenticated")]),
        binding(
            "system:public-info-viewer",
            "system:public-info-viewer",
            &[group("system:authenticated"), group("system:unauthenticated")],
        ),
        binding(
            "system:service-account-issuer-discovery",
            "system:service-account-issuer-discovery",
            &[group("system:serviceaccounts")],
        ),
        binding("system:monitoring", "system:monitoring", &[group("system:monitoring")]),
        binding("system:node-bootstrapper", "system:node-bootstrapper", &[group("system:bootstrappers")]),
        binding(
            "system:node-autoapprove-bootstrap",
            "system:certificates.k8s.io:certificatesigningrequests:nodeclient",
            &[group("system:bootstrappers")],
        ),
        binding(
            "system:node-autoapprove-certificate-rotation",
            "system:certificates.k8s.io:certificatesigningrequests:selfnodeclient",
            &[group("system:nodes")],
        ),
        binding("system:berth-controllers", "system:berth-controllers", &[group("system:controllers")]),
        // The node authorizer gives agents their rights; the role is for what is no agent and acts as one.
        binding("system:node", "system:node", &[]),
    ]
}

fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().chain([&LABEL_BOOTSTRAPPING]).map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn role(name: &str, rules: Vec<PolicyRule>) -> Role {
    let metadata = Metadata { name: name.to_owned(), labels: labels(&[]), ..Metadata::default() };
    Role { metadata, rules, aggregation_rule: None }
}

fn binding(name: &str, role: &str, subjects: &[Subject]) -> Binding {
    let metadata = Metadata { name: name.to_owned(), labels: labels(&[]), ..Metadata::default() };
    Binding { metadata, subjects: subjects.to_vec(), role_ref: RoleRef::cluster_role(role) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::covers;

    #[test]
    fn every_binding_names_a_role_that_is_there() {
        let roles = cluster_roles();
        for binding in cluster_role_bindings() {
            let is_there = roles.iter().any(|role| role.metadata.name == binding.role_ref.name);
            assert!(is_there, "{}", binding.metadata.name);
        }
    }

    #[test]
    fn who_edits_may_view_and_who_administers_may_edit() {
        let roles = cluster_roles();
        let rules = |name: &str| roles.iter().find(|r| r.metadata.name == name).unwrap().rules.clone();
        assert_eq!(covers(&rules("edit"), &rules("view")), []);
        assert_eq!(covers(&rules("admin"), &rules("edit")), []);
        assert_eq!(covers(&rules("cluster-admin"), &rules("admin")), []);
        let secrets = [PolicyRule::on("", &["secrets"], &["get"])];
        assert_eq!(covers(&rules("view"), &secrets), secrets);
        assert_eq!(covers(&rules("edit"), &secrets), []);
        let grants = [PolicyRule::on(crate::GROUP, &["rolebindings"], &["create"])];
        assert_eq!(covers(&rules("edit"), &grants), grants);
        assert_eq!(covers(&rules("admin"), &grants), []);
    }

    #[test]
    fn the_controllers_cannot_make_themselves_administrators() {
        let roles = cluster_roles();
        let own = &roles.iter().find(|r| r.metadata.name == "system:berth-controllers").unwrap().rules;
        for wanted in [
            PolicyRule::on(crate::GROUP, &["clusterrolebindings"], &["create"]),
            PolicyRule::on(crate::GROUP, &["clusterroles"], &["bind"]),
            PolicyRule::on("", &["users"], &["impersonate"]),
            PolicyRule::on("", &["serviceaccounts/token"], &["create"]),
            PolicyRule::on("", &["secrets"], &["create"]),
        ] {
            assert_eq!(covers(own, std::slice::from_ref(&wanted)).len(), 1, "{}", wanted.describe());
        }
    }
}
