//! Revision: one template that a service had, kept for history and undo.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::template::TaskTemplate;

/// A template that a Service had at some time. Never changed once made; owned by the Service.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "berth.dev",
    version = "v1",
    kind = "Revision",
    plural = "revisions",
    singular = "revision",
    shortname = "rev",
    category = "berth",
    namespaced,
    derive = "PartialEq",
    printcolumn(name = "Service", type_ = "string", json_path = r".metadata.labels.berth\.dev/service"),
    printcolumn(name = "Revision", type_ = "integer", json_path = ".spec.revision"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct RevisionSpec {
    /// Counts up; the highest is the current one. An undo gives an old template a new number.
    #[schemars(range(min = 1))]
    pub revision: i64,
    /// The template.
    pub template: TaskTemplate,
}
