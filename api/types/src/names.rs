//! Labels, annotations and finalizers that Berth's parts agree on.

/// Label: the Service that a Task or Revision belongs to.
pub const LABEL_SERVICE: &str = "berth.dev/service";
/// Label: the Job that a JobRun or Task belongs to.
pub const LABEL_JOB: &str = "berth.dev/job";
/// Label: the JobRun that a Task belongs to.
pub const LABEL_JOB_RUN: &str = "berth.dev/job-run";
/// Label: the hash of the template that a Task or Revision was made from.
pub const LABEL_REVISION: &str = "berth.dev/revision";
/// Label: the index of a service's instance, from 0.
pub const LABEL_INSTANCE: &str = "berth.dev/instance";
/// Label: the name of the node, as the node's own object carries it.
pub const LABEL_HOSTNAME: &str = "kubernetes.io/hostname";

/// Annotation: why a revision was made (`kubectl annotate … kubernetes.io/change-cause=`).
pub const ANNOTATION_CHANGE_CAUSE: &str = "kubernetes.io/change-cause";
/// Annotation on a Service's template: bumped by `berth rollout restart`.
pub const ANNOTATION_RESTARTED_AT: &str = "berth.dev/restarted-at";

/// Annotation on a Task: how often in a row its instance had failed before it. It carries the back-off from task
/// to task, so that it survives everything but the task.
pub const ANNOTATION_FAILURES: &str = "berth.dev/failures";
/// Annotation on a Revision: when it last became the current one.
pub const ANNOTATION_ACTIVATED_AT: &str = "berth.dev/activated-at";
/// Annotation on an ended JobRun: the how-many-eth of its job that ended as it did.
pub const ANNOTATION_COUNTED_AS: &str = "berth.dev/counted-as";

/// Finalizer that placement sets when it binds a Task to a node. The node's agent takes it off when the
/// task's processes, cgroups and sandbox are gone, so that a deleted Task is visible until nothing of it is left.
pub const FINALIZER_AGENT: &str = "berth.dev/agent";

/// The Role that tasks without `role` are charged to. Always there.
pub const DEFAULT_ROLE: &str = "default";
/// Namespace for the system's own objects, leases of leaders among them.
pub const SYSTEM_NAMESPACE: &str = "berth-system";
/// Namespace of the Leases by which agents tell that they live (name: the node's name).
pub const NODE_LEASE_NAMESPACE: &str = "berth-node-lease";
/// Taint that the node controller sets on a node whose Lease ran out.
pub const TAINT_UNREACHABLE: &str = "berth.dev/unreachable";
