//! Task: the unit that is placed and run. Was Mesos's task and task group; Kubernetes' pod.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::template::TaskTemplateSpec;

/// One or more containers that are placed on one node together, share its network and a sandbox, and run once.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "berth.dev",
    version = "v1",
    kind = "Task",
    plural = "tasks",
    singular = "task",
    shortname = "t",
    category = "all",
    category = "berth",
    namespaced,
    status = "TaskStatus",
    derive = "PartialEq",
    selectable = ".spec.nodeName",
    selectable = ".status.phase",
    printcolumn(name = "Ready", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].status"#),
    printcolumn(
        name = "Status",
        type_ = "string",
        json_path = ".status.summary",
        description = "Phase, or the reason that matters more"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Node", type_ = "string", json_path = ".spec.nodeName", priority = 1),
    printcolumn(name = "Address", type_ = "string", json_path = ".status.hostIP", priority = 1),
    printcolumn(name = "Ports", type_ = "string", json_path = ".spec.allocatedPorts[*].port", priority = 1),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.message", priority = 1)
)]
#[serde(rename_all = "camelCase")]
pub struct TaskSpec {
    /// What runs, as the template said.
    #[serde(flatten)]
    pub template: TaskTemplateSpec,
    /// The node that the task is bound to. Set once, by whoever places it; a task with a node holds its resources.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_name: Option<String>,
    /// The node's ports that the task was given when it was bound, in the order of the containers' ports.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allocated_ports: Vec<AllocatedPort>,
}

/// A port of the node, given to a container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AllocatedPort {
    /// Name of the container.
    pub container: String,
    /// Index of the port in the container's `ports`, from 0.
    pub index: i32,
    /// Name of the port, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Number on the node.
    #[schemars(range(min = 1, max = 65535))]
    pub port: i32,
    /// TCP or UDP.
    #[serde(default = "tcp")]
    pub protocol: String,
}

fn tcp() -> String {
    "TCP".to_owned()
}

/// Where a task is in its life. For printing and for owners; `conditions` carry the detail.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum TaskPhase {
    /// Not placed yet, or placed and not taken up by its agent.
    #[default]
    Pending,
    /// The agent prepares it: images, volumes, init containers.
    Starting,
    /// All containers run.
    Running,
    /// Being stopped: SIGTERM was sent.
    Stopping,
    /// All containers ended with code 0.
    Succeeded,
    /// A container ended with another code, was killed, could not start, or failed its liveness probe.
    Failed,
    /// Ended because it was asked to.
    Killed,
    /// Its node is not heard of; it may still run.
    Unknown,
}

impl TaskPhase {
    /// Whether the task has ended and will never run again.
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Killed)
    }
}

/// What the agent (or, before binding, placement) last saw.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaskStatus {
    /// Where the task is in its life.
    #[serde(default)]
    pub phase: TaskPhase,
    /// One word for tables: the phase, or the reason that matters more (`CrashLoop`, `OOMKilled`, `Unschedulable`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
    /// Why it is in this phase: one CamelCase word, stable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The same for people, with what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The generation that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Address of the node.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "hostIP")]
    pub host_ip: Option<String>,
    /// When the agent took it up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_time: Option<Time>,
    /// When its last container ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finish_time: Option<Time>,
    /// Each container, init containers first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub containers: Vec<ContainerStatus>,
    /// Scheduled, Initialized, ContainersReady, Ready.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

/// One container as the agent sees it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ContainerStatus {
    /// Name of the container.
    pub name: String,
    /// The runtime's id for it: the name of its directory and cgroup on the node.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "containerID")]
    pub container_id: Option<String>,
    /// Waiting, running or terminated.
    #[serde(default)]
    pub state: ContainerState,
    /// Its readiness probe (or, without one, its start) succeeded.
    #[serde(default)]
    pub ready: bool,
    /// Its start-up probe (or, without one, its start) succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<bool>,
    /// Process id on the node of the container's first process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<i32>,
}

/// Exactly one of the three.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ContainerState {
    /// Not started yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<StateWaiting>,
    /// Executing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub running: Option<StateRunning>,
    /// Ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terminated: Option<StateTerminated>,
}

/// Why a container has not started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StateWaiting {
    /// One CamelCase word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The same for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// Since when a container runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StateRunning {
    /// When it was executed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Time>,
}

/// How a container ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StateTerminated {
    /// Exit code; 128 + signal when a signal ended it.
    pub exit_code: i32,
    /// Signal that ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
    /// Completed, Error, OOMKilled, StartError, CommandNotFound, LivenessProbeFailed, Killed, LauncherLost, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The same for people; the end of the log when it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// When it was executed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Time>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Time>,
}
