//! The stored FlowSchemas and PriorityLevelConfigurations.

use berth_flow::Named;
use berth_flow::spec::{FlowSchemaSpec, PriorityLevelSpec};
use berth_store::cache::Snapshot;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::derived::Sources;

pub(super) const GROUP: &str = "flowcontrol.apiserver.k8s.io";
pub(super) const SCHEMAS: &str = "flowschemas";
pub(super) const LEVELS: &str = "prioritylevelconfigurations";
pub(super) const SOURCES: Sources = &[(GROUP, SCHEMAS), (GROUP, LEVELS)];

/// What the objects say.
#[derive(Debug, Default)]
pub(crate) struct Objects {
    pub(super) schemas: Vec<Named<FlowSchemaSpec>>,
    pub(super) levels: Vec<Named<PriorityLevelSpec>>,
}

#[derive(Deserialize)]
struct Stored<T> {
    metadata: Metadata,
    spec: T,
}

#[derive(Deserialize)]
struct Metadata {
    name: String,
    #[serde(default)]
    uid: String,
}

impl Objects {
    pub(super) fn read(snapshots: &[Snapshot]) -> Self {
        let [schemas, levels] = snapshots else { return Self::default() };
        Self { schemas: read(schemas), levels: read(levels) }
    }
}

/// Objects that cannot be read are passed over: they have been checked when they were written.
fn read<T: DeserializeOwned>(snapshot: &Snapshot) -> Vec<Named<T>> {
    let one = |json: &[u8]| serde_json::from_slice::<Stored<T>>(json);
    snapshot
        .iter()
        .filter_map(|entry| match one(&entry.json()) {
            Ok(Stored { metadata: Metadata { name, uid }, spec }) => Some(Named { name, uid, spec }),
            Err(error) => {
                tracing::warn!(name = entry.name(), %error, "a flow schema or priority level cannot be read");
                None
            }
        })
        .collect()
}
