//! What somebody may do: role-based rules, escalation checks, the node's rules, and the roles that every cluster has.
//!
//! Pure: no clock, no I/O, no store. The API server hands in the objects and the question; an answer about ten
//! thousand bindings takes about a microsecond, because [`Index`] is made once for each change of the objects.
//!
//! The rules are Kubernetes' (RBAC, the node authorizer and the `NodeRestriction` admission of kube-apiserver 1.36);
//! so are the words of the answers, which people search for.

mod aggregate;
mod attributes;
mod covers;
pub mod defaults;
mod index;
pub mod node;
mod objects;
mod policy;
mod reconcile;
mod tenancy;

pub use aggregate::aggregate;
pub use attributes::{Attributes, FieldTerm, Resource, User};
pub use covers::{compact, covers, escalation_message, full_authority};
pub use index::{Decision, Index, Missing, Objects, Scoped};
pub use objects::{
    AggregationRule, Binding, LabelSelector, LabelSelectorRequirement, Metadata, Role, RoleRef, Subject,
};
pub use policy::{PolicyRule, quoted};
pub use reconcile::{Step, reconcile_binding, reconcile_role};
pub use tenancy::{Access, Given, Gives, Member, MemberKind, Permission, Tenant, TenantSpec};

/// The group of the four kinds of rules and bindings.
pub const GROUP: &str = "rbac.authorization.k8s.io";
/// Members may do everything, whatever the rules say.
pub const GROUP_MASTERS: &str = "system:masters";
/// Annotation of a default role or binding: `"false"` keeps the server from mending it at start.
pub const ANNOTATION_AUTOUPDATE: &str = "rbac.authorization.kubernetes.io/autoupdate";
