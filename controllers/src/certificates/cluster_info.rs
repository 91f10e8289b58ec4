//! `kube-public/cluster-info`: what a machine that wants to join may know before anybody knows it. Signed with each
//! bootstrap token, so that its bearer knows that it talks to the right cluster.

use std::collections::BTreeMap;

use berth_identity::bootstrap::{BootstrapToken, NAMESPACE, sign_detached};
use futures::FutureExt;
use futures::future::BoxFuture;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::tokens::TokenSecret;
use crate::driver::{Context, Error, Key, Kind, Next, Reconciler, Row, Watch};

const PUBLIC: &str = "kube-public";
const NAME: &str = "cluster-info";
/// What is signed; the API server writes it.
const CONTENT: &str = "kubeconfig";
/// Start of the signatures' keys; a token's id follows.
const SIGNATURE: &str = "jws-kubeconfig-";

/// A ConfigMap of the one name that is looked at.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Info {
    metadata: ObjectMeta,
    #[serde(default)]
    data: BTreeMap<String, String>,
}

impl Info {
    /// The host that clients reach the API server by.
    pub(super) fn server_host(&self) -> Option<String> {
        let kubeconfig: serde_json::Value = serde_json::from_str(self.data.get(CONTENT)?).ok()?;
        let server: http::Uri = kubeconfig["clusters"][0]["cluster"]["server"].as_str()?.parse().ok()?;
        Some(server.host()?.trim_matches(['[', ']']).to_owned())
    }

    /// Where it lies.
    pub(super) fn key() -> Key {
        Key::new(PUBLIC, NAME)
    }
}

impl Kind for Info {
    const ROW: Row = Row::some("", "v1", "ConfigMap", "configmaps", true, "metadata.name=cluster-info");

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

pub(super) struct ClusterInfo;

impl Reconciler for ClusterInfo {
    fn name(&self) -> &'static str {
        "berth-bootstrap-signer"
    }

    fn watches(&self) -> Vec<Watch> {
        vec![Watch::itself::<Info>(), Watch::map::<TokenSecret>(|_, _| vec![Info::key()])]
    }

    fn reconcile<'a>(&'a self, key: &'a Key, ctx: &'a Context) -> BoxFuture<'a, Result<Next, Error>> {
        reconcile(key, ctx).boxed()
    }
}

async fn reconcile(key: &Key, ctx: &Context) -> Result<Next, Error> {
    if *key != Info::key() {
        return Ok(Next::Changed);
    }
    let Some(info) = ctx.store::<Info>().get(key) else { return Ok(Next::Changed) };
    let Some(content) = info.data.get(CONTENT) else { return Ok(Next::Changed) };
    let now = ctx.now();
    let tokens = ctx.store::<TokenSecret>().all();
    let signers = tokens.iter().filter(|secret| {
        secret.metadata.namespace.as_deref() == Some(NAMESPACE)
            && secret.text("usage-bootstrap-signing") == Some("true")
            && !secret.has_expired(now)
    });
    let wanted: BTreeMap<String, String> = signers
        .filter_map(|secret| {
            let text = format!("{}.{}", secret.text("token-id")?, secret.text("token-secret")?);
            let token = BootstrapToken::parse(&text)?;
            Some((format!("{SIGNATURE}{}", token.id), sign_detached(content, &token)))
        })
        .collect();
    let there: BTreeMap<&String, &String> = info.data.iter().filter(|(key, _)| key.starts_with(SIGNATURE)).collect();
    if there.iter().map(|(k, v)| (*k, *v)).eq(wanted.iter()) {
        return Ok(Next::Changed);
    }
    let mut data: BTreeMap<&str, Option<&str>> = there.keys().map(|key| (key.as_str(), None)).collect();
    data.extend(wanted.iter().map(|(key, signature)| (key.as_str(), Some(signature.as_str()))));
    let patch = json!({"metadata": {"resourceVersion": info.metadata.resource_version}, "data": data});
    ctx.patch::<Info>(key, &patch).await?;
    Ok(Next::Changed)
}
