//! The short way to access: the members of a Role of `berth.dev`, and what they may do.
//!
//! A Role of `berth.dev` says how big a tenant's share is; it can also say who the tenant is. DC/OS had permissions
//! as a resource and an action each (`dcos:service:marathon:marathon:services:/shop read`); here:
//!
//! | in the Role | means |
//! |---|---|
//! | a member with `access: read` | the ClusterRole `view` in each of `namespaces` |
//! | `access: write` | the ClusterRole `edit` there |
//! | `access: full` | the ClusterRole `admin` there: may also give rights on, within these namespaces |
//! | `permissions` | the same rules for every member, in each of `namespaces` |
//! | being a member | `get` of this one Role |
//!
//! Actions are DC/OS's: `create` is create, `read` is get, list and watch, `update` is update and patch, `delete` is
//! delete and deletecollection, `full` is every verb. Rights follow namespaces, not the `role` field of tasks: a rule
//! cannot look into objects. A ClusterRole that aggregates to `view`, `edit` or `admin` (a plugin's kinds) counts for
//! members at once.

use serde::{Deserialize, Serialize};

use crate::objects::{Metadata, RoleRef, Subject};
use crate::policy::{ALL, PolicyRule, null_is_empty};

/// The group of our own kinds.
const BERTH: &str = "berth.dev";

/// A Role of `berth.dev`, as far as it is about access.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Tenant {
    /// Its name.
    #[serde(default)]
    pub metadata: Metadata,
    /// Who may do what where.
    #[serde(default)]
    pub spec: TenantSpec,
}

/// Who may do what where.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct TenantSpec {
    /// Where the members' rights hold.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub namespaces: Vec<String>,
    /// Who belongs to it.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub members: Vec<Member>,
    /// What all members may do besides.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub permissions: Vec<Permission>,
}

/// One who belongs to it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Member {
    /// What it is.
    #[serde(default)]
    pub kind: MemberKind,
    /// Its name.
    pub name: String,
    /// Namespace of a service account.
    #[serde(default)]
    pub namespace: Option<String>,
    /// What it may do.
    #[serde(default)]
    pub access: Access,
}

/// What a member is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub enum MemberKind {
    /// Somebody, by name.
    #[default]
    User,
    /// All of a group.
    Group,
    /// A service account.
    ServiceAccount,
}

/// How much a member may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Access {
    /// Look, but not at secrets.
    #[default]
    Read,
    /// Change what runs.
    Write,
    /// The same, and give rights on.
    Full,
}

/// One thing that all members may do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Permission {
    /// API group of the resources; our own unless told.
    #[serde(default)]
    pub group: Option<String>,
    /// Plural names: `services`, `tasks/exec`, `*`.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub resources: Vec<String>,
    /// create, read, update, delete or full.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub actions: Vec<String>,
    /// Only objects of these names.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub names: Vec<String>,
}

/// Something that members are given in one scope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given<'a> {
    /// Where; "" is everywhere.
    pub namespace: &'a str,
    /// Who.
    pub subjects: Vec<Subject>,
    /// What.
    pub gives: Gives,
}

/// A role, or rules of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gives {
    /// A ClusterRole.
    Role(RoleRef),
    /// Rules.
    Rules(Vec<PolicyRule>),
}

impl Access {
    /// The ClusterRole that it stands for.
    pub fn cluster_role(self) -> &'static str {
        match self {
            Self::Read => "view",
            Self::Write => "edit",
            Self::Full => "admin",
        }
    }
}

impl Member {
    fn subject(&self) -> Subject {
        match self.kind {
            MemberKind::User => Subject::user(&self.name),
            MemberKind::Group => Subject::group(&self.name),
            MemberKind::ServiceAccount => {
                Subject::service_account(self.namespace.as_deref().unwrap_or_default(), &self.name)
            }
        }
    }
}

impl Permission {
    /// The rule that it stands for; an action that is not known gives nothing.
    pub fn rule(&self) -> PolicyRule {
        let mut verbs: Vec<String> = Vec::new();
        for action in &self.actions {
            let more: &[&str] = match action.as_str() {
                "create" => &["create"],
                "read" => &["get", "list", "watch"],
                "update" => &["update", "patch"],
                "delete" => &["delete", "deletecollection"],
                "full" => &[ALL],
                _ => &[],
            };
            verbs.extend(more.iter().map(|verb| (*verb).to_owned()));
        }
        PolicyRule {
            verbs,
            api_groups: vec![self.group.clone().unwrap_or_else(|| BERTH.to_owned())],
            resources: self.resources.clone(),
            resource_names: self.names.clone(),
            ..PolicyRule::default()
        }
    }
}

