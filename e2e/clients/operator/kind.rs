//! The operator's own kind, and how it comes to the cluster.

use std::time::Duration;

use anyhow::Context as _;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, Patch, PatchParams};
use kube::runtime::wait::{await_condition, conditions};
use kube::{Client, CustomResource, CustomResourceExt as _};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Whom to greet, and how often.
#[derive(Clone, CustomResource, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[kube(
    group = "krs.example.com",
    version = "v1",
    kind = "Greeting",
    namespaced,
    shortname = "hi",
    status = "GreetingStatus",
    printcolumn = r#"{"name":"Said","type":"string","jsonPath":".status.said"}"#
)]
pub(crate) struct GreetingSpec {
    /// The one to greet.
    pub(crate) who: String,
    /// How often.
    #[serde(default = "once")]
    pub(crate) times: u32,
}

/// What was said.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct GreetingStatus {
    /// The greeting, as it stands in the ConfigMap.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) said: Option<String>,
    /// The generation that it was said for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) observed_generation: Option<i64>,
}

fn once() -> u32 {
    1
}

/// How long a definition may take until it is served.
const PATIENCE: Duration = Duration::from_secs(30);

/// Applies the definition and waits until it is served.
pub(crate) async fn define(client: Client) -> anyhow::Result<()> {
    let api: Api<CustomResourceDefinition> = Api::all(client);
    let params = PatchParams::apply("greeting-operator").force();
    api.patch(Greeting::crd_name(), &params, &Patch::Apply(Greeting::crd()))
        .await
        .context("apply of the definition")?;
    let established = await_condition(api, Greeting::crd_name(), conditions::is_crd_established());
    tokio::time::timeout(PATIENCE, established).await.context("the definition is not established")??;
    Ok(())
}
