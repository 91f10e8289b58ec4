//! The names of what the operator made, without the rest: lists and watches of metadata alone.

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, ListParams};
use kube::core::PartialObjectMeta;
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Client, ResourceExt as _};

const OURS: &str = "app=greeting-operator";

/// Says the name of each ConfigMap that appears, for ever.
pub(crate) async fn names(client: Client, me: &str) -> anyhow::Result<()> {
    let api: Api<PartialObjectMeta<ConfigMap>> = Api::default_namespaced(client);
    let before = api.list(&ListParams::default().labels(OURS)).await?;
    println!("{me}: {} were made before", before.items.len());
    let config = watcher::Config::default().labels(OURS).streaming_lists();
    let mut found = std::pin::pin!(watcher(api, config).default_backoff().touched_objects());
    while let Some(object) = found.next().await {
        let object = object?;
        println!("{me}: metadata of {} by {}", object.name_any(), object.owner_references().len());
    }
    anyhow::bail!("no more names")
}
