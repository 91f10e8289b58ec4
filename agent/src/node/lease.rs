//! The Lease by which a node tells that it lives.

use std::time::Duration;

use berth_client::k8s_openapi::api::coordination::v1::Lease;
use berth_client::k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use berth_client::kube::api::{Patch, PatchParams, PostParams};
use berth_client::kube::{Api, Client, Error};
use berth_types::names::NODE_LEASE_NAMESPACE;
use jiff::Timestamp;
use serde_json::json;

/// How often the Lease is renewed.
pub const RENEW: Duration = Duration::from_secs(10);
/// After how long a silent node is taken for lost, as kubelet has it: four renewals may fail.
pub const DURATION_SECONDS: i32 = 40;

/// Renews the Lease, or makes it.
pub(super) async fn renew(client: &Client, node: &str) -> Result<(), Error> {
    let api: Api<Lease> = Api::namespaced(client.clone(), NODE_LEASE_NAMESPACE);
    let spec = json!({
        "holderIdentity": node,
        "leaseDurationSeconds": DURATION_SECONDS,
        "renewTime": MicroTime(Timestamp::now()),
    });
    match api.patch(node, &PatchParams::default(), &Patch::Merge(json!({"spec": spec}))).await {
        Err(Error::Api(status)) if status.code == 404 => {}
        other => return other.map(drop),
    }
    let lease: Lease =
        serde_json::from_value(json!({"metadata": {"name": node}, "spec": spec})).map_err(Error::SerdeError)?;
    match api.create(&PostParams::default(), &lease).await {
        // Another life of this agent made it in the same moment.
        Err(Error::Api(status)) if status.code == 409 => Ok(()),
        other => other.map(drop),
    }
}
