//! Volume: storage with a life of its own. Stored and validated; provisioning is not there yet.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::quantity::Quantity;

/// Storage that outlives the tasks that use it. The object is stored and validated; nothing provisions it yet.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "berth.dev",
    version = "v1",
    kind = "Volume",
    root = "VolumeClaim",
    plural = "volumes",
    singular = "volume",
    shortname = "vol",
    category = "berth",
    namespaced,
    status = "VolumeClaimStatus",
    derive = "PartialEq",
    printcolumn(name = "Class", type_ = "string", json_path = ".spec.class"),
    printcolumn(name = "Size", type_ = "string", json_path = ".spec.size"),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct VolumeClaimSpec {
    /// Where it lives: local (a node's disk), host (a path), tmpfs, or csi.
    #[serde(default = "local")]
    #[schemars(extend("enum" = ["local", "host", "tmpfs", "csi"]))]
    pub class: String,
    /// How much it holds.
    pub size: Quantity,
    /// The path on the node, for class host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_path: Option<String>,
    /// What becomes of the data when the object is deleted.
    #[serde(default = "retain")]
    #[schemars(extend("enum" = ["Retain", "Delete"]))]
    pub reclaim_policy: String,
}

fn local() -> String {
    "local".to_owned()
}
fn retain() -> String {
    "Retain".to_owned()
}

/// What became of the volume.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VolumeClaimStatus {
    /// For printing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
    /// The node that holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_name: Option<String>,
    /// Ready.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}
