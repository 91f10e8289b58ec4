//! Signs approved requests of the signers that Kubernetes names, with the cluster's authority.

use berth_identity::csr::{self, KUBE_APISERVER_CLIENT, KUBELET_CLIENT, KUBELET_SERVING, LIFE_SECONDS};
use futures::FutureExt;
use futures::future::BoxFuture;
use k8s_openapi::ByteString;
use serde_json::json;

use super::request::SigningRequest;
use crate::driver::{Context, Error, Key, Next, Reconciler, Watch};

/// What this authority signs.
const SIGNERS: &[&str] = &[KUBE_APISERVER_CLIENT, KUBELET_CLIENT, KUBELET_SERVING];

pub(super) struct Signer;

impl Reconciler for Signer {
    fn name(&self) -> &'static str {
        "berth-certificate-signer"
    }

    fn watches(&self) -> Vec<Watch> {
        vec![Watch::itself::<SigningRequest>()]
    }

    fn reconcile<'a>(&'a self, key: &'a Key, ctx: &'a Context) -> BoxFuture<'a, Result<Next, Error>> {
        reconcile(key, ctx).boxed()
    }
}

async fn reconcile(key: &Key, ctx: &Context) -> Result<Next, Error> {
    let Some(request) = ctx.store::<SigningRequest>().get(key) else { return Ok(Next::Changed) };
    // A manager that was given no authority leaves signing to one that has it.
    let Some(authority) = ctx.authority() else { return Ok(Next::Changed) };
    let wanted = request.has("Approved") && !request.has("Denied") && !request.has("Failed") && !request.is_issued();
    if !wanted || !SIGNERS.contains(&request.spec.signer_name.as_str()) {
        return Ok(Next::Changed);
    }
    let checked = request.parse().and_then(|asked| {
        csr::check_signer(&request.spec.signer_name, &asked, &request.spec.usages)
            .map_err(|why| why.to_string())
            .map(|()| asked)
    });
    let asked = match checked {
        Ok(asked) => asked,
        Err(why) => {
            let patch = request.with_condition("Failed", "SignerValidationFailure", &why);
            ctx.patch_status::<SigningRequest>(key, &patch).await?;
            return Ok(Next::Changed);
        }
    };
    let life = csr::life(request.spec.expiration_seconds, LIFE_SECONDS);
    let signed = authority.sign(&asked, &request.spec.usages, life, ctx.now().as_second());
    let certificate = signed.map_err(|error| Error::Other(format!("could not sign {key}: {error}")))?;
    let patch = json!({
        "metadata": {"resourceVersion": request.metadata.resource_version},
        "status": {"certificate": ByteString(certificate.into_bytes())},
    });
    ctx.patch_status::<SigningRequest>(key, &patch).await?;
    Ok(Next::Changed)
}
