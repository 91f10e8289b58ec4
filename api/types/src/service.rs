//! Service: long-running replicas of a template. Was Marathon's app and pod.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::template::TaskTemplate;

/// Keeps a number of tasks of one template running, replaces those that end, and rolls out changes.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "berth.dev",
    version = "v1",
    kind = "Service",
    plural = "services",
    singular = "service",
    shortname = "svc",
    category = "all",
    category = "berth",
    namespaced,
    status = "ServiceStatus",
    derive = "PartialEq",
    scale(
        spec_replicas_path = ".spec.replicas",
        status_replicas_path = ".status.replicas",
        label_selector_path = ".status.selector"
    ),
    printcolumn(name = "Desired", type_ = "integer", json_path = ".spec.replicas", description = "Replicas asked for"),
    printcolumn(
        name = "Ready",
        type_ = "integer",
        json_path = ".status.readyReplicas",
        description = "Tasks that are ready"
    ),
    printcolumn(
        name = "Updated",
        type_ = "integer",
        json_path = ".status.updatedReplicas",
        description = "Tasks of the newest revision"
    ),
    printcolumn(
        name = "Available",
        type_ = "integer",
        json_path = ".status.availableReplicas",
        description = "Tasks ready for minReadySeconds"
    ),
    printcolumn(
        name = "Status",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].reason"#,
        description = "Why the service is, or is not, ready"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Revision", type_ = "string", json_path = ".status.currentRevision", priority = 1),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].message"#,
        priority = 1
    )
)]
#[serde(rename_all = "camelCase")]
pub struct ServiceSpec {
    /// How many tasks to keep running.
    #[serde(default = "one")]
    #[schemars(range(min = 0, max = 100_000))]
    pub replicas: i32,
    /// What each task is made from. Changing it starts a rollout.
    pub template: TaskTemplate,
    /// How a changed template reaches the running tasks.
    #[serde(default)]
    pub update: UpdateStrategy,
    /// Seconds that a new task must be ready before it counts as available.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub min_ready_seconds: i32,
    /// Seconds without progress after which a rollout is reported as failed.
    #[serde(default = "progress_deadline")]
    #[schemars(range(min = 1))]
    pub progress_deadline_seconds: i32,
    /// How many old revisions are kept for `berth rollout undo`.
    #[serde(default = "history_limit")]
    #[schemars(range(min = 0, max = 1000))]
    pub revision_history_limit: i32,
    /// How long to wait before an instance that keeps failing is started again.
    #[serde(default)]
    pub backoff: BackoffPolicy,
    /// Stop rolling out; failed tasks are still replaced.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub paused: bool,
    /// Names of Services in this namespace that must be ready before this one starts its first task.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "set"))]
    pub depends_on: Vec<String>,
}

fn one() -> i32 {
    1
}
fn progress_deadline() -> i32 {
    600
}
fn history_limit() -> i32 {
    10
}

/// How a changed template reaches the running tasks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UpdateStrategy {
    /// Rolling replaces tasks step by step; Recreate stops all before it starts any.
    #[serde(default)]
    pub strategy: UpdateStrategyType,
    /// How many tasks above `replicas` there may be during a rollout: a number or a percentage (rounded up).
    #[serde(default = "surge")]
    pub max_surge: IntOrString,
    /// How many of `replicas` may be unavailable during a rollout: a number or a percentage (rounded down).
    #[serde(default = "unavailable")]
    pub max_unavailable: IntOrString,
}

impl Default for UpdateStrategy {
    fn default() -> Self {
        Self { strategy: UpdateStrategyType::Rolling, max_surge: surge(), max_unavailable: unavailable() }
    }
}

fn surge() -> IntOrString {
    IntOrString::String("25%".to_owned())
}
fn unavailable() -> IntOrString {
    IntOrString::String("25%".to_owned())
}

/// The two ways to update.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum UpdateStrategyType {
    /// Step by step, within maxSurge and maxUnavailable.
    #[default]
    Rolling,
    /// All old tasks stop before the first new one starts.
    Recreate,
}

/// How long to wait before an instance that keeps failing is started again: `seconds × factor^(failures-1)`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BackoffPolicy {
    /// Wait after the second failure in a row, in seconds. The first replacement starts at once.
    #[serde(default = "backoff_seconds")]
    #[schemars(range(min = 0, max = 3600))]
    pub seconds: i32,
    /// Growth with each further failure, in percent: 200 doubles the wait.
    #[serde(default = "backoff_factor")]
    #[schemars(range(min = 100, max = 1000))]
    pub factor_percent: i32,
    /// The longest wait, in seconds.
    #[serde(default = "backoff_max")]
    #[schemars(range(min = 0, max = 86_400))]
    pub max_seconds: i32,
    /// Seconds that an instance must have run for its failures to be forgotten.
    #[serde(default = "backoff_reset")]
    #[schemars(range(min = 1, max = 86_400))]
    pub reset_after_seconds: i32,
}

impl Default for BackoffPolicy {
    fn default() -> Self {
        Self {
            seconds: backoff_seconds(),
            factor_percent: backoff_factor(),
            max_seconds: backoff_max(),
            reset_after_seconds: backoff_reset(),
        }
    }
}

fn backoff_seconds() -> i32 {
    1
}
fn backoff_factor() -> i32 {
    200
}
fn backoff_max() -> i32 {
    300
}
fn backoff_reset() -> i32 {
    600
}

/// What the service controller last saw.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceStatus {
    /// The generation of the spec that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Tasks that are not ended and not being deleted.
    #[serde(default)]
    pub replicas: i32,
    /// Those of the newest revision.
    #[serde(default)]
    pub updated_replicas: i32,
    /// Those that are ready.
    #[serde(default)]
    pub ready_replicas: i32,
    /// Those that have been ready for minReadySeconds.
    #[serde(default)]
    pub available_replicas: i32,
    /// What is missing of spec.replicas in available tasks.
    #[serde(default)]
    pub unavailable_replicas: i32,
    /// The revision that the tasks should have: the hash in their `berth.dev/revision` label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_revision: Option<String>,
    /// Label selector of the service's tasks, for the scale subresource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<String>,
    /// Instances that wait before their next start because they keep failing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub backoffs: Vec<InstanceBackoff>,
    /// Ready, Progressing, Degraded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

/// One instance that keeps failing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InstanceBackoff {
    /// Index of the instance.
    pub instance: i32,
    /// Failures in a row.
    pub failures: i32,
    /// When its next task is made.
    pub until: Time,
    /// Why the last task failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_reason: Option<String>,
}
