//! Bootstrap tokens: Secrets of `kube-system` that go when their time is over.

use berth_identity::bootstrap::{NAMESPACE, has_expired};
use futures::FutureExt;
use futures::future::BoxFuture;
use k8s_openapi::ByteString;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::driver::{Context, Error, Key, Kind, Next, Reconciler, Row, Watch};

/// A Secret of the one type that is looked at.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct TokenSecret {
    pub(super) metadata: ObjectMeta,
    #[serde(default, rename = "type")]
    pub(super) type_: String,
    #[serde(default)]
    pub(super) data: std::collections::BTreeMap<String, ByteString>,
}

impl Kind for TokenSecret {
    const ROW: Row = Row::some("", "v1", "Secret", "secrets", true, "type=bootstrap.kubernetes.io/token");

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

impl TokenSecret {
    /// A value as text.
    pub(super) fn text(&self, key: &str) -> Option<&str> {
        std::str::from_utf8(&self.data.get(key)?.0).ok()
    }

    /// Whether its time is over.
    pub(super) fn has_expired(&self, now: Timestamp) -> bool {
        serde_json::to_value(self).is_ok_and(|secret| has_expired(&secret, now.as_second()))
    }
}

pub(super) struct Tokens;

impl Reconciler for Tokens {
    fn name(&self) -> &'static str {
        "berth-token-cleaner"
    }

    fn watches(&self) -> Vec<Watch> {
        vec![Watch::itself::<TokenSecret>()]
    }

    fn reconcile<'a>(&'a self, key: &'a Key, ctx: &'a Context) -> BoxFuture<'a, Result<Next, Error>> {
        reconcile(key, ctx).boxed()
    }
}

async fn reconcile(key: &Key, ctx: &Context) -> Result<Next, Error> {
    let Some(secret) = ctx.store::<TokenSecret>().get(key) else { return Ok(Next::Changed) };
    if key.namespace != NAMESPACE {
        return Ok(Next::Changed);
    }
    if secret.has_expired(ctx.now()) {
        ctx.delete(&*secret).await?;
        return Ok(Next::Changed);
    }
    Ok(secret.text("expiration").and_then(|at| at.parse().ok()).map_or(Next::Changed, Next::At))
}
