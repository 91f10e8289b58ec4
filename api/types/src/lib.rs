//! Every kind of the group `berth.dev/v1`, as plain data: what people write and what they read back.
//!
//! One small file a kind. Nothing here does I/O; the schemas that validate, default, print and document a
//! kind are derived from these types ([`crds::all`]), so a field's doc comment is what `berth explain` prints.

// Columns of a table repeat the same words, and so do the attributes that describe them.
#![allow(clippy::duplicated_attributes)]

pub mod condition;
pub mod container;
pub mod crds;
pub mod job;
pub mod job_run;
pub mod names;
pub mod node;
pub mod package;
pub mod quantity;
pub mod quota;
pub mod resources;
pub mod revision;
pub mod role;
pub mod service;
pub mod task;
pub mod template;
pub mod volume;

pub use condition::set_condition;
pub use container::{Container, ContainerPort, EnvVar, VolumeMount};
pub use job::{ConcurrencyPolicy, Job, JobSchedule, JobSpec, JobStatus};
pub use job_run::{JobRun, JobRunPhase, JobRunSpec, JobRunStatus};
pub use node::{Node, NodeAddress, NodeEndpoint, NodeInfo, NodeSpec, NodeStatus, PortRange};
pub use package::{Package, PackageSpec, PackageStatus};
pub use quantity::Quantity;
pub use resources::{ResourceList, ResourceRequirements};
pub use revision::{Revision, RevisionSpec};
pub use role::{Role, RoleAccess, RoleAction, RoleMember, RoleMemberKind, RolePermission, RoleSpec, RoleStatus};
pub use service::{BackoffPolicy, Service, ServiceSpec, ServiceStatus, UpdateStrategy, UpdateStrategyType};
pub use task::{AllocatedPort, ContainerState, ContainerStatus, Task, TaskPhase, TaskSpec, TaskStatus};
pub use template::{Constraint, ConstraintOperator, TaskTemplate, TaskTemplateSpec, TemplateMeta, Volume};
pub use volume::{VolumeClaim, VolumeClaimSpec, VolumeClaimStatus};

/// The API group of every kind that Berth brings.
pub const GROUP: &str = "berth.dev";
/// The version that is stored and served.
pub const VERSION: &str = "v1";
/// Group and version as they stand in `apiVersion`.
pub const API_VERSION: &str = "berth.dev/v1";
