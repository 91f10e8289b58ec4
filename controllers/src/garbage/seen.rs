//! An object as its watch tells of it, read for what the graph keeps: a few words of the metadata, nothing else.

use std::borrow::Cow;
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::graph::{Stage, Thing, Uid};
use crate::driver::{Key, Row};

/// One object, as it was told of.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) uid: Uid,
    pub(crate) revision: u64,
    pub(crate) thing: Thing,
}

#[derive(Deserialize)]
struct Object<'a> {
    #[serde(borrow)]
    metadata: Metadata<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata<'a> {
    #[serde(borrow, default)]
    namespace: Cow<'a, str>,
    #[serde(borrow, default)]
    name: Cow<'a, str>,
    #[serde(borrow)]
    uid: Cow<'a, str>,
    #[serde(borrow, default)]
    resource_version: Cow<'a, str>,
    #[serde(default)]
    deletion_timestamp: Option<IgnoredAny>,
    #[serde(borrow, default)]
    finalizers: Option<Vec<Cow<'a, str>>>,
    #[serde(default)]
    owner_references: Option<Vec<OwnerReference>>,
}

impl Seen {
    /// Reads an object, or only its metadata.
    ///
    /// # Errors
    /// When it is no object with a uid.
    pub(crate) fn read(row: &Arc<Row>, json: &str) -> Result<Self, serde_json::Error> {
        let Object { metadata } = serde_json::from_str(json)?;
        let finalizers = metadata.finalizers.unwrap_or_default();
        let stage = Stage::at(metadata.deletion_timestamp.is_some(), finalizers.iter().map(|name| &**name));
        let key = Key::new(&*metadata.namespace, &*metadata.name);
        let owners = metadata.owner_references.unwrap_or_default();
        let thing = Thing { row: row.clone(), key, owners, stage };
        let revision = metadata.resource_version.parse().unwrap_or(0);
        Ok(Self { uid: metadata.uid.as_ref().into(), revision, thing })
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_glance_sees_what_the_whole_metadata_says() {
        let row = Arc::new(Row::new("berth.dev", "v1", "Task", "tasks", true));
        let owner = json!({"apiVersion": "v1", "kind": "A", "name": "a", "uid": "o", "blockOwnerDeletion": true});
        for metadata in [
            json!({"name": "n", "uid": "u", "resourceVersion": "7", "managedFields": [{"fieldsV1": {}}]}),
            json!({"namespace": "d\\e", "name": "n", "uid": "u", "ownerReferences": [owner], "finalizers": null}),
            json!({"name": "n", "uid": "u", "deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["x", "orphan"]}),
            json!({"name": "n", "uid": "u", "deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["foregroundDeletion"]}),
            json!({"name": "n", "uid": "u", "deletionTimestamp": null, "finalizers": ["foregroundDeletion"]}),
        ] {
            let text = json!({"kind": "Task", "metadata": metadata, "spec": {"metadata": 1}}).to_string();
            let whole: ObjectMeta = serde_json::from_value(metadata).unwrap();
            let seen = Seen::read(&row, &text).unwrap();
            assert_eq!(seen.thing, Thing::new(row.clone(), &whole));
            assert_eq!(&*seen.uid, "u");
        }
        assert!(Seen::read(&row, "{}").is_err());
    }
}
