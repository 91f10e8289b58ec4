//! What every namespace has: a ServiceAccount `default`, and the ConfigMap `kube-root-ca.crt` with the certificate
//! authority by which tasks and tools know the API server (Kubernetes' serviceaccount and root-ca-cert-publisher
//! controllers).

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::driver::{Context, Created, Error, Key, Kind, Next, Part, Reconciler, Row, Watch};

/// The account of whoever names no other.
const ACCOUNT: &str = "default";
/// Where clients look for the authority; the API server keeps the one in [`SOURCE`] true.
const ROOT_CA: &str = "kube-root-ca.crt";
/// The namespace whose copy is the original.
const SOURCE: &str = "kube-system";
/// Says what the ConfigMap is for to whoever finds it.
const DESCRIPTION: &str = "Contains a CA bundle that can be used to verify the API server.";

/// What the manager runs for this part.
pub fn parts() -> Vec<Part> {
    vec![Part::Reconciler(Arc::new(Baseline))]
}

/// A ConfigMap of the one name that is looked at.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct RootCa {
    metadata: ObjectMeta,
    #[serde(default)]
    data: BTreeMap<String, String>,
}

impl Kind for RootCa {
    const ROW: Row = Row::some("", "v1", "ConfigMap", "configmaps", true, "metadata.name=kube-root-ca.crt");

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

/// A ServiceAccount of the one name that is looked at.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Account {
    metadata: ObjectMeta,
}

impl Kind for Account {
    const ROW: Row = Row::some("", "v1", "ServiceAccount", "serviceaccounts", true, "metadata.name=default");

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

#[derive(Debug)]
struct Baseline;

impl Reconciler for Baseline {
    fn name(&self) -> &'static str {
        "berth-baseline-controller"
    }

    fn watches(&self) -> Vec<Watch> {
        vec![
            Watch::itself::<Namespace>(),
            Watch::map::<Account>(|account, _| vec![in_namespace(&account.metadata)]),
            Watch::map::<RootCa>(|config, ctx| match config.metadata.namespace.as_deref() {
                // A new authority is everybody's affair.
                Some(SOURCE) => ctx.store::<Namespace>().all().iter().map(|n| Key::of(&n.metadata)).collect(),
                _ => vec![in_namespace(&config.metadata)],
            }),
        ]
    }

    fn reconcile<'a>(&'a self, key: &'a Key, ctx: &'a Context) -> BoxFuture<'a, Result<Next, Error>> {
        reconcile(key, ctx).boxed()
    }
}

/// The key of the namespace that an object lies in.
fn in_namespace(meta: &ObjectMeta) -> Key {
    Key::cluster(meta.namespace.as_deref().unwrap_or_default())
}

async fn reconcile(key: &Key, ctx: &Context) -> Result<Next, Error> {
    let Some(namespace) = ctx.store::<Namespace>().get(key) else { return Ok(Next::Changed) };
    if namespace.metadata.deletion_timestamp.is_some() {
        return Ok(Next::Changed);
    }
    match bring(&key.name, ctx).await {
        // The namespace is on its way out, which we have not heard of yet.
        Err(error) if error.is_forbidden() || error.is_not_found() => Ok(Next::Changed),
        done => done.map(|()| Next::Changed),
    }
}

async fn bring(namespace: &str, ctx: &Context) -> Result<(), Error> {
    if ctx.store::<Account>().get(&Key::new(namespace, ACCOUNT)).is_none() {
        ctx.create(&Account { metadata: named(namespace, ACCOUNT) }).await?;
    }
    let Some(source) = ctx.store::<RootCa>().get(&Key::new(SOURCE, ROOT_CA)) else { return Ok(()) };
    let there = match ctx.store::<RootCa>().get(&Key::new(namespace, ROOT_CA)) {
        Some(there) => there,
        None => {
            let mut metadata = named(namespace, ROOT_CA);
            let description = ("kubernetes.io/description".to_owned(), DESCRIPTION.to_owned());
            metadata.annotations = Some(BTreeMap::from([description]));
            match ctx.create(&RootCa { metadata, data: source.data.clone() }).await? {
                Created::New(_) => return Ok(()),
                Created::Exists(there) => there,
            }
        }
    };
    if there.data != source.data {
        // What does not belong there goes: the merge patch names it with null.
        let mut data: BTreeMap<&str, Option<&str>> = there.data.keys().map(|key| (key.as_str(), None)).collect();
        data.extend(source.data.iter().map(|(key, value)| (key.as_str(), Some(value.as_str()))));
        ctx.patch::<RootCa>(&Key::new(namespace, ROOT_CA), &json!({ "data": data })).await?;
    }
    Ok(())
}

fn named(namespace: &str, name: &str) -> ObjectMeta {
    ObjectMeta { name: Some(name.to_owned()), namespace: Some(namespace.to_owned()), ..ObjectMeta::default() }
}
