//! Job: run to completion, once or by schedule. Was Metronome's job.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::template::TaskTemplate;

/// Runs a template to completion: once when it is made, or at the times that its schedules name.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "berth.dev",
    version = "v1",
    kind = "Job",
    plural = "jobs",
    singular = "job",
    category = "all",
    category = "berth",
    namespaced,
    status = "JobStatus",
    derive = "PartialEq",
    printcolumn(name = "Schedule", type_ = "string", json_path = ".spec.schedules[*].cron"),
    printcolumn(name = "Suspend", type_ = "boolean", json_path = ".spec.suspend"),
    printcolumn(name = "Active", type_ = "integer", json_path = ".status.active"),
    printcolumn(name = "Succeeded", type_ = "integer", json_path = ".status.succeeded"),
    printcolumn(name = "Failed", type_ = "integer", json_path = ".status.failed"),
    printcolumn(name = "Last Run", type_ = "date", json_path = ".status.lastScheduleTime"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Next Run", type_ = "string", json_path = ".status.nextScheduleTime", priority = 1)
)]
#[serde(rename_all = "camelCase")]
pub struct JobSpec {
    /// What each run is made from.
    pub template: TaskTemplate,
    /// When to run. Without one the job runs once, as soon as it is made.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub schedules: Vec<JobSchedule>,
    /// What to do when a run is due and another still runs.
    #[serde(default)]
    pub concurrency_policy: ConcurrencyPolicy,
    /// No new runs while true; those that run go on.
    #[serde(default)]
    pub suspend: bool,
    /// Seconds after its time that a run may still start; later it counts as missed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub starting_deadline_seconds: Option<i64>,
    /// How often a failed run is tried again.
    #[serde(default = "six")]
    #[schemars(range(min = 0, max = 1000))]
    pub backoff_limit: i32,
    /// Seconds that one run, with its retries, may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub active_deadline_seconds: Option<i64>,
    /// How many succeeded runs are kept.
    #[serde(default = "three")]
    #[schemars(range(min = 0, max = 1000))]
    pub successful_runs_history_limit: i32,
    /// How many failed runs are kept.
    #[serde(default = "one")]
    #[schemars(range(min = 0, max = 1000))]
    pub failed_runs_history_limit: i32,
    /// Seconds after which an ended job without schedules is deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub ttl_seconds_after_finished: Option<i64>,
}

fn six() -> i32 {
    6
}
fn three() -> i32 {
    3
}
fn one() -> i32 {
    1
}

/// One schedule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct JobSchedule {
    /// Five fields (minute hour day month weekday), or @hourly, @daily, @weekly, @monthly, @yearly. A sixth
    /// field in front is seconds.
    #[schemars(length(min = 1, max = 256))]
    pub cron: String,
    /// Name of the IANA time zone that the fields are read in; UTC unless told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
}

/// What to do when a run is due and another still runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum ConcurrencyPolicy {
    /// Both run.
    #[default]
    Allow,
    /// The new one is skipped.
    Forbid,
    /// The old one is stopped.
    Replace,
}

/// What the job controller last saw.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct JobStatus {
    /// The generation of the spec that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Runs that have not ended.
    #[serde(default)]
    pub active: i32,
    /// Runs that succeeded, since the job was made.
    #[serde(default)]
    pub succeeded: i32,
    /// Runs that failed, since the job was made.
    #[serde(default)]
    pub failed: i32,
    /// The time that the last run was due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_schedule_time: Option<Time>,
    /// When a run last succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_successful_time: Option<Time>,
    /// The time that the next run is due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_schedule_time: Option<Time>,
    /// Ready (its schedules can be kept), Complete and Failed (a job without schedules).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}
