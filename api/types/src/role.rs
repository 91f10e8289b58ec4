//! Role: who resources are shared among, and who may do what in a tenant's namespaces. Was Mesos's role and DC/OS's
//! permissions.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::resources::ResourceList;

/// A tenant: its weight says how big its fair share is, its quota what it is sure of and limited to, its members who
/// may do what in its namespaces.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "berth.dev",
    version = "v1",
    kind = "Role",
    plural = "roles",
    singular = "role",
    category = "berth",
    status = "RoleStatus",
    derive = "PartialEq",
    printcolumn(name = "Weight", type_ = "integer", json_path = ".spec.weight"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct RoleSpec {
    /// Size of the fair share against other roles'.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub weight: i64,
    /// The most that the role's tasks may hold together, by resource.
    #[serde(default, skip_serializing_if = "ResourceList::is_empty")]
    pub limits: ResourceList,
    /// Where the members' rights hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1000), inner(length(min = 1, max = 63)), extend("x-kubernetes-list-type" = "set"))]
    pub namespaces: Vec<String>,
    /// Who belongs to the role, and how much each may do in its namespaces.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1000))]
    pub members: Vec<RoleMember>,
    /// What every member may do in the role's namespaces besides.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub permissions: Vec<RolePermission>,
}

/// One who belongs to a role.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RoleMember {
    /// User, Group or ServiceAccount.
    #[serde(default)]
    pub kind: RoleMemberKind,
    /// Name of the user, group or service account.
    #[schemars(length(min = 1, max = 1024))]
    pub name: String,
    /// Namespace of a service account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// read: the cluster role view in each of the role's namespaces. write: edit. full: admin, who may give rights on.
    #[serde(default)]
    pub access: RoleAccess,
}

/// What a member is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RoleMemberKind {
    /// Somebody, by name.
    #[default]
    User,
    /// All of a group.
    Group,
    /// A service account.
    ServiceAccount,
}

/// How much a member may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum RoleAccess {
    /// Look, but not at secrets.
    #[default]
    Read,
    /// Change what runs.
    Write,
    /// The same, and give rights on.
    Full,
}

/// One thing that all members may do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RolePermission {
    /// API group of the resources; berth.dev unless told, "" for the core group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Plural names: services, tasks/exec, * for all of the group.
    #[schemars(length(min = 1, max = 100))]
    pub resources: Vec<String>,
    /// create, read (get, list, watch), update (and patch), delete (and deletecollection) or full (every verb).
    #[schemars(length(min = 1, max = 5))]
    pub actions: Vec<RoleAction>,
    /// Only objects of these names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub names: Vec<String>,
}

/// What may be done, in DC/OS's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum RoleAction {
    Create,
    Read,
    Update,
    Delete,
    Full,
}

fn one() -> i64 {
    1
}

/// What the allocator last saw.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RoleStatus {
    /// What the role's bound tasks hold.
    #[serde(default, skip_serializing_if = "ResourceList::is_empty")]
    pub allocated: ResourceList,
}
