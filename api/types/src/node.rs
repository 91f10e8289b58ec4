//! Node: a machine with an agent on it.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Taint;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::resources::ResourceList;

/// A machine that runs tasks. Its agent makes the object and keeps its status and its Lease.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "berth.dev",
    version = "v1",
    kind = "Node",
    plural = "nodes",
    singular = "node",
    shortname = "no",
    category = "berth",
    status = "NodeStatus",
    derive = "PartialEq",
    printcolumn(name = "Ready", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].status"#),
    printcolumn(name = "Unschedulable", type_ = "boolean", json_path = ".spec.unschedulable"),
    printcolumn(name = "CPU", type_ = "string", json_path = ".status.allocatable.cpu"),
    printcolumn(name = "Memory", type_ = "string", json_path = ".status.allocatable.memory"),
    printcolumn(name = "Version", type_ = "string", json_path = ".status.nodeInfo.agentVersion"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Address", type_ = "string", json_path = ".status.addresses[0].address", priority = 1),
    printcolumn(name = "Kernel", type_ = "string", json_path = ".status.nodeInfo.kernelVersion", priority = 1),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].message"#,
        priority = 1
    )
)]
#[serde(rename_all = "camelCase")]
pub struct NodeSpec {
    /// Cordoned: nothing new is placed here; what runs goes on.
    #[serde(default)]
    pub unschedulable: bool,
    /// Marks that keep tasks away which do not tolerate them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub taints: Vec<Taint>,
}

/// What the agent last told, and what the node controller made of its silence.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeStatus {
    /// All that the machine has: cpu, memory, disk, pids.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub capacity: ResourceList,
    /// What tasks may have of it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub allocatable: ResourceList,
    /// Ports that may be allotted to tasks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub port_ranges: Vec<PortRange>,
    /// Free-form facts for constraints (Mesos's agent attributes), such as rack or zone.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
    /// Addresses of the machine, the preferred one first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<NodeAddress>,
    /// Where the agent's own API listens (logs, exec).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_endpoint: Option<NodeEndpoint>,
    /// Versions and ids.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_info: Option<NodeInfo>,
    /// What the agent cannot do here, in words, such as limits without root.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limitations: Vec<String>,
    /// Ready, MemoryPressure, DiskPressure.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

/// Ports from `begin` to `end`, both included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PortRange {
    /// First port.
    #[schemars(range(min = 1, max = 65535))]
    pub begin: i32,
    /// Last port.
    #[schemars(range(min = 1, max = 65535))]
    pub end: i32,
}

/// One address of the machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeAddress {
    /// InternalIP or Hostname.
    #[serde(rename = "type")]
    pub type_: String,
    /// The address.
    pub address: String,
}

/// Where the agent listens.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeEndpoint {
    /// IP address.
    pub address: String,
    /// TCP port, HTTPS.
    #[schemars(range(min = 1, max = 65535))]
    pub port: i32,
}

/// Versions and ids of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeInfo {
    /// Version of the agent.
    #[serde(default)]
    pub agent_version: String,
    /// `uname -r`.
    #[serde(default)]
    pub kernel_version: String,
    /// Name of the distribution.
    #[serde(default)]
    pub os_image: String,
    /// amd64, arm64.
    #[serde(default)]
    pub architecture: String,
    /// Changes with each boot.
    #[serde(default, rename = "bootID")]
    pub boot_id: String,
    /// Stays with the installation.
    #[serde(default, rename = "machineID")]
    pub machine_id: String,
    /// Runtimes that the agent offers, the default first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub runtimes: Vec<String>,
    /// cgroup layout: v1, hybrid, v2 or none.
    #[serde(default)]
    pub cgroups: String,
}