impl Tenant {
    /// All that its members are given.
    pub fn grants(&self) -> Vec<Given<'_>> {
        let spec = &self.spec;
        if spec.members.is_empty() {
            return Vec::new();
        }
        let everybody: Vec<Subject> = spec.members.iter().map(Member::subject).collect();
        let itself = PolicyRule::on(BERTH, &["roles"], &["get"]).named(&[&self.metadata.name]);
        let mut all = vec![Given { namespace: "", subjects: everybody.clone(), gives: Gives::Rules(vec![itself]) }];
        let rules: Vec<PolicyRule> = spec.permissions.iter().map(Permission::rule).collect();
        for namespace in spec.namespaces.iter().filter(|namespace| !namespace.is_empty()) {
            for access in [Access::Read, Access::Write, Access::Full] {
                let subjects: Vec<Subject> =
                    spec.members.iter().filter(|member| member.access == access).map(Member::subject).collect();
                if !subjects.is_empty() {
                    let gives = Gives::Role(RoleRef::cluster_role(access.cluster_role()));
                    all.push(Given { namespace, subjects, gives });
                }
            }
            if !rules.is_empty() {
                all.push(Given { namespace, subjects: everybody.clone(), gives: Gives::Rules(rules.clone()) });
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::attributes::{Attributes, Resource, User};
    use crate::index::{Index, Objects};
    use crate::objects::Role;

    fn tenant() -> Tenant {
        serde_json::from_str(
            r#"{"metadata":{"name":"eng"},"spec":{"weight":2,"namespaces":["shop"],
              "members":[{"name":"ann","access":"write"},{"kind":"Group","name":"devs"}],
              "permissions":[{"resources":["tasks/exec"],"actions":["create","read"]}]}}"#,
        )
        .unwrap()
    }

    #[test]
    fn members_get_roles_in_the_tenants_namespaces() {
        let named = |name: &str, verb: &str| {
            let rules = vec![PolicyRule::on(BERTH, &["services"], &[verb])];
            Arc::new(Role { metadata: Metadata { name: name.into(), ..Metadata::default() }, rules, ..Role::default() })
        };
        let index = Index::new(&Objects {
            roles: vec![named("view", "get"), named("edit", "update")],
            bindings: vec![],
            tenants: vec![Arc::new(tenant())],
        });
        let ann = User { name: "ann", groups: &[] };
        let groups = ["devs".to_owned()];
        let bob = User { name: "bob", groups: &groups };
        let ask = |verb, resource, subresource, namespace, name| {
            Attributes::Resource(Resource { verb, group: BERTH, resource, subresource, namespace, name, fields: &[] })
        };
        let decision = index.authorize(&ann, &ask("update", "services", "", "shop", "web"));
        assert_eq!(decision.reason, r#"RBAC: allowed by Role.berth.dev "eng" of ClusterRole "edit" to User "ann""#);
        assert!(!index.authorize(&ann, &ask("update", "services", "", "other", "web")).allowed);
        assert!(index.authorize(&bob, &ask("get", "services", "", "shop", "web")).allowed);
        assert!(!index.authorize(&bob, &ask("update", "services", "", "shop", "web")).allowed);
        let decision = index.authorize(&bob, &ask("create", "tasks", "exec", "shop", "t"));
        assert_eq!(decision.reason, r#"RBAC: allowed by Role.berth.dev "eng" to Group "devs""#);
        assert!(index.authorize(&bob, &ask("get", "roles", "", "", "eng")).allowed);
        assert!(!index.authorize(&bob, &ask("get", "roles", "", "", "other")).allowed);
    }

    #[test]
    fn actions_are_verbs() {
        let permission =
            |action: &str| Permission { actions: vec![action.into()], ..Permission::default() }.rule().verbs;
        assert_eq!(permission("read"), ["get", "list", "watch"]);
        assert_eq!(permission("delete"), ["delete", "deletecollection"]);
        assert_eq!(permission("full"), ["*"]);
        assert!(permission("fly").is_empty());
    }
}
