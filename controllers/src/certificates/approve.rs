//! Approves what agents ask for: a new agent that bears a bootstrap token, and one that renews what it has.
//!
//! Whether the asker may have its request approved without a person is a question to the API server (a
//! SubjectAccessReview for the subresources `nodeclient` and `selfnodeclient`), as in Kubernetes; so roles decide.

use std::collections::BTreeMap;

use berth_identity::bootstrap::{ANNOTATION_USED_BY, NAMESPACE, SECRET_PREFIX, USER_PREFIX};
use berth_identity::csr::{self, KUBELET_CLIENT, KUBELET_SERVING, NODE_PREFIX};
use berth_types::Node;
use futures::FutureExt;
use futures::future::BoxFuture;
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};
use kube::api::{Api, PostParams};
use serde_json::json;

use super::cluster_info::Info;
use super::request::SigningRequest;
use super::tokens::TokenSecret;
use crate::driver::{Context, Error, Key, Next, Reconciler, Watch};

/// On a bootstrap token's Secret: any number of machines may join with it.
const ANNOTATION_REUSABLE: &str = "berth.dev/bootstrap-token-reusable";

pub(super) struct Approver;

impl Reconciler for Approver {
    fn name(&self) -> &'static str {
        "berth-certificate-approver"
    }

    fn watches(&self) -> Vec<Watch> {
        vec![
            Watch::itself::<SigningRequest>(),
            Watch::read_only::<Node>(),
            Watch::read_only::<TokenSecret>(),
            Watch::read_only::<Info>(),
        ]
    }

    fn reconcile<'a>(&'a self, key: &'a Key, ctx: &'a Context) -> BoxFuture<'a, Result<Next, Error>> {
        reconcile(key, ctx).boxed()
    }
}

async fn reconcile(key: &Key, ctx: &Context) -> Result<Next, Error> {
    let Some(request) = ctx.store::<SigningRequest>().get(key) else { return Ok(Next::Changed) };
    if request.is_decided() || request.is_issued() || request.metadata.deletion_timestamp.is_some() {
        return Ok(Next::Changed);
    }
    let Ok(asked) = request.parse() else { return Ok(Next::Changed) };
    if csr::check_signer(&request.spec.signer_name, &asked, &request.spec.usages).is_err() {
        // A person may still decide; the signer would refuse it.
        return Ok(Next::Changed);
    }
    let Some(node) = asked.common_name.strip_prefix(NODE_PREFIX) else { return Ok(Next::Changed) };
    let message = match request.spec.signer_name.as_str() {
        KUBELET_CLIENT if request.spec.username == asked.common_name => {
            if !may(ctx, &request, "selfnodeclient").await? {
                return Ok(Next::Changed);
            }
            "Auto approving self node client certificate after SubjectAccessReview."
        }
        KUBELET_CLIENT => {
            if !may(ctx, &request, "nodeclient").await? || !use_token(ctx, &request, node).await? {
                return Ok(Next::Changed);
            }
            "Auto approving node client certificate after SubjectAccessReview."
        }
        KUBELET_SERVING if request.spec.username == asked.common_name => {
            let nodes = ctx.store::<Node>().all();
            let server = ctx.store::<Info>().get(&Info::key()).and_then(|info| info.server_host());
            if !is_own(node, &asked.names, nodes.iter().map(|node| &**node), server.as_deref()) {
                return Ok(Next::Changed);
            }
            "Auto approving node serving certificate: it names the node and nobody else."
        }
        _ => return Ok(Next::Changed),
    };
    let patch = request.with_condition("Approved", "AutoApproved", message);
    ctx.patch_subresource::<SigningRequest>(key, "approval", &patch).await?;
    Ok(Next::Changed)
}

/// Whether a serving certificate would speak for this node only: its DNS names are the node's or loopback's, and its
/// addresses are no other node's, nor the API server's (`server`): an agent beside it waits for a person.
fn is_own<'a>(node: &str, names: &csr::Names, nodes: impl Iterator<Item = &'a Node>, server: Option<&str>) -> bool {
    let is_server = |name: &str| server == Some(name);
    let own_name = |name: &String| name == node && !is_of_the_server(name) && !is_server(name) || name == "localhost";
    let is_free = |ip: &String, others: &[String]| !others.contains(ip) && !is_server(ip);
    let others: Vec<String> = nodes
        .filter(|other| other.metadata.name.as_deref() != Some(node))
        .filter_map(|other| other.status.as_ref())
        .flat_map(|status| status.addresses.iter().map(|address| address.address.clone()))
        .collect();
    names.dns.iter().all(own_name) && names.ips.iter().all(|ip| ip.is_loopback() || is_free(&ip.to_string(), &others))
}

