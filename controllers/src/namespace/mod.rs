//! The end of namespaces: everything in one that is being deleted is deleted, then it is let go of.

mod content;
mod status;

use std::sync::Arc;
use std::time::Duration;

use berth_types::Task;
use futures::FutureExt;
use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::Namespace;
use serde_json::json;

use crate::driver::{Context, Error, Key, Kind, Next, Part, Reconciler, Watch};
use content::Remains;

/// The component that events come from, and the field manager of what is written.
pub(crate) const MANAGER: &str = "berth-namespace-controller";

/// What holds a namespace back until we let go of it.
const FINALIZER: &str = "kubernetes";
/// How soon is looked again while something is left: finalizers of others may take any time. Tasks, which take
/// longest as a rule, wake us by themselves.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// What the manager runs for this part.
pub fn parts() -> Vec<Part> {
    vec![Part::Reconciler(Arc::new(Namespaces))]
}

#[derive(Debug)]
struct Namespaces;

impl Reconciler for Namespaces {
    fn name(&self) -> &'static str {
        MANAGER
    }

    fn watches(&self) -> Vec<Watch> {
        let ends = |task: &Task, _: &Context| {
            let goes = task.metadata.deletion_timestamp.is_some();
            task.metadata.namespace.clone().filter(|_| goes).map(Key::cluster).into_iter().collect()
        };
        vec![Watch::itself::<Namespace>(), Watch::map::<Task>(ends)]
    }

    fn concurrency(&self) -> usize {
        4
    }

    fn reconcile<'a>(&'a self, key: &'a Key, ctx: &'a Context) -> BoxFuture<'a, Result<Next, Error>> {
        reconcile(key, ctx).boxed()
    }
}

async fn reconcile(key: &Key, ctx: &Context) -> Result<Next, Error> {
    let Some(namespace) = ctx.store::<Namespace>().get(key) else { return Ok(Next::Changed) };
    let finalizers = namespace.spec.as_ref().and_then(|spec| spec.finalizers.clone()).unwrap_or_default();
    if namespace.metadata.deletion_timestamp.is_none() || !finalizers.iter().any(|name| name == FINALIZER) {
        return Ok(Next::Changed);
    }
    let remains = content::delete_all(&key.name, ctx).await?;
    if remains.is_nothing() {
        finalize(key, finalizers, ctx).await?;
        tracing::info!(namespace = key.name, "namespace emptied");
        return Ok(Next::Changed);
    }
    tell(&namespace, &remains, ctx).await?;
    Ok(Next::After(LOOK_AGAIN))
}

/// Says what is left, when that changed.
async fn tell(namespace: &Namespace, remains: &Remains, ctx: &Context) -> Result<(), Error> {
    let old = namespace.status.as_ref().and_then(|status| status.conditions.clone()).unwrap_or_default();
    let new = status::conditions(&old, remains, &ctx.now_time());
    let phase = namespace.status.as_ref().and_then(|status| status.phase.as_deref());
    if new == old && phase == Some("Terminating") {
        return Ok(());
    }
    let patch = json!({ "status": { "phase": "Terminating", "conditions": new } });
    match ctx.patch_status::<Namespace>(&Key::of(&namespace.metadata), &patch).await {
        Err(error) if error.is_not_found() => Ok(()),
        other => other.map(drop),
    }
}

/// Lets go of the namespace: `PUT …/finalize` without our finalizer.
async fn finalize(key: &Key, finalizers: Vec<String>, ctx: &Context) -> Result<(), Error> {
    let Some(live) = ctx.get::<Namespace>(key).await? else { return Ok(()) };
    let left: Vec<String> = finalizers.into_iter().filter(|name| name != FINALIZER).collect();
    let body = json!({
        "apiVersion": "v1", "kind": "Namespace", "metadata": live.meta(), "spec": { "finalizers": left },
    });
    let failed = |source| Error::Api {
        verb: "finalize",
        kind: "Namespace".to_owned(),
        key: key.clone(),
        source: Box::new(source),
    };
    let request = http::Request::put(format!("/api/v1/namespaces/{}/finalize", key.name))
        .header(http::header::CONTENT_TYPE, "application/json")
        .body(body.to_string().into_bytes())
        .map_err(|error| Error::Other(format!("could not build a request for namespace {key}: {error}")))?;
    match ctx.client().request_text(request).await.map_err(failed) {
        Err(error) if error.is_not_found() => Ok(()),
        other => other.map(drop),
    }
}
