//! What a container asks for and may use at most.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::quantity::{Quantity, QuantityError};

/// Amounts by resource name: `cpu`, `memory`, `disk` (or `ephemeral-storage`), `pids`, or a name of your own.
pub type ResourceList = BTreeMap<String, Quantity>;

/// What a container asks for (counted when it is placed) and its ceiling (enforced on the node).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResourceRequirements {
    /// The least that a node must have free. Where a resource is missing here, its limit counts.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub requests: ResourceList,
    /// The most that the container may use: `cpu` is throttled, going over `memory` ends the container, and
    /// `pids` bounds its processes and threads.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub limits: ResourceList,
}

impl ResourceRequirements {
    /// What placement counts for one resource, in thousandths: the request, else the limit, else nothing.
    ///
    /// # Errors
    /// When the amount is not a quantity.
    pub fn requested_milli(&self, resource: &str) -> Result<i64, QuantityError> {
        self.requests.get(resource).or_else(|| self.limits.get(resource)).map_or(Ok(0), Quantity::milli)
    }
}