/// Names by which clients know the API server and Services. Whoever joins chooses the name of its node: it must not be
/// one by which others would take the node for these.
fn is_of_the_server(name: &str) -> bool {
    let labels: Vec<&str> = name.split('.').collect();
    matches!(labels[..], ["kubernetes", ..]) || labels.contains(&"svc")
}

/// Asks whether the asker may have such a request approved.
async fn may(ctx: &Context, request: &SigningRequest, subresource: &str) -> Result<bool, Error> {
    let extra: BTreeMap<String, Vec<String>> = request.spec.extra.clone();
    let review = SubjectAccessReview {
        spec: SubjectAccessReviewSpec {
            user: Some(request.spec.username.clone()),
            uid: Some(request.spec.uid.clone()),
            groups: Some(request.spec.groups.clone()),
            extra: Some(extra),
            resource_attributes: Some(ResourceAttributes {
                group: Some("certificates.k8s.io".to_owned()),
                version: Some("v1".to_owned()),
                resource: Some("certificatesigningrequests".to_owned()),
                subresource: Some(subresource.to_owned()),
                verb: Some("create".to_owned()),
                ..ResourceAttributes::default()
            }),
            ..SubjectAccessReviewSpec::default()
        },
        ..SubjectAccessReview::default()
    };
    let asked = Api::<SubjectAccessReview>::all(ctx.client().clone()).create(&PostParams::default(), &review).await;
    let answered =
        asked.map_err(|error| Error::Other(format!("could not ask what {:?} may: {error}", request.spec.username)))?;
    Ok(answered.status.is_some_and(|status| status.allowed))
}

/// Notes on the asker's bootstrap token which node joined with it, before the node gets anything: it is used up then.
/// Whether the node may join: anybody who does not come with a token may, for roles said so.
async fn use_token(ctx: &Context, request: &SigningRequest, node: &str) -> Result<bool, Error> {
    let Some(id) = request.spec.username.strip_prefix(USER_PREFIX) else { return Ok(true) };
    let key = Key::new(NAMESPACE, format!("{SECRET_PREFIX}{id}"));
    // Read past the local store: two nodes must not both find it unused.
    let Some(secret) = ctx.get::<TokenSecret>(&key).await? else { return Ok(false) };
    let annotation =
        |name: &str| secret.metadata.annotations.as_ref().and_then(|all| all.get(name)).map(String::as_str);
    if annotation(ANNOTATION_REUSABLE) == Some("true") {
        return Ok(true);
    }
    match annotation(ANNOTATION_USED_BY) {
        Some(used_by) => Ok(used_by == node),
        None => {
            let patch = json!({"metadata": {
                "resourceVersion": secret.metadata.resource_version, "annotations": {ANNOTATION_USED_BY: node},
            }});
            ctx.patch::<TokenSecret>(&key, &patch).await?;
            Ok(true)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str, address: &str) -> Node {
        serde_json::from_value(json!({
            "apiVersion": "berth.dev/v1", "kind": "Node", "metadata": {"name": name}, "spec": {},
            "status": {"addresses": [{"type": "InternalIP", "address": address}]},
        }))
        .unwrap()
    }

    fn names(dns: &[&str], ips: &[&str]) -> csr::Names {
        csr::Names {
            dns: dns.iter().map(|name| (*name).to_owned()).collect(),
            ips: ips.iter().map(|ip| ip.parse().unwrap()).collect(),
            ..csr::Names::default()
        }
    }

    #[test]
    fn a_node_gets_no_certificate_that_speaks_for_another() {
        let nodes = [node("a", "10.0.0.1"), node("b", "10.0.0.2")];
        let own = |names: &csr::Names| is_own("a", names, nodes.iter(), Some("10.0.0.7"));
        assert!(own(&names(&["a", "localhost"], &["10.0.0.1", "127.0.0.1"])));
        assert!(own(&names(&["a"], &["10.0.0.9"])), "an address that nobody has yet");
        assert!(!own(&names(&["a"], &["10.0.0.2"])));
        assert!(!own(&names(&["b"], &["10.0.0.1"])));
        assert!(!own(&names(&["kubernetes.default.svc"], &[])));
        assert!(!own(&names(&["a"], &["10.0.0.7"])), "where the API server is: a person decides");
        for node in ["kubernetes", "kubernetes.default.svc", "hook.ops.svc", "hook.ops.svc.cluster.local"] {
            assert!(!is_own(node, &names(&[node], &[]), nodes.iter(), None), "{node}");
        }
        assert!(is_own("w1.example.com", &names(&["w1.example.com"], &[]), nodes.iter(), None));
    }
}
